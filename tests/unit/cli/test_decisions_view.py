"""What `wayline decisions` shows of what was not chosen."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from wayline.cli.decisions_view import render
from wayline.v1 import decision_pb2


def test_what_would_have_to_change_is_whole_on_eighty_columns() -> None:
    explained = decision_pb2.ExplainResponse()
    explained.record.request.customer.kind = "email"
    explained.record.request.customer.value = f"{'a' * 80}@example.com"
    placement = explained.decision.placements.add(placement="hero")
    change = "profile.colour_affinity_of_the_last_year is 0"
    placement.dropped.add(
        action="red-running-shoes", treatment="banner", stage=decision_pb2.STAGE_CONTACT, reason="r", change=change
    )
    explained.record.request.context.update({"page": "x" * 61})
    console = Console(file=StringIO(), width=80)
    for part in render(explained, most_dropped=5):
        console.print(part)
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    cells = [line.split("│") for line in lines if line.startswith("│")]
    assert "".join(row[5].strip() for row in cells).replace(" ", "") == change.replace(" ", "")
    text = "".join(line.strip() for line in lines)
    assert "a" * 80 + "@example.com" in text
    assert "x" * 60 + "…" in text.replace(" ", "")
