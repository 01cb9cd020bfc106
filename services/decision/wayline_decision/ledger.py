"""What decisions take from each other: budgets, and the contacts of a customer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import NamedTuple

from wayline.bus import EVENT_SUBJECTS
from wayline.catalog.contact import DECISION_EVENT
from wayline.identity import partition_of
from wayline.publish import AckedPublisher, Message
from wayline.v1 import events_pb2
from wayline_decision.budgets import Budgets
from wayline_decision.core.budget import NOTHING
from wayline_decision.core.contact import Met
from wayline_decision.core.decision import Decision, Limits
from wayline_decision.core.known import Known
from wayline_decision.core.plan import Plan
from wayline_decision.core.timetable import milliseconds
from wayline_decision.records import RecordLog, one_by_one
from wayline_decision.reservations import Reservations
from wayline_decision.siblings import Siblings

SOURCE = "wayline"


class Customer(NamedTuple):
    """Whose contacts are counted."""

    keys: tuple[str | bytes, ...]
    """The identity key that was asked for, and the profile's id where there is a profile: what was promised to a
    stranger holds when he becomes known, and while he cannot be looked up.
    """
    identifier: events_pb2.Identifier


class Counted(NamedTuple):
    """What has to be counted, since some catalogue that decides limits it: an experiment's arm may have its own."""

    contacts: bool
    decisions_on: frozenset[str] | None
    """The channels on which profiles are told of decisions; None: all."""


class Ledger:
    """Says what is left, and takes what was chosen. Call both within one turn of the engine, and while the customer is
    its `alone`: then the workers of one port never give the same contact away twice.
    """

    def __init__(
        self,
        *,
        reservations: Reservations | None = None,
        budgets: Budgets | None = None,
        told: RecordLog | None = None,
        partitions: int = 1,
        announce: Callable[[Sequence[str | bytes], Sequence[Met]], None] | None = None,
        siblings: Siblings | None = None,
    ) -> None:
        """Put together.

        Args:
            reservations: of contacts; None: with the usual limits.
            budgets: of actions; None: there are none.
            told: takes the events by which profiles learn what was decided; None: they do not.
            partitions: of the event stream.
            announce: tells other replicas what was promised to a customer, by all keys; None: there are none.
            siblings: the other workers of this port; None: there are none.
        """
        self._reservations = Reservations() if reservations is None else reservations
        self._budgets = budgets
        self._told = told
        self._partitions = partitions
        self._announce = announce
        self._siblings = siblings

    def alone(self, plan: Plan, customer: Customer) -> AbstractContextManager[None]:
        """While the block lasts, no other worker of this port says what is left for a customer, or takes it."""
        if self._siblings is None or plan.contact.empty:
            return _TOGETHER
        return self._siblings.alone(customer.keys)

    def limits(
        self, plan: Plan, customer: Customer, known: Known | None, now: datetime
    ) -> tuple[Limits, Sequence[str]]:
        """What is left for a customer's next decision, and the actions whose budget is used up."""
        exhausted, reserved = NOTHING, _NONE
        if self._budgets is not None and not plan.budgets.empty:
            exhausted = self._budgets.exhausted(plan.budgets, now)
        if not plan.contact.empty and any(self._reservations.holds_any(key) for key in customer.keys):
            reserved = self._reserved(customer, known, now)
        if not exhausted.mask and not reserved:
            return _EVERYTHING
        return Limits(exhausted.mask, reserved), exhausted.actions

    def _reserved(self, customer: Customer, known: Known | None, now: datetime) -> tuple[Met, ...]:
        shown = {(one.outcome, one.decision_id, one.action) for one in known.contacts} if known else frozenset()
        now_ms = milliseconds(now)
        held = [one for key in customer.keys for one in self._reservations.held(key, shown, now_ms)]
        return tuple(dict.fromkeys(held))

    def take(
        self, plan: Plan, counted: Counted, customer: Customer, decision: Decision, decision_id: str, now: datetime
    ) -> None:
        """Take what was chosen."""
        if not counted.contacts and self._budgets is None:
            return
        chosen = [
            (plan.rows[one.row].action_id, filled.placement.channel)
            for filled in decision.placements
            for one in filled.chosen
        ]
        if not chosen:
            return
        if self._budgets is not None:
            self._budgets.take([action for action, _ in chosen], now)
        if counted.contacts:
            now_ms = milliseconds(now)
            promised = [Met("impression", action, channel, now_ms, decision_id) for action, channel in chosen]
            for key in customer.keys:
                self._reservations.reserve(key, promised, now_ms)
            if self._siblings is not None:
                self._siblings.tell(customer.keys, promised)
            if self._announce is not None:
                self._announce(customer.keys, promised)
            on = counted.decisions_on
            told = chosen if on is None else [one for one in chosen if one[1] in on]
            if told and self._told is not None:
                self._told.append(Told(self._partitions, customer.identifier, told, decision_id, now))


class Told(NamedTuple):
    """An event like any other, by which a profile learns what was decided: folded once, whatever dies meanwhile."""

    partitions: int
    identifier: events_pb2.Identifier
    chosen: Sequence[tuple[str, str]]
    """Actions and the channels that they go out on."""
    decision_id: str
    now: datetime

    def encoded(self) -> Message:
        """For the event stream."""
        event = events_pb2.Event(
            message_id=f"decision-{self.decision_id}",
            type=events_pb2.EVENT_TYPE_TRACK,
            name=DECISION_EVENT,
            source=SOURCE,
        )
        event.timestamp.FromDatetime(self.now)
        event.received_at.FromDatetime(self.now)
        event.properties.update(
            {
                "decision_id": self.decision_id,
                "customer": {"kind": self.identifier.kind, "value": self.identifier.value},
                "selections": [{"action": action, "channel": channel} for action, channel in self.chosen],
            }
        )
        partition = partition_of(self.identifier.value.strip(), self.partitions)
        return Message(EVENT_SUBJECTS.replace("*", str(partition)), event.SerializeToString(), event.message_id)


def told_log(publisher: AckedPublisher, *, max_bytes: int) -> RecordLog:
    """What takes the events by which profiles learn what was decided."""
    return RecordLog(publisher, max_bytes=max_bytes, what="decision_events", messages=one_by_one)


_NONE: tuple[Met, ...] = ()
_TOGETHER = nullcontext()
_EVERYTHING: tuple[Limits, Sequence[str]] = (Limits(), ())
