"""The consent gate: what may be stored, by what the event itself says of consent. Pure, and fail-closed.

It knows the event only, since a customer's former word may come later than the event that it would allow. So a client
sends its consent with each event, as the Segment spec asks it to.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Literal, NamedTuple

from wayline.catalog.consent import Purpose, Said, Standing, Storing, standing_of
from wayline.catalog.model import Catalog
from wayline.v1 import events_pb2

Event = events_pb2.Event

CONSENT_EVENT = "Segment Consent Preference Updated"
"""What the Segment spec calls a track event that tells of consent and of nothing else."""
_MAX_UNASKED = 2_000
"""Purposes by regions, as senders name them, whose default is looked up once: it would be half of the gate's time."""
_CALLS: Mapping[str, int] = {
    "identify": events_pb2.EVENT_TYPE_IDENTIFY,
    "page": events_pb2.EVENT_TYPE_PAGE,
    "screen": events_pb2.EVENT_TYPE_SCREEN,
    "group": events_pb2.EVENT_TYPE_GROUP,
    "alias": events_pb2.EVENT_TYPE_ALIAS,
}
_LINKING = (events_pb2.EVENT_TYPE_IDENTIFY, events_pb2.EVENT_TYPE_ALIAS)


class Outcome(Enum):
    """What becomes of an event."""

    PASS = "pass"  # noqa: S105
    """It is stored as it is."""
    STRIP = "strip"
    """What `stripped` leaves of it is stored: it tells of a wish for privacy, which is to be kept."""
    REFUSE = "refuse"
    """Nothing of it is stored, not as a dead letter either. It is counted by purpose and reason."""


class Verdict(NamedTuple):
    """What becomes of an event, and why."""

    outcome: Outcome
    purpose: str = ""
    region: str = ""
    """As the event names it; empty: it does not."""
    why: Literal["", "denied", "unknown"] = ""


PASSED = Verdict(Outcome.PASS)


class ConsentGate:
    """Judges events by one catalogue's `collection`."""

    def __init__(self, purposes: Mapping[str, Purpose], default: str | None, events: Mapping[str, Storing]) -> None:
        """Use `ConsentGate.of`."""
        self._purposes = purposes
        self._default = default
        self._unasked: dict[tuple[str, str], Standing] = {}
        self._tracks = {name: one for name, one in events.items() if name not in _CALLS}
        self._calls = {_CALLS[name]: one for name, one in events.items() if name in _CALLS}

    @classmethod
    def of(cls, catalog: Catalog) -> ConsentGate:
        """The gate of a catalogue. Without a section `collection` it lets everything pass."""
        if catalog.collection is None:
            return cls(catalog.purposes, None, {})
        return cls(catalog.purposes, catalog.collection.purpose, catalog.collection.events)

    def judge(self, event: Event) -> Verdict:
        """What becomes of an event that is otherwise valid."""
        if self._default is None:
            return PASSED
        purpose = self._purpose_of(event)
        if purpose is None:
            return PASSED
        standing = self._standing(event, purpose)
        if standing.allowed:
            return PASSED
        outcome = Outcome.STRIP if _states_a_wish(event) else Outcome.REFUSE
        why: Literal["denied", "unknown"] = "unknown" if standing.state == "unknown" else "denied"
        return Verdict(outcome, purpose, event.context.region, why)

    def _standing(self, event: Event, purpose: str) -> Standing:
        context = event.context
        if context.HasField("consent"):
            return standing_of(purpose, self._purposes.get(purpose), said_by(event))
        key = (purpose, context.region)
        standing = self._unasked.get(key)
        if standing is None:
            standing = standing_of(purpose, self._purposes.get(purpose), Said(region=context.region))
            if len(self._unasked) < _MAX_UNASKED:
                self._unasked[key] = standing
        return standing

    def _purpose_of(self, event: Event) -> str | None:
        is_track = event.type == events_pb2.EVENT_TYPE_TRACK
        named = self._tracks.get(event.name) if is_track else self._calls.get(event.type)
        return self._default if named is None else named.purpose


def said_by(event: Event) -> Said:
    """What an event itself says of its customer's wishes."""
    consent = event.context.consent
    return Said(
        consent.category_preferences,
        event.context.region,
        consent.global_privacy_control or consent.do_not_sell_or_share,
    )


def stripped(event: Event) -> Event:
    """A copy that tells of consent, and of whom, when and where: no name, no property, no trait.

    What the customer did becomes a mere statement of consent, so that no trait counts it. Identify and alias keep their
    type: whom they join has to be known, for a no to hold under each of the customer's identifiers.
    """
    rest = Event(
        message_id=event.message_id,
        type=event.type if event.type in _LINKING else events_pb2.EVENT_TYPE_TRACK,
        anonymous_id=event.anonymous_id,
        user_id=event.user_id,
        previous_id=event.previous_id,
        identifiers=event.identifiers,
        source=event.source,
    )
    if rest.type == events_pb2.EVENT_TYPE_TRACK:
        rest.name = CONSENT_EVENT
    for field in ("timestamp", "sent_at", "received_at", "original_timestamp"):
        if event.HasField(field):
            getattr(rest, field).CopyFrom(getattr(event, field))
    rest.context.consent.CopyFrom(event.context.consent)
    rest.context.region = event.context.region
    return rest


def _states_a_wish(event: Event) -> bool:
    if not event.context.HasField("consent"):
        return False
    consent = event.context.consent
    return bool(
        consent.category_preferences
        or consent.HasField("global_privacy_control")
        or consent.HasField("do_not_sell_or_share")
    )
