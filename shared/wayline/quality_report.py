"""What the figures of a period say, by source and event, beside the same period a week before. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from wayline.quality import OTHER, add, age_at, by_number, share
from wayline.v1 import events_pb2
from wayline.v1.quality_pb2 import QualityDelta, QualityFigures

WEEK = timedelta(days=7)
MAX_ROWS = 2_000
_TRACK = events_pb2.EVENT_TYPE_TRACK
_NOT_THE_SENDERS = ("no_consent", "suppressed")
"""Refused as it should be: the sender did nothing wrong."""
Key = tuple[str, str]
"""The source, and the event: of a track event its name, of all others the call, such as 'page'."""


@dataclass(frozen=True, slots=True)
class Row:
    """One source and event."""

    source: str
    event: str
    figures: QualityFigures
    before: int | None
    """Events a week before, refused ones included. None: the figures do not reach back so far."""

    @property
    def volume(self) -> int:
        """Events that came, but for repetitions."""
        return volume_of(self.figures)

    @property
    def refused(self) -> int:
        """For whatever reason."""
        return sum(self.figures.refused.values())

    @property
    def change(self) -> float | None:
        """By which share there are more than a week before, or (negative) less. None: nothing to compare with."""
        return (self.volume - self.before) / self.before if self.before else None

    @property
    def trouble(self) -> float:
        """0 is none. What was refused counts most, then flagged, then the rest: late, skewed, missing, repeated."""
        one = self.figures
        intended = sum(one.refused.get(reason, 0) for reason in _NOT_THE_SENDERS)
        all_that_came = self.volume + one.duplicates
        return (
            3 * share(self.refused - intended, self.volume)
            + 2 * share(one.flagged, self.volume)
            + share(one.unplanned + (one.late + one.skewed) // 2, self.volume)
            + max(0.0, -(self.change or 0.0))
            + share(one.duplicates, all_that_came) / 2
        )


@dataclass(slots=True)
class Comparison:
    """Collects the figures from `since` to `until`, and those of the same time a week before."""

    since: datetime
    until: datetime
    source: str | None = None
    event: str | None = None
    _now: dict[Key, QualityFigures] = field(default_factory=dict)
    _before: dict[Key, int] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _earliest: int | None = None

    def take(self, delta: QualityDelta) -> None:
        """Add a message, in the order of the stream. One that was published twice counts once."""
        if delta.number <= self._numbers.get(delta.process_id, 0):
            return
        self._numbers[delta.process_id] = delta.number
        since, until, week = _minute(self.since), _minute(self.until), int(WEEK.total_seconds() // 60)
        for one in delta.figures:
            self._earliest = one.minute if self._earliest is None else min(self._earliest, one.minute)
            key = self._key(one)
            if key is None:
                continue
            if since <= one.minute <= until:
                add(self._now.setdefault(key, QualityFigures()), one)
            elif since - week <= one.minute <= until - week:
                self._before[key] = self._before.get(key, 0) + volume_of(one)

    def rows(self, first_minute: int | None = None) -> list[Row]:
        """All sources and events, the greatest trouble first.

        Args:
            first_minute: the oldest minute of which there are figures at all; None: the oldest that was taken.
        """
        first = self._earliest if first_minute is None else first_minute
        compared = first is not None and first <= _minute(self.since - WEEK)
        keys = sorted(self._now.keys() | (self._before.keys() if compared else set()))
        rows = [
            Row(
                source,
                event,
                self._now.get((source, event), QualityFigures()),
                self._before.get((source, event), 0) if compared else None,
            )
            for source, event in keys
        ]
        return sorted(rows, key=lambda row: (-row.trouble, -row.volume, row.source, row.event))

    def _key(self, one: QualityFigures) -> Key | None:
        event = event_of(one)
        if self.source is not None and one.source != self.source:
            return None
        if self.event is not None and event != self.event:
            return None
        key = (one.source, event)
        return key if key in self._now or len(self._now) < MAX_ROWS else (OTHER, OTHER)


def event_of(one: QualityFigures) -> str:
    """What people call the event: its name, or the call, such as 'page'."""
    if one.type == _TRACK or one.event:
        return one.event
    if one.type == events_pb2.EVENT_TYPE_UNSPECIFIED:
        return "(unreadable)"
    known = events_pb2.EventType.values()
    name = events_pb2.EventType.Name(one.type) if one.type in known else f"EVENT_TYPE_{one.type}"
    return name.removeprefix("EVENT_TYPE_").lower()


def volume_of(one: QualityFigures) -> int:
    """Accepted and refused: a repetition is no event."""
    return one.accepted + sum(one.refused.values())


def as_json_row(row: Row) -> dict[str, Any]:
    """A row for programs. Ages are in seconds."""
    one = row.figures
    p50, p99 = age_at(one.freshness, 0.5), age_at(one.freshness, 0.99)
    return {
        "source": row.source,
        "event": row.event,
        "volume": row.volume,
        "volume_week_before": row.before,
        "change": None if row.change is None else round(row.change, 4),
        "accepted": one.accepted,
        "duplicates": one.duplicates,
        "refused": by_number(one.refused),
        "without_consent": by_number(one.without_consent),
        "stripped": one.stripped,
        "flagged": one.flagged,
        "unplanned": one.unplanned,
        "unplanned_properties": by_number(one.unplanned_properties),
        "late": one.late,
        "skewed": one.skewed,
        "without_device": one.without_device,
        "freshness_p50_seconds": None if p50 is None else round(p50 / 1_000, 3),
        "freshness_p99_seconds": None if p99 is None else round(p99 / 1_000, 3),
        "freshness_max_seconds": one.freshness.max_ms / 1_000 if one.HasField("freshness") else None,
    }


def _minute(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() // 60)
