"""The identifiers of customers, as events name them."""

from __future__ import annotations

from wayline.catalog.contact import DECISION_EVENT
from wayline.identity import KINDS, normalise
from wayline.v1 import events_pb2

Pair = tuple[str, str]
"""Kind and normalised value."""


def identifiers_of(event: events_pb2.Event) -> list[Pair]:
    """The identifiers that an event names, normalised, foremost first. An identify's e-mail address is one."""
    pairs: list[Pair] = []
    if event.name == DECISION_EVENT and "customer" in event.properties.fields:
        return _customer_of(event)
    if event.user_id:
        pairs.append(("user_id", normalise("user_id", event.user_id)))
    if event.type == events_pb2.EVENT_TYPE_IDENTIFY and "email" in event.traits.fields:
        email = normalise("email", event.traits.fields["email"].string_value)
        if 0 < len(email) <= 256:
            pairs.append(("email", email))
    if event.anonymous_id:
        pairs.append(("anonymous_id", normalise("anonymous_id", event.anonymous_id)))
    if event.type == events_pb2.EVENT_TYPE_ALIAS and event.previous_id:
        # The Segment spec does not say which kind the former id was, so both lead to the customer.
        former = normalise("user_id", event.previous_id)
        pairs += [("user_id", former), ("anonymous_id", former)]
    return pairs


def _customer_of(event: events_pb2.Event) -> list[Pair]:
    """Whom the decision service decided for: by any kind of identifier, as the request named it."""
    named = event.properties.fields["customer"].struct_value.fields
    kind, value = named["kind"].string_value, named["value"].string_value
    return [(kind, normalise(kind, value))] if kind in KINDS and value.strip() else []


def linked(event: events_pb2.Event) -> list[Pair]:
    """The identifiers that the event says belong together: all for identify and alias, else the foremost only."""
    pairs = identifiers_of(event)
    links = event.type in (events_pb2.EVENT_TYPE_IDENTIFY, events_pb2.EVENT_TYPE_ALIAS)
    return pairs if links else pairs[:1]
