"""The fold: `fold(profile, event, definitions) -> profile`, and the merge of two profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp

from wayline.catalog.contact import Outcome
from wayline.catalog.fields import Default
from wayline.catalog.identifiers import rules_of
from wayline.catalog.model import Catalog
from wayline.catalog.traits import EventTrait
from wayline.identifiers import IdentityRules
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.contacts import fold_contacts, outcomes_by_event, united
from wayline_profile.core.evidence import Folder
from wayline_profile.core.fingerprints import contacts_key, state_key
from wayline_profile.core.folders import folder_of
from wayline_profile.core.properties import Occurrence, text_of_default
from wayline_profile.core.statements import fold_restriction, fold_statements, merge_statements

Event = events_pb2.Event
Profile = profile_pb2.Profile
_TRACK, _PAGE, _SCREEN = events_pb2.EVENT_TYPE_TRACK, events_pb2.EVENT_TYPE_PAGE, events_pb2.EVENT_TYPE_SCREEN


@dataclass(frozen=True, slots=True)
class Subscription:
    """A trait that wants events of one name, with these properties."""

    state: str
    """The key of its state; see `fingerprints`."""
    folder: Folder
    where: Mapping[str, Default]

    def wants(self, occurrence: Occurrence) -> bool:
        """Whether the event's properties have the declared values."""
        return all(occurrence.text(name) == text_of_default(value) for name, value in self.where.items())


@dataclass(frozen=True, slots=True)
class Definitions:
    """The declared traits and outcomes, arranged for folding."""

    keys: Mapping[str, str]
    """Trait to the key of its state, for every trait that is made of events."""
    folders: Mapping[str, Folder]
    """By the key of the state."""
    tracks: Mapping[str, tuple[Subscription, ...]]
    pages: tuple[Subscription, ...]
    screens: tuple[Subscription, ...]
    outcomes: Mapping[str, Outcome]
    """Name of a track event to the outcome that it tells."""
    contacts: str
    """The key that stands for `outcomes`; see `fingerprints`."""
    identity: IdentityRules = field(default_factory=IdentityRules)

    def subscriptions(self, event: Event) -> tuple[Subscription, ...]:
        """Who wants the event."""
        kind = event.type
        if kind == _TRACK:
            return self.tracks.get(event.name, ())
        if kind == _PAGE:
            return self.pages
        return self.screens if kind == _SCREEN else ()


def definitions_of(catalog: Catalog) -> Definitions:
    """Arrange a catalogue's traits and outcomes. 'page' and 'screen' stand for every page and every screen."""
    keys: dict[str, str] = {}
    folders: dict[str, Folder] = {}
    by_name: dict[str, list[Subscription]] = {}
    for name, trait in catalog.effective_traits().items():
        if isinstance(trait, EventTrait):
            keys[name] = key = state_key(name, trait)
            folders[key] = folder_of(trait)
            for event in trait.event:
                by_name.setdefault(event, []).append(Subscription(key, folders[key], trait.where))
    tracks = {name: tuple(wanted) for name, wanted in by_name.items()}
    pages, screens = tracks.pop("page", ()), tracks.pop("screen", ())
    outcomes, contacts = outcomes_by_event(catalog.outcomes), contacts_key(catalog.outcomes)
    return Definitions(keys, folders, tracks, pages, screens, outcomes, contacts, rules_of(catalog))


def timestamp_ms(event: Event) -> int:
    """When it happened, else when it was received; milliseconds since 1970 UTC."""
    return milliseconds_of(event.timestamp if event.HasField("timestamp") else event.received_at)


def milliseconds_of(time: Timestamp) -> int:
    """`ToMilliseconds`, in a fraction of the time."""
    return time.seconds * 1_000 + time.nanos // 1_000_000


def fold(profile: Profile, event: Event, definitions: Definitions) -> Profile:
    """The profile after an event. The given profile stays as it is.

    The result depends on the event's content only: not on when it was received (unless it carries no time of its
    own) nor on its place in the stream.
    """
    after = Profile()
    after.CopyFrom(profile)
    fold_into(after, event, timestamp_ms(event), definitions)
    return after


def fold_into(profile: Profile, event: Event, at_ms: int, definitions: Definitions) -> None:
    """`fold`, in place: for the projector, whose profiles are fresh from the store and nobody else's. `at_ms`: see
    `timestamp_ms`.
    """
    if event.type == events_pb2.EVENT_TYPE_RESTRICTION:
        fold_restriction(profile, event, at_ms)
        return
    profile.event_count += 1
    if at_ms > profile.last_seen_ms:
        profile.last_seen_ms = at_ms
    first_seen_ms = profile.first_seen_ms
    if not first_seen_ms or at_ms < first_seen_ms:
        profile.first_seen_ms = at_ms
    fold_statements(profile, event, at_ms, definitions.identity)
    fold_evidence(profile, event, definitions, at_ms)


def fold_evidence(profile: Profile, event: Event, definitions: Definitions, at_ms: int) -> None:
    """The part of the fold that the catalogue decides on: contacts and the states of traits, in place."""
    outcome = definitions.outcomes.get(event.name)
    if outcome is not None and event.type == _TRACK:
        fold_contacts(profile.contacts, event, outcome, at_ms)
    subscriptions = definitions.subscriptions(event)
    if not subscriptions:
        return
    states, occurrence = profile.states, Occurrence(event, at_ms)
    for subscription in subscriptions:
        if not subscription.where or subscription.wants(occurrence):
            subscription.folder.fold(states[subscription.state], occurrence)


def merge(profile: Profile, other: Profile, definitions: Definitions) -> Profile:
    """One profile of two, as if all events had arrived under one id. Identifiers are the caller's business."""
    merged = Profile()
    merged.CopyFrom(profile)
    merged.event_count += other.event_count
    merged.last_seen_ms = max(profile.last_seen_ms, other.last_seen_ms)
    merged.first_seen_ms = min(
        profile.first_seen_ms or other.first_seen_ms, other.first_seen_ms or profile.first_seen_ms
    )
    merge_statements(merged, other)
    for name, state in sorted(other.states.items()):
        if name not in merged.states:
            merged.states[name].CopyFrom(state)
        elif name in definitions.folders:
            definitions.folders[name].merge(merged.states[name], state)
    if other.contacts:
        del merged.contacts[:]
        merged.contacts.extend(united(profile.contacts, other.contacts))
    return merged
