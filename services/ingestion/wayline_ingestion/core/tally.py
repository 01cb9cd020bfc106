"""Counts what became of events, by source, event and minute, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable

from wayline.quality import (
    MAX_NAME_CHARACTERS,
    MAX_SOURCE_CHARACTERS,
    OTHER,
    add,
    bucket_of,
    count_by_name,
    label,
)
from wayline.v1 import events_pb2
from wayline.v1.events_pb2 import Event
from wayline.v1.quality_pb2 import QualityFigures
from wayline_ingestion.core.judgement import Notes, Passed, Refused

MAX_PAIRS = 1_000
SKEWED_NS = 60_000_000_000
_MINUTE_NS = 60_000_000_000
_MINUTES_AN_HOUR = 60
_MINUTES_KEPT = 10
_TRACK = events_pb2.EVENT_TYPE_TRACK
Key = tuple[str, str, int]
_OTHERS: Key = (OTHER, OTHER, 0)


class _Counts:
    """The counts of one source and event. Python's integers: fields of a message take thrice as long to count up."""

    __slots__ = (
        "accepted",
        "buckets",
        "duplicates",
        "flagged",
        "late",
        "max_ms",
        "refused",
        "skewed",
        "stripped",
        "sum_ms",
        "unplanned",
        "unplanned_properties",
        "without_consent",
        "without_device",
    )

    def __init__(self) -> None:
        self.accepted = self.duplicates = self.flagged = self.late = self.skewed = self.stripped = self.unplanned = 0
        self.sum_ms = self.max_ms = self.without_device = 0
        self.buckets: dict[int, int] = {}
        self.refused: dict[str, int] = {}
        self.without_consent: dict[str, int] = {}
        self.unplanned_properties: dict[str, int] = {}


class Tally:
    """What was counted since it was drained last.

    Each hour so many sources and events are told apart as came first, up to a limit; the rest count together, since
    names are senders' text, and a faulty sender may make up a new one for each event.
    """

    def __init__(self, late_ns: int, *, max_pairs: int = MAX_PAIRS) -> None:
        """Events older than `late_ns` when they are received are late."""
        self._late_ns = late_ns
        self._max_pairs = max_pairs
        self._minute = self._hour = 0
        self._admitted: set[Key] = set()
        self._counts: dict[Key, _Counts] = {}
        self._finished: list[QualityFigures] = []
        self._max_finished = _MINUTES_KEPT * max_pairs
        self._overflow: QualityFigures | None = None

    def passed(self, events: Iterable[tuple[Passed, bool]], now_ns: int) -> None:
        """Count events that are stored; with each whether it was stored before."""
        self._turn(now_ns)
        for one, duplicate in events:
            counts = self._of(one.event)
            if duplicate:
                counts.duplicates += 1
                continue
            counts.accepted += 1
            age_ns = one.age_ns
            if age_ns is not None:
                ms = age_ns // 1_000_000 if age_ns > 0 else 0
                bucket = bucket_of(ms)
                counts.buckets[bucket] = counts.buckets.get(bucket, 0) + 1
                counts.sum_ms += ms
                if ms > counts.max_ms:
                    counts.max_ms = ms
                if age_ns > self._late_ns:
                    counts.late += 1
            if one.notes is not None:
                _note(counts, one.event, one.notes)

    def refused(self, refusals: Iterable[Refused], now_ns: int) -> None:
        """Count events that were refused."""
        self._turn(now_ns)
        for one in refusals:
            counts = self._of(one.event)
            count_by_name(counts.refused, one.rejection.reason, 1)
            _note_rules(counts, one)

    def drain(self) -> list[QualityFigures]:
        """The counts since the last time, which are forgotten here."""
        self._finish()
        finished = self._finished + ([self._overflow] if self._overflow else [])
        self._finished, self._overflow = [], None
        return finished

    def _turn(self, now_ns: int) -> None:
        minute = now_ns // _MINUTE_NS
        if minute != self._minute:
            self._finish()
            self._minute = minute
            if minute // _MINUTES_AN_HOUR != self._hour:
                self._hour = minute // _MINUTES_AN_HOUR
                self._admitted.clear()

    def _of(self, event: Event) -> _Counts:
        kind = event.type
        # Names of pages and screens are titles: as many as there are pages, and maybe with a person in them.
        # Cut before they are kept: what was refused may be as long as its event.
        name = event.name[:MAX_NAME_CHARACTERS] if kind == _TRACK else ""
        said: Key = (event.source[:MAX_SOURCE_CHARACTERS], name, kind)
        counts = self._counts.get(said)
        if counts is None:
            if said not in self._admitted:
                if len(self._admitted) >= self._max_pairs:
                    said = _OTHERS
                else:
                    self._admitted.add(said)
            counts = self._counts.setdefault(said, _Counts())
        return counts

    def _finish(self) -> None:
        for key, counts in self._counts.items():
            figures = _message(key, self._minute, counts)
            if len(self._finished) < self._max_finished:
                self._finished.append(figures)
            else:  # nobody has drained it for long
                if self._overflow is None:
                    self._overflow = QualityFigures(source=OTHER, event=OTHER, minute=self._minute)
                add(self._overflow, figures)
        self._counts = {}


def _note(counts: _Counts, event: Event, notes: Notes) -> None:
    counts.flagged += bool(event.violations)
    counts.stripped += bool(notes.without_consent)
    counts.without_device += notes.without_device
    counts.skewed += abs(notes.moved_ns) > SKEWED_NS
    _note_rules(counts, notes)


def _note_rules(counts: _Counts, said: Notes | Refused) -> None:
    """What the tracking plan and the consent gate say of an event, whether it passes or not."""
    counts.unplanned += said.unplanned
    for name in said.unplanned_properties:
        count_by_name(counts.unplanned_properties, label(name, MAX_NAME_CHARACTERS), 1)
    if said.without_consent:
        count_by_name(counts.without_consent, said.without_consent, 1)


def _message(key: Key, minute: int, counts: _Counts) -> QualityFigures:
    source, event, kind = key
    figures = QualityFigures(
        source=label(source, MAX_SOURCE_CHARACTERS),
        event=label(event, MAX_NAME_CHARACTERS),
        type=kind,  # type: ignore[arg-type]  # a type that the contract does not have is kept as its number
        minute=minute,
        accepted=counts.accepted,
        duplicates=counts.duplicates,
        refused=counts.refused,
        without_consent=counts.without_consent,
        stripped=counts.stripped,
        flagged=counts.flagged,
        unplanned=counts.unplanned,
        unplanned_properties=counts.unplanned_properties,
        late=counts.late,
        skewed=counts.skewed,
        without_device=counts.without_device,
    )
    if counts.buckets:
        freshness = figures.freshness
        freshness.count, freshness.sum_ms, freshness.max_ms = sum(counts.buckets.values()), counts.sum_ms, counts.max_ms
        freshness.buckets.update(counts.buckets)
    return figures
