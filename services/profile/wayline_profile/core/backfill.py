"""Filling in traits that are new, or were changed: what is to be done, and what it does to a strand and its profile.

A state that is filled in *replaces* what is there, by the fold over all stored events of the strand. So it does not
matter which of them were folded into it already, because they came after the catalogue was applied; nor how often it is
done. A profile of several strands has the merge of theirs, anew. After a walk over all strands, every state is what a
fold over the stored events gives, and no state is left of a trait that is not declared: the bytes are those of a store
that knew the catalogue from its first event, as far back as events are stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from wayline.v1 import backfill_pb2, events_pb2, profile_pb2
from wayline_profile.core.contacts import united
from wayline_profile.core.fold import Definitions, Subscription, fold_evidence, timestamp_ms

Profile = profile_pb2.Profile
FilledStates = backfill_pb2.FilledStates
Walk = backfill_pb2.Walk


def declared_by(definitions: Definitions) -> frozenset[str]:
    """The keys of all that the catalogue makes of events: the states of traits, and contacts."""
    return frozenset({*definitions.folders, definitions.contacts})


def digest_of(declared: Iterable[str]) -> bytes:
    """16 bytes by which two sets of keys are compared."""
    return blake2b("\n".join(sorted(declared)).encode(), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Plan:
    """What the store has to note when a catalogue comes into use."""

    filled: FilledStates
    walk: Walk | None
    """None: nothing is under way, nor was."""


def plan(filled: FilledStates | None, walk: Walk | None, declared: frozenset[str], *, empty: bool, now_ms: int) -> Plan:
    """What is to be filled in under a catalogue that declares these keys.

    A state that is no longer declared is not filled any more, from this moment: events come that it does not see. When
    it is declared again it begins anew.

    Args:
        filled: as noted; None: this store was never under a catalogue, or under that of an earlier version.
        walk: as noted.
        declared: see `declared_by`.
        empty: whether the store holds nobody: then there is nothing to fill in.
        now_ms: the time that a new walk notes as its beginning.
    """
    if filled is None and empty:
        return Plan(FilledStates(states=dict.fromkeys(declared, backfill_pb2.FilledState())), walk)
    held = {key: state for key, state in filled.states.items() if key in declared} if filled else {}
    kept = FilledStates(states=held)
    missing = sorted(declared.difference(held))
    is_under_way = walk is not None and not walk.finished_ms
    if walk is not None and walk.declared == digest_of(declared) and list(walk.states) == missing and is_under_way:
        return Plan(kept, walk)
    has_stale = filled is None or len(held) < len(filled.states) or is_under_way
    if missing or has_stale:
        return Plan(kept, Walk(declared=digest_of(declared), states=missing, started_ms=now_ms))
    return Plan(kept, walk)


@dataclass(frozen=True, slots=True)
class Task:
    """What a walk does at every strand."""

    definitions: Definitions
    """The catalogue's."""
    states: frozenset[str]
    """The keys that are filled in."""
    partial: Definitions
    """The same definitions, without what is filled already."""


def task_of(definitions: Definitions, states: Iterable[str]) -> Task:
    """Arrange what is to be filled in."""
    wanted = frozenset(states)

    def keep(subscriptions: tuple[Subscription, ...]) -> tuple[Subscription, ...]:
        return tuple(one for one in subscriptions if one.state in wanted)

    partial = replace(
        definitions,
        tracks={name: kept for name, subscriptions in definitions.tracks.items() if (kept := keep(subscriptions))},
        pages=keep(definitions.pages),
        screens=keep(definitions.screens),
        outcomes=definitions.outcomes if definitions.contacts in wanted else {},
    )
    return Task(definitions, wanted, partial)


@dataclass(slots=True)
class Evidence:
    """What the stored events of one strand say."""

    contact_ids: frozenset[str] = frozenset()
    """The events that told the strand's contacts, before any of this."""
    said: Profile = field(default_factory=Profile)
    """States and contacts only."""
    told_anew: set[str] = field(default_factory=set)
    """Those of `contact_ids` that came by: what they tell now is in `said`."""
    events: int = 0
    since_ms: int | None = None
    """The time of the earliest."""

    def take(self, event: events_pb2.Event, task: Task) -> None:
        """Take up one event."""
        at_ms = timestamp_ms(event)
        self.events += 1
        self.since_ms = at_ms if self.since_ms is None else min(self.since_ms, at_ms)
        if event.message_id in self.contact_ids:
            self.told_anew.add(event.message_id)
        fold_evidence(self.said, event, task.partial, at_ms)


def evidence_for(strand: Profile) -> Evidence:
    """The beginning of the evidence for a strand."""
    return Evidence(frozenset(one.message_id for one in strand.contacts))


def clear(holder: Profile, task: Task) -> bool:
    """Take out, in place, the states that are filled in, and those that nobody declares. Whether there were any."""
    gone = [key for key in holder.states if key in task.states or key not in task.definitions.folders]
    for key in gone:
        del holder.states[key]
    return bool(gone)


def add(strand: Profile, evidence: Evidence, task: Task) -> bool:
    """Take up the evidence, in place, beside what came since `clear`. Whether that changed anything.

    Contacts of which the event is no longer stored stay: nobody could tell them anew.
    """
    _merge_states(strand, evidence.said, task)
    changed = bool(evidence.said.states)
    if task.definitions.contacts in task.states:
        kept = [one for one in strand.contacts if one.message_id not in evidence.told_anew]
        changed |= _set_contacts(strand, united(kept, evidence.said.contacts))
    return changed


def gather(profile: Profile, strands: Iterable[Profile], task: Task) -> None:
    """Make the same of a profile of several strands, in place: what is filled in is the merge of theirs."""
    clear(profile, task)
    contacts: list[profile_pb2.ContactState] = []
    for strand in strands:
        _merge_states(profile, strand, task)
        contacts = united(contacts, strand.contacts)
    if task.definitions.contacts in task.states:
        _set_contacts(profile, contacts)


def _merge_states(holder: Profile, other: Profile, task: Task) -> None:
    for key, state in other.states.items():
        if key in task.states and key in holder.states:
            task.definitions.folders[key].merge(holder.states[key], state)
        elif key in task.states:
            holder.states[key].CopyFrom(state)


def _set_contacts(profile: Profile, contacts: list[profile_pb2.ContactState]) -> bool:
    if contacts == list(profile.contacts):
        return False
    del profile.contacts[:]
    profile.contacts.extend(contacts)
    return True
