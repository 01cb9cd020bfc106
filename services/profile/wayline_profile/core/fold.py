"""The fold: `fold(profile, event, definitions) -> profile`, and the merge of two profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from wayline.catalog.contact import Outcome
from wayline.catalog.fields import Default
from wayline.catalog.model import Catalog
from wayline.catalog.traits import EventTrait
from wayline.identity import identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.contacts import fold_contacts, outcomes_by_event, united
from wayline_profile.core.evidence import Folder
from wayline_profile.core.folders import folders_of
from wayline_profile.core.identifiers import identifiers_of
from wayline_profile.core.properties import text_of

MAX_ATTRIBUTES = 200
MAX_CONSENTS = 50

Event = events_pb2.Event
Profile = profile_pb2.Profile
_Dated = profile_pb2.Attribute | profile_pb2.TimeZoneState | profile_pb2.Origin


@dataclass(frozen=True, slots=True)
class Subscription:
    """A trait that wants events of one name, with these properties."""

    trait: str
    folder: Folder
    where: Mapping[str, Default]

    def wants(self, event: Event) -> bool:
        """Whether the event's properties have the declared values."""
        return all(text_of(event, name) == _text(value) for name, value in self.where.items())


@dataclass(frozen=True, slots=True)
class Definitions:
    """The declared traits and outcomes, arranged for folding."""

    folders: Mapping[str, Folder]
    tracks: Mapping[str, tuple[Subscription, ...]]
    pages: tuple[Subscription, ...]
    screens: tuple[Subscription, ...]
    outcomes: Mapping[str, Outcome]
    """Name of a track event to the outcome that it tells."""

    def subscriptions(self, event: Event) -> tuple[Subscription, ...]:
        """Who wants the event."""
        if event.type == events_pb2.EVENT_TYPE_TRACK:
            return self.tracks.get(event.name, ())
        if event.type == events_pb2.EVENT_TYPE_PAGE:
            return self.pages
        if event.type == events_pb2.EVENT_TYPE_SCREEN:
            return self.screens
        return ()


def definitions_of(catalog: Catalog) -> Definitions:
    """Arrange a catalogue's traits and outcomes. 'page' and 'screen' stand for every page and every screen."""
    folders = folders_of(catalog)
    by_name: dict[str, list[Subscription]] = {}
    for name, trait in catalog.traits.items():
        if isinstance(trait, EventTrait):
            for event in trait.event:
                by_name.setdefault(event, []).append(Subscription(name, folders[name], trait.where))
    tracks = {name: tuple(wanted) for name, wanted in by_name.items()}
    pages, screens = tracks.pop("page", ()), tracks.pop("screen", ())
    return Definitions(folders, tracks, pages, screens, outcomes_by_event(catalog.outcomes))


def timestamp_ms(event: Event) -> int:
    """When it happened, else when it was received; milliseconds since 1970 UTC."""
    time = event.timestamp if event.HasField("timestamp") else event.received_at
    return time.seconds * 1_000 + time.nanos // 1_000_000


def fold(profile: Profile, event: Event, definitions: Definitions) -> Profile:
    """The profile after an event. The given profile stays as it is.

    The result depends on the event's content only: not on when it was received (unless it carries no time of its
    own) nor on its place in the stream.
    """
    after = Profile()
    after.CopyFrom(profile)
    fold_into(after, event, definitions)
    return after


def fold_into(profile: Profile, event: Event, definitions: Definitions) -> None:
    """`fold`, in place: for the projector, whose profiles are fresh from the store and nobody else's."""
    at_ms = timestamp_ms(event)
    profile.event_count += 1
    profile.last_seen_ms = max(profile.last_seen_ms, at_ms)
    profile.first_seen_ms = min(profile.first_seen_ms or at_ms, at_ms)
    _fold_origin(profile, event, at_ms)
    context = event.context
    if context.HasField("consent"):
        _fold_consent(profile, event, at_ms)
    if context.timezone:
        _fold_timezone(profile, event, at_ms)
    if event.type == events_pb2.EVENT_TYPE_IDENTIFY:
        _fold_attributes(profile, event, at_ms)
    elif event.type == events_pb2.EVENT_TYPE_TRACK and event.name in definitions.outcomes:
        fold_contacts(profile.contacts, event, definitions.outcomes[event.name], at_ms)
    for subscription in definitions.subscriptions(event):
        if not subscription.where or subscription.wants(event):
            subscription.folder.fold(profile.states[subscription.trait], event, at_ms)


