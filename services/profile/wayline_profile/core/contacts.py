"""Contacts: what a customer was met with and did with it, which is what caps, cool-downs and suppression count.

A profile keeps the `MAX_CONTACTS` latest, sorted. 'The latest of the union' is commutative, associative and idempotent:
neither the order of events, nor merges, nor a repetition changes it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, MutableSequence

from google.protobuf import struct_pb2

from wayline.catalog.contact import DECISION_EVENT, Outcome, Outcomes
from wayline.v1 import events_pb2, profile_pb2

MAX_CONTACTS = 500
MAX_SELECTIONS = 50
_MAX_CHARACTERS = 64

ContactState = profile_pb2.ContactState
Contacts = MutableSequence[ContactState]
Order = tuple[int, str, str, str, str, str]
Facts = Mapping[str, struct_pb2.Value]


def outcomes_by_event(outcomes: Outcomes) -> dict[str, Outcome]:
    """Name of a track event to the outcome that it tells. Decisions are told by the decision service's own event."""
    told: dict[Outcome, tuple[str, ...]] = {
        "impression": outcomes.impression,
        "click": outcomes.click,
        "conversion": outcomes.conversion,
        "dismissal": outcomes.dismissal,
        "decision": (DECISION_EVENT,),
    }
    return {name: outcome for outcome, names in told.items() for name in names}


def order_of(state: ContactState) -> Order:
    """By time, message id, outcome and action. The rest makes the order total, so that equal means the same contact."""
    contact = state.contact
    return (
        contact.timestamp_ms, state.message_id, contact.outcome, contact.action, contact.channel, contact.decision_id
    )  # fmt: skip


def fold_contacts(contacts: Contacts, event: events_pb2.Event, outcome: Outcome, at_ms: int) -> None:
    """Take up the contacts that a track event tells, in place; none when it names no action."""
    facts = event.properties.fields
    decision_id = _text(facts, "decision_id")
    for told in _selections(facts) if outcome == "decision" else (facts,):
        action = _text(told, "action")
        if action:
            contact = profile_pb2.Contact(
                outcome=outcome,
                action=action,
                channel=_text(told, "channel") or event.context.channel,
                timestamp_ms=at_ms,
                decision_id=decision_id,
            )
            _insert(contacts, ContactState(contact=contact, message_id=event.message_id))


def united(ours: Iterable[ContactState], theirs: Iterable[ContactState]) -> list[ContactState]:
    """The latest of both, sorted."""
    union = {order_of(state): state for state in (*ours, *theirs)}
    return [union[order] for order in sorted(union)[-MAX_CONTACTS:]]


def _insert(contacts: Contacts, state: ContactState) -> None:
    order, at = order_of(state), len(contacts)
    # Nearly always the newest: then one comparison is enough.
    if at and order <= order_of(contacts[-1]):
        at = bisect_left(contacts, order, key=order_of)
        if order_of(contacts[at]) == order:
            return
    contacts.insert(at, state)
    if len(contacts) > MAX_CONTACTS:
        del contacts[0]


def _selections(facts: Facts) -> Iterator[Facts]:
    if "selections" in facts:
        for chosen in facts["selections"].list_value.values[:MAX_SELECTIONS]:
            yield chosen.struct_value.fields


def _text(facts: Facts, name: str) -> str:
    """A fact that is a text of 1 to 64 characters, else ''."""
    text = facts[name].string_value if name in facts else ""
    return text if len(text) <= _MAX_CHARACTERS else ""
