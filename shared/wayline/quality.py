"""Figures of data quality: how they are named, added up and kept apart. See `wayline/v1/quality.proto`."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping

from wayline.v1.quality_pb2 import Freshness, QualityFigures

OTHER = "(other)"
MAX_SOURCE_CHARACTERS = 64
MAX_NAME_CHARACTERS = 128
MAX_NAMES = 50
"""Of one kind (reasons, properties, purposes) within the figures of one source and event."""

_PER_DOUBLING = 4
_LAST_BUCKET = 199
_COUNTS = frozenset({"accepted", "duplicates", "stripped", "flagged", "unplanned", "late", "skewed", "without_device"})
_BY_NAME = frozenset({"refused", "without_consent", "unplanned_properties"})


def label(text: str, most: int) -> str:
    """A sender's text as a name of figures: cut, and without what does not print."""
    text = text[:most]
    return (
        text
        if text.isprintable()
        else "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    )


def bucket_of(ms: float) -> int:
    """The bucket of an age: 0 below a millisecond, then four for each doubling."""
    return min(_LAST_BUCKET, int(math.log2(ms) * _PER_DOUBLING) + 1) if ms >= 1 else 0


def count_by_name(counts: MutableMapping[str, int], name: str, number: int) -> None:
    """Add to the count of a name; when there are many already, to that of all others."""
    if name not in counts and len(counts) >= MAX_NAMES:
        name = OTHER
    counts[name] = counts.get(name, 0) + number


def add(total: QualityFigures, part: QualityFigures) -> None:
    """Add the counts of `part` to `total`; where they belong (source, event, minute) stays that of `total`."""
    for descriptor, value in part.ListFields():  # most are 0, and are not among them
        field = descriptor.name
        if field in _COUNTS:
            setattr(total, field, getattr(total, field) + value)
        elif field in _BY_NAME:
            counts = getattr(total, field)
            for name in sorted(value):
                count_by_name(counts, name, value[name])
        elif field == "freshness":
            _add_freshness(total.freshness, value)


def _add_freshness(total: Freshness, part: Freshness) -> None:
    total.count += part.count
    total.sum_ms += part.sum_ms
    total.max_ms = max(total.max_ms, part.max_ms)
    buckets, added = total.buckets, part.buckets
    for bucket in added:
        buckets[bucket] += added[bucket]


def age_at(freshness: Freshness, share: float) -> float | None:
    """The age in milliseconds that a `share` of the events did not exceed; at most a fifth too much. None: no event."""
    if not freshness.count:
        return None
    left = share * freshness.count
    for bucket in sorted(freshness.buckets):
        left -= freshness.buckets[bucket]
        if left <= 0:
            return min(2 ** (bucket / _PER_DOUBLING), float(freshness.max_ms))
    return float(freshness.max_ms)


def share(part: int, whole: int) -> float:
    """0 of nothing."""
    return part / whole if whole else 0.0


def by_number(counts: Mapping[str, int]) -> dict[str, int]:
    """The greatest first; of equals by name."""
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
