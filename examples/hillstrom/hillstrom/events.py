"""The trial as ordinary events of the Segment spec.

Message ids and times follow from the row, so that a second run sends the same events, which count once. The file
has no dates: those here are of the spring in which it was published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hillstrom.reader import Customer
from wayline.v1 import events_pb2
from wayline.v1.events_pb2 import Event

IDENTIFIED = datetime(2008, 3, 1, 9, tzinfo=UTC)
ASSIGNED = IDENTIFIED + timedelta(days=2)
VISITED = ASSIGNED + timedelta(days=3)
ORDERED = VISITED + timedelta(minutes=20)
CONSENT = {"personalisation": True, "marketing_email": True}
_SOURCE = "hillstrom"


def customer_id(number: int) -> str:
    """The user id of a row."""
    return f"hillstrom-{number:05d}"


def identify(customer: Customer) -> Event:
    """Who the customer is: what was known before the trial, and consent to being written to."""
    event = _event(customer, "identify", events_pb2.EVENT_TYPE_IDENTIFY, IDENTIFIED)
    event.traits.update(
        {
            "recency": customer.recency,
            "history": customer.history,
            "history_segment": customer.history_segment,
            "mens": customer.mens,
            "womens": customer.womens,
            "zip_code": customer.zip_code,
            "newbie": customer.newbie,
            "channel": customer.channel,
        }
    )
    event.context.consent.category_preferences.update(CONSENT)
    return event


def outcomes(customer: Customer) -> list[Event]:
    """The drawn arm and what came of it, oldest first."""
    events = [_track(customer, "assigned", "Campaign Assigned", ASSIGNED, {"arm": customer.arm})]
    if customer.visit:
        events.append(_track(customer, "visited", "Site Visited", VISITED, {}))
    if customer.conversion:
        events.append(_track(customer, "ordered", "Order Completed", ORDERED, {"total": customer.spend}))
    return events


def events_of(customer: Customer) -> list[Event]:
    """All that the system is told of a customer: of the other half nothing that happened in the trial."""
    return [identify(customer), *(outcomes(customer) if customer.training else ())]


def batches(customers: Iterable[Sequence[Event]], at_most: int) -> Iterator[list[Event]]:
    """Batches of at most so many events. Those of one customer stay together, and so in their order."""
    batch: list[Event] = []
    for events in customers:
        if batch and len(batch) + len(events) > at_most:
            yield batch
            batch = []
        batch.extend(events)
    if batch:
        yield batch


def _track(customer: Customer, suffix: str, name: str, at: datetime, properties: dict[str, Any]) -> Event:
    event = _event(customer, suffix, events_pb2.EVENT_TYPE_TRACK, at)
    event.name = name
    event.properties.update(properties)
    return event


def _event(customer: Customer, suffix: str, kind: events_pb2.EventType, at: datetime) -> Event:
    user_id = customer_id(customer.number)
    event = Event(message_id=f"{user_id}.{suffix}", type=kind, user_id=user_id, source=_SOURCE)
    # A second for each row, so that a timeline of all is no heap.
    event.timestamp.FromDatetime(at + timedelta(seconds=customer.number))
    return event