def merge(profile: Profile, other: Profile, definitions: Definitions) -> Profile:
    """One profile of two, as if all events had arrived under one id. Identifiers are the caller's business."""
    merged = Profile()
    merged.CopyFrom(profile)
    merged.event_count += other.event_count
    merged.last_seen_ms = max(profile.last_seen_ms, other.last_seen_ms)
    merged.first_seen_ms = min(
        profile.first_seen_ms or other.first_seen_ms, other.first_seen_ms or profile.first_seen_ms
    )
    for name, theirs in sorted(other.attributes.items()):
        _keep_later(merged, name, theirs)
    for purpose, said in sorted(other.consents.items()):
        _keep_last_word(merged, purpose, said)
    for name, state in sorted(other.states.items()):
        if name not in merged.states:
            merged.states[name].CopyFrom(state)
        elif name in definitions.folders:
            definitions.folders[name].merge(merged.states[name], state)
    if other.contacts:
        del merged.contacts[:]
        merged.contacts.extend(united(profile.contacts, other.contacts))
    if other.HasField("timezone"):
        _keep_later_zone(merged, other.timezone)
    if other.HasField("origin"):
        _keep_earlier_origin(merged, other.origin)
    return merged


def _fold_origin(profile: Profile, event: Event, at_ms: int) -> None:
    # Nearly every event is later than the first, and costs this comparison only.
    if profile.HasField("origin") and at_ms > profile.origin.timestamp_ms:
        return
    pairs = identifiers_of(event)
    if pairs:
        key = identity_key(*pairs[0])
        origin = profile_pb2.Origin(timestamp_ms=at_ms, message_id=event.message_id, identity_key=key)
        _keep_earlier_origin(profile, origin)


def _keep_earlier_origin(profile: Profile, origin: profile_pb2.Origin) -> None:
    if not profile.HasField("origin") or _is_later(profile.origin, origin):
        profile.origin.CopyFrom(origin)


def _fold_timezone(profile: Profile, event: Event, at_ms: int) -> None:
    name = event.context.timezone
    if name in _zones():
        zone = profile_pb2.TimeZoneState(name=name, timestamp_ms=at_ms, message_id=event.message_id)
        _keep_later_zone(profile, zone)


def _keep_later_zone(profile: Profile, zone: profile_pb2.TimeZoneState) -> None:
    if not profile.HasField("timezone") or _is_later(zone, profile.timezone):
        profile.timezone.CopyFrom(zone)


@cache
def _zones() -> frozenset[str]:
    """The IANA names. 'localtime' would be another place on each machine, and 'Factory' is none."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _fold_consent(profile: Profile, event: Event, at_ms: int) -> None:
    for purpose, granted in event.context.consent.category_preferences.items():
        said = profile_pb2.ConsentState(granted=granted, timestamp_ms=at_ms, message_id=event.message_id)
        _keep_last_word(profile, purpose, said)


def _keep_last_word(profile: Profile, purpose: str, said: profile_pb2.ConsentState) -> None:
    if purpose not in profile.consents:
        if len(profile.consents) < MAX_CONSENTS:
            profile.consents[purpose].CopyFrom(said)
        return
    held = profile.consents[purpose]
    # Of two words of the same time the stricter wins: 'no' sorts after 'yes'.
    if (said.timestamp_ms, not said.granted, said.message_id) > (held.timestamp_ms, not held.granted, held.message_id):
        held.CopyFrom(said)


def _fold_attributes(profile: Profile, event: Event, at_ms: int) -> None:
    for name, value in event.traits.fields.items():
        stated = profile_pb2.Attribute(value=value, timestamp_ms=at_ms, message_id=event.message_id)
        _keep_later(profile, name, stated)


def _keep_later(profile: Profile, name: str, stated: profile_pb2.Attribute) -> None:
    if name not in profile.attributes:
        if len(profile.attributes) < MAX_ATTRIBUTES:
            profile.attributes[name].CopyFrom(stated)
        return
    held = profile.attributes[name]
    if _is_later(stated, held):
        held.CopyFrom(stated)


def _is_later(one: _Dated, other: _Dated) -> bool:
    return (one.timestamp_ms, one.message_id) > (other.timestamp_ms, other.message_id)


def _text(value: Default) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, int | float) else value
