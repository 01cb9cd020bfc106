"""What a receipt of an erasure says, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def removed(receipt: dict[str, Any]) -> Iterator[str]:
    """What was removed, a line for each place; one line when there was nothing."""
    gone = receipt["removed"]
    counts = [
        ("profiles", len(gone["profiles"])),
        ("events in timelines", gone["timeline_entries"]),
        *(
            (f"{name.lower().replace('_', ' ')} in the stream", place.get("records", place["messages"]))
            for name, place in gone["streams"].items()
        ),
    ]
    if not any(count for _, count in counts):
        yield "nothing was held"
        return
    yield from (f"{what}: {count:,}" for what, count in counts)
