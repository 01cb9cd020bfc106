"""What a receipt of an erasure says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from wayline.audit import Anchor
from wayline.v1 import privacy_pb2


def receipt_of(
    pending: privacy_pb2.PendingErasure,
    request: privacy_pb2.ErasureRequest | None,
    not_done: Sequence[str],
    anchor: Anchor,
    now: datetime,
) -> dict[str, Any]:
    """The document, unsigned: what was removed where, what remains and why. It names nobody.

    Args:
        pending: what was done.
        request: what was asked for; None: the profile store was restored from the event stream, and knows no more.
        not_done: what the store could not do, in words.
        anchor: the entry of the audit log that says so.
        now: the end.
    """
    suppressed = request is not None and not request.may_return
    remains = [
        "audit log: who asked for the erasure and why, and who read the profile before, by the profile's hash",
        "this receipt",
        "message ids of the events, as hashes, until they are over their age",
    ]
    if suppressed:
        remains.append("hashes of the identifiers, so that later events of the customer are refused")
    entries = request.timeline_entries if request else 0
    return {
        "wayline_receipt": 1,
        "erasure_id": pending.erasure_id,
        "requested_at": _time(request.requested_at.ToDatetime()) if request else "",
        "erased_at": _time(now),
        "suppressed": suppressed,
        "identifiers": len(pending.identity_keys),
        "found": bool(pending.profile_ids or entries or any(place.count for place in pending.streams.values())),
        "removed": {
            "profiles": sorted(pending.profile_ids),
            "timeline_entries": entries,
            "streams": {name: _stream(place) for name, place in sorted(pending.streams.items())},
        },
        "remains": remains,
        "not_done": list(not_done),
        "audit": {"sequence": anchor.sequence, "sha256": anchor.digest.hex()},
    }


def _stream(place: privacy_pb2.StreamErasure) -> dict[str, Any]:
    said: dict[str, Any] = {"messages": place.count, "sequences": ranges(place.removed), "searched_to": place.until}
    if place.records:
        said["records"] = place.records
    return said


def ranges(sequences: Sequence[int]) -> list[str]:
    """Sequences in short: 3, 4, 5, 9 is '3-5', '9'."""
    found: list[list[int]] = []
    for one in sorted(set(sequences)):
        if found and found[-1][1] == one - 1:
            found[-1][1] = one
        else:
            found.append([one, one])
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"
