"""Events as tests write them."""

from __future__ import annotations

from itertools import count
from typing import Any

from wayline.identity import identity_key
from wayline.v1 import events_pb2

NOON_MS = 1_790_000_000_000
"""A moment in 2026, by which tests count."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_numbers = count(1)

Event = events_pb2.Event


def an_event(**fields: Any) -> Event:
    """A good event: an anonymous visitor looked at a product. `fields` replace or add; each has an id of its own."""
    values: dict[str, Any] = {
        "message_id": f"event-{next(_numbers)}",
        "type": events_pb2.EVENT_TYPE_TRACK,
        "anonymous_id": "visitor-1",
        "name": "Product Viewed",
    }
    return Event(**{**values, **fields})


def track(
    name: str,
    properties: dict[str, Any] | None = None,
    *,
    user: str = "",
    browser: str = "",
    at_ms: int = NOON_MS,
    message_id: str = "",
    consent: dict[str, bool] | None = None,
) -> Event:
    """A track event."""
    event = _event(events_pb2.EVENT_TYPE_TRACK, user, browser, at_ms, message_id, consent)
    event.name = name
    event.properties.update(properties or {})
    return event


def identify(
    traits: dict[str, Any] | None = None,
    *,
    user: str = "",
    browser: str = "",
    at_ms: int = NOON_MS,
    message_id: str = "",
    consent: dict[str, bool] | None = None,
) -> Event:
    """An identify event."""
    event = _event(events_pb2.EVENT_TYPE_IDENTIFY, user, browser, at_ms, message_id, consent)
    event.traits.update(traits or {})
    return event


def alias(user: str, previous: str, *, at_ms: int = NOON_MS) -> Event:
    """An alias event: `previous` is `user`."""
    event = _event(events_pb2.EVENT_TYPE_ALIAS, user, "", at_ms, "", None)
    event.previous_id = previous
    return event


def page(name: str = "", properties: dict[str, Any] | None = None, *, user: str = "u", at_ms: int = NOON_MS) -> Event:
    """A page event."""
    event = _event(events_pb2.EVENT_TYPE_PAGE, user, "", at_ms, "", None)
    event.name = name
    event.properties.update(properties or {})
    return event


def ruling(
    one: tuple[str, str], other: tuple[str, str], *, apart: bool, at_ms: int = NOON_MS, message_id: str = ""
) -> Event:
    """Staff say of two identifiers, kind and value, whether they are two customers."""
    event = _control(events_pb2.EVENT_TYPE_RULING, at_ms, message_id)
    event.ruling.one, event.ruling.other, event.ruling.apart = identity_key(*one), identity_key(*other), apart
    return event


def restriction(one: tuple[str, str], *, restricted: bool, at_ms: int = NOON_MS, message_id: str = "") -> Event:
    """Whether the data of who has an identifier may be used."""
    event = _control(events_pb2.EVENT_TYPE_RESTRICTION, at_ms, message_id)
    event.restriction.identity_key, event.restriction.restricted = identity_key(*one), restricted
    return event


def _control(kind: events_pb2.EventType, at_ms: int, message_id: str) -> Event:
    event = _event(kind, "", "", at_ms, message_id, None)
    event.ClearField("anonymous_id")
    return event


def _event(
    kind: events_pb2.EventType, user: str, browser: str, at_ms: int, message_id: str, consent: dict[str, bool] | None
) -> Event:
    event = Event(
        message_id=message_id or f"test-{next(_numbers)}",
        type=kind,
        user_id=user,
        anonymous_id=browser or ("" if user else "b"),
    )
    event.timestamp.FromMilliseconds(at_ms)
    event.received_at.FromMilliseconds(at_ms + 50)
    if consent:
        event.context.consent.category_preferences.update(consent)
    return event
