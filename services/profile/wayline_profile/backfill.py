"""Fills in traits that are new, or were changed, from the stored events, in small steps between batches of events.

The walk goes over strands by identity key, which merges do not change. How far it came is written in the commit of each
step, so that it goes on there after a crash and does nothing by halves. See `core.backfill` for what a step does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from wayline import logging
from wayline.v1 import backfill_pb2, events_pb2
from wayline_profile.core.backfill import (
    Evidence,
    FilledStates,
    Profile,
    Task,
    Walk,
    add,
    clear,
    declared_by,
    digest_of,
    evidence_for,
    gather,
    plan,
    task_of,
)
from wayline_profile.core.changes import Commit, Filed
from wayline_profile.core.fold import Definitions
from wayline_profile.core.strands import Source, strands_of
from wayline_profile.store import Counters, UnitOfWork
from wayline_profile.store.records import BACKFILL, STRAND

MAX_EVENTS = 100
MAX_STRANDS = 25
_FILLED, _WALK, _IN_USE = b"filled", b"walk", b"in_use"
log = logging.get("backfill")


@dataclass(frozen=True, slots=True)
class Noted:
    """What the store has noted."""

    filled: FilledStates | None
    walk: Walk | None


class Strands(Protocol):
    """What is read of the store beside the unit of work; see `ProfileStore`."""

    def identities(self, *, after: bytes = b"", at_most: int) -> list[tuple[bytes, str]]:
        """Identity keys with their profile ids, by ascending key."""

    def filed(self, keys: Collection[bytes], *, after: bytes = b"", at_most: int) -> list[Filed]:
        """The events filed under the keys."""

    def positions(self) -> Mapping[int, int]:
        """Partition to the last sequence that is folded."""

    def counters(self) -> Counters:
        """How many profiles there are."""

    def begin(self) -> AbstractContextManager[UnitOfWork]:
        """Begin a unit of work."""


def noted_in(store: Source) -> Noted:
    """Read what is noted."""
    found = store.records(BACKFILL, [_FILLED, _WALK])
    return Noted(
        FilledStates.FromString(found[_FILLED]) if _FILLED in found else None,
        Walk.FromString(found[_WALK]) if _WALK in found else None,
    )


class Backfill:
    """The walk. One process takes its steps; several do no harm, they only wait for each other."""

    def __init__(
        self,
        store: Strands,
        *,
        now_ms: Callable[[], int],
        max_events: int = MAX_EVENTS,
        max_strands: int = MAX_STRANDS,
    ) -> None:
        """A step reads at most `max_events` events, and changes at most `max_strands` strands."""
        self._store = store
        self._now_ms = now_ms
        self._max_events = max_events
        self._max_strands = max_strands
        self._task: Task | None = None
        self._declared = b""
        self._opened: _Opened | None = None
        self._running = False

    @property
    def running(self) -> bool:
        """Whether there is a next step."""
        return self._running

    def use(self, definitions: Definitions) -> None:
        """Note what another catalogue needs filled in. Call before the first event is folded under it.

        Raises:
            Conflict: another process has noted something meanwhile; call again.
        """
        declared = declared_by(definitions)
        with self._store.begin() as unit:
            noted = noted_in(unit)
            empty = not self._store.counters().profiles
            made = plan(noted.filled, noted.walk, declared, empty=empty, now_ms=self._now_ms())
            self._declared = digest_of(declared)
            if (made.filled, made.walk) != (noted.filled, noted.walk) or not self.is_in_use(unit):
                commit = _note(Commit(), made.filled, made.walk)
                commit.records[(BACKFILL, _IN_USE)] = self._declared
                unit.commit(commit)
        walk = made.walk
        self._opened = None
        self._task = task_of(definitions, walk.states if walk else ())
        self._running = walk is not None and not walk.finished_ms
        if self._running and made.walk != noted.walk:
            log.info("backfill_begins", states=list(walk.states) if walk else [])

    def is_in_use(self, unit: UnitOfWork) -> bool:
        """Whether the catalogue that this process has noted last is the one that was noted last by any. Otherwise
        nothing may be folded under it: the walk may have passed by, and would not see what is left out.
        """
        return unit.records(BACKFILL, [_IN_USE]).get(_IN_USE) == self._declared

    def step(self, unit: UnitOfWork) -> Commit:
        """What the next step changes, to be written with what follows from it. When it was not written, the next one
        does the same. It may change nothing, and there may still be more; see `running`.
        """
        noted = noted_in(unit)
        walk, task = noted.walk, self._task
        if walk is None or task is None or walk.finished_ms or walk.declared != self._declared:
            self._running = False
            return Commit()
        if walk.HasField("open"):
            return self._go_on(unit, walk, task)
        keys = [key for key, _ in self._store.identities(after=walk.after, at_most=self._max_strands)]
        if not keys:
            return self._finish(noted.filled, walk)
        held = _Held.read(unit, keys)
        rows = self._store.filed(held.keys, at_most=self._max_events) if walk.states else []
        if len(rows) == self._max_events:
            # Of the last one there may be more.
            whole = [key for key in keys if key < rows[-1].key]
            if not whole:
                return self._open(held, rows[-1].key, walk, task)
            rows = [row for row in rows if row.key < rows[-1].key]
            keys = whole
        evidence = {key: evidence_for(held.strand(key)) for key in held.keys if key <= keys[-1]}
        for row in rows:
            evidence[row.key].take(events_pb2.Event.FromString(row.data), task)
        for key, said in evidence.items():
            held.change(key, clear(held.strand(key), task) | add(held.strand(key), said, task))
            _count(walk, said)
        walk.after = keys[-1]
        return _note(held.commit(task), None, walk)

    def _open(self, held: _Held, key: bytes, walk: Walk, task: Task) -> Commit:
        """Begin with a strand that takes several steps: what is filled in is taken out, and later events count anew."""
        # Read after the strand: an event that comes in between is seen by `up_to`, and makes the commit a conflict.
        up_to = [
            events_pb2.EventToken(partition=partition, sequence=sequence)
            for partition, sequence in sorted(self._store.positions().items())
        ]
        walk.open.CopyFrom(backfill_pb2.OpenStrand(key=key, up_to=up_to))
        held.change(key, clear(held.strand(key), task))
        return _note(held.commit(task), None, walk)

    def _go_on(self, unit: UnitOfWork, walk: Walk, task: Task) -> Commit:
        key = walk.open.key
        held = _Held.read(unit, [key])
        if not held.keys:  # erased meanwhile
            return self._close(held, walk, task, None)
        opened, strand = self._opened, held.strand(key)
        # Fewer events than were read: it was erased meanwhile, and has come again.
        if opened is None or opened.of != walk.open or opened.evidence.events > strand.event_count:
            self._opened = opened = _Opened(walk.open, evidence_for(strand))
        rows = self._store.filed([key], after=opened.place, at_most=self._max_events)
        for row in rows:
            if row.sequence <= opened.up_to.get(row.partition, 0):
                opened.evidence.take(events_pb2.Event.FromString(row.data), task)
        if rows:
            opened.place = rows[-1].place
        if len(rows) == self._max_events:
            return Commit()
        return self._close(held, walk, task, opened.evidence)

    def _close(self, held: _Held, walk: Walk, task: Task, evidence: Evidence | None) -> Commit:
        key = walk.open.key
        if evidence is not None:
            held.change(key, add(held.strand(key), evidence, task))
            _count(walk, evidence)
        walk.after = key
        walk.ClearField("open")
        return _note(held.commit(task), None, walk)

    def _finish(self, filled: FilledStates | None, walk: Walk) -> Commit:
        walk.finished_ms = self._now_ms()
        walk.ClearField("after")  # a customer's key: it need not outlive the customer
        after = FilledStates()
        after.CopyFrom(filled or FilledStates())
        for key in walk.states:
            after.states[key].CopyFrom(
                backfill_pb2.FilledState(filled_ms=walk.finished_ms, events_since_ms=walk.events_since_ms)
            )
        log.info("backfill_ended", strands=walk.strands, events=walk.events)
        return _note(Commit(), after, walk)


class _Opened:
    """How far this process came with the strand that takes several steps. After a crash it is read from its start."""

    def __init__(self, of: backfill_pb2.OpenStrand, evidence: Evidence) -> None:
        self.of = backfill_pb2.OpenStrand()
        self.of.CopyFrom(of)
        self.up_to: Mapping[int, int] = {one.partition: one.sequence for one in of.up_to}
        self.evidence = evidence
        self.place = b""


class _Held:
    """Strands, and the profiles that hold them, as the unit of work has read them."""

    def __init__(self, profiles: dict[bytes, Profile], strands: dict[bytes, Profile]) -> None:
        self._profiles = profiles
        """By strand; one message for all strands of a profile."""
        self._strands = strands
        """Of profiles that have several."""
        self._changed: set[bytes] = set()

    @classmethod
    def read(cls, unit: UnitOfWork, keys: Sequence[bytes]) -> _Held:
        """What is there under the keys; identifiers under which no event was filed are left out."""
        ids = unit.resolve(keys)
        found = unit.get_many(set(ids.values()))
        profiles = {key: found[name] for key, name in sorted(ids.items()) if name in found}
        profiles = {key: profile for key, profile in profiles.items() if key in strands_of(profile)}
        several = {one for profile in profiles.values() if len(profile.strands) > 1 for one in profile.strands}
        strands = unit.records(STRAND, sorted(several)) if several else {}
        return cls(profiles, {key: Profile.FromString(data) for key, data in strands.items()})

    @property
    def keys(self) -> list[bytes]:
        """The strands that are there, sorted. Not those that are only read because they are of the same profile."""
        return list(self._profiles)

    def strand(self, key: bytes) -> Profile:
        """What the events filed under the key say: to be changed in place."""
        return self._strands[key] if key in self._strands else self._profiles[key]

    def change(self, key: bytes, changed: bool) -> None:
        """Note that a strand was changed, if it was."""
        if changed:
            self._changed.add(key)

    def commit(self, task: Task) -> Commit:
        """What was changed, and the profiles that hold it."""
        commit = Commit()
        touched: dict[str, Profile] = {}
        for key in sorted(self._changed):
            profile = self._profiles[key]
            touched[profile.profile_id] = profile
            if key in self._strands:
                commit.records[(STRAND, key)] = self._strands[key].SerializeToString(deterministic=True)
        for name, profile in touched.items():
            if len(profile.strands) > 1:
                gather(profile, (self._strands[key] for key in profile.strands if key in self._strands), task)
            commit.profiles[name] = profile
        return commit


def _count(walk: Walk, evidence: Evidence) -> None:
    walk.strands += 1
    walk.events += evidence.events
    if evidence.since_ms is not None:
        walk.events_since_ms = min(walk.events_since_ms or evidence.since_ms, evidence.since_ms)


def _note(commit: Commit, filled: FilledStates | None, walk: Walk | None) -> Commit:
    for key, message in ((_FILLED, filled), (_WALK, walk)):
        if message is not None:
            commit.records[(BACKFILL, key)] = message.SerializeToString(deterministic=True)
    return commit
