"""What decisions take from each other, and how profiles hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, cast

from google.protobuf.json_format import MessageToDict
from nats.aio.client import Client
from tests.support.decisions import NOW, a_plan, a_question, an_action, decided
from tests.support.engines import Kept, Shop

from wayline.catalog.contact import DECISION_EVENT
from wayline.identity import partition_of
from wayline.publish import AckedPublisher
from wayline.v1 import events_pb2
from wayline_decision.budgets import Budgets
from wayline_decision.core.contact import Met
from wayline_decision.core.plan import Plan
from wayline_decision.ledger import Counted, Customer, Ledger, told_log
from wayline_decision.siblings import Siblings

ADA = Customer(("key of ada", "profile of ada"), events_pb2.Identifier(kind="user_id", value="ada"))
BOB = Customer(("key of bob", "profile of bob"), events_pb2.Identifier(kind="user_id", value="bob"))
NOW_MS = int(NOW.timestamp() * 1_000)


def a_capped_plan(**fields: Any) -> Plan:
    return a_plan([an_action("a", contact={"caps": {"limit": 2, "window": "7d", **fields}})])


def takes(ledger: Ledger, plan: Plan, customer: Customer = ADA, decision_id: str = "d1") -> None:
    counted = Counted(not plan.contact.empty, plan.contact.counted_on)
    ledger.take(plan, counted, customer, decided(plan, a_question(plan)), decision_id, NOW)


def test_nothing_was_taken_yet() -> None:
    plan = a_capped_plan()
    limits, exhausted = Ledger().limits(plan, ADA, None, NOW)
    assert (limits.exhausted, tuple(limits.reserved), tuple(exhausted)) == (0, (), ())


def test_what_was_chosen_counts_as_a_decision_and_as_an_impression_of_this_customer_only() -> None:
    plan, ledger = a_capped_plan(), Ledger()
    takes(ledger, plan)
    limits, _ = ledger.limits(plan, ADA, None, NOW)
    assert list(limits.reserved) == [Met(one, "a", "web", NOW_MS, "d1") for one in ("decision", "impression")]
    assert not ledger.limits(plan, BOB, None, NOW)[0].reserved


def test_what_the_profile_shows_is_not_held_beside_it() -> None:
    plan, ledger = a_capped_plan(), Ledger()
    takes(ledger, plan)
    known = a_question(plan, contacts=[Met("impression", "a", "web", NOW_MS, "d1")]).known
    limits, _ = ledger.limits(plan, ADA, known, NOW)
    assert [one.outcome for one in limits.reserved] == ["decision"]


def test_without_a_contact_policy_nothing_is_held() -> None:
    plan, ledger = a_plan([an_action("a")]), Ledger()
    takes(ledger, plan)
    assert not ledger.limits(a_capped_plan(), ADA, None, NOW)[0].reserved


def test_an_empty_answer_takes_nothing() -> None:
    plan, ledger = a_capped_plan(), Ledger()
    silent = decided(plan, a_question(plan, "offer"))
    ledger.take(plan, Counted(contacts=True, decisions_on=None), ADA, silent, "d1", NOW)
    assert not ledger.limits(plan, ADA, None, NOW)[0].reserved


def test_a_budget_is_taken_by_everybody_together() -> None:
    plan = a_plan([an_action("a", budget={"total": 2}), an_action("b", value=0.1)])
    budgets = Budgets(Client(), clock=lambda: NOW)
    budgets.use(plan.budgets)
    ledger = Ledger(budgets=budgets)
    takes(ledger, plan, ADA)
    assert ledger.limits(plan, BOB, None, NOW)[1] == ()
    takes(ledger, plan, BOB)
    limits, exhausted = ledger.limits(plan, ADA, None, NOW)
    assert (limits.exhausted, exhausted) == (plan.budgets.rows_of(["a"]), ("a",))


def test_an_arm_whose_catalogue_has_no_budget_uses_up_the_budget_of_the_others_too() -> None:
    plan, arm = a_plan([an_action("a", budget={"total": 1})]), a_plan([an_action("a")])
    budgets = Budgets(Client(), clock=lambda: NOW)
    budgets.use(plan.budgets, arm.budgets)
    ledger = Ledger(budgets=budgets)
    takes(ledger, arm)
    assert ledger.limits(plan, ADA, None, NOW)[1] == ("a",)


def test_what_was_promised_to_a_stranger_holds_when_he_is_known_and_while_he_cannot_be_looked_up() -> None:
    plan, ledger = a_capped_plan(), Ledger()
    stranger, known = ADA._replace(keys=ADA.keys[:1]), ADA
    takes(ledger, plan, stranger, "d1")
    takes(ledger, plan, known, "d2")
    for customer in (stranger, known):
        reserved = ledger.limits(plan, customer, None, NOW)[0].reserved
        assert {one.decision_id for one in reserved} == {"d1", "d2"}
        assert len(reserved) == 4


def test_who_is_asked_for_by_another_identifier_keeps_what_was_promised() -> None:
    plan, ledger = a_capped_plan(), Ledger()
    takes(ledger, plan, ADA)
    by_mail = ADA._replace(keys=("key of ada's address", "profile of ada"))
    assert len(ledger.limits(plan, by_mail, None, NOW)[0].reserved) == 2


def test_a_profile_is_told_by_an_event_like_any_other() -> None:
    shop = Shop(a_capped_plan(outcome="decision"))
    response = shop.decide(" ada")
    (event,) = shop.told
    assert (event.name, event.type, event.source) == (DECISION_EVENT, events_pb2.EVENT_TYPE_TRACK, "wayline")
    assert event.message_id == f"decision-{response.decision_id}"
    assert event.timestamp.ToDatetime(NOW.tzinfo) == event.received_at.ToDatetime(NOW.tzinfo) == NOW
    assert MessageToDict(event.properties)["customer"] == {"kind": "user_id", "value": " ada"}


def test_the_event_goes_to_the_partition_of_the_customers_own_events() -> None:
    for name in ("ada", "bob", "cyd", "dan"):
        shop = Shop(a_capped_plan(outcome="decision"))
        shop.decide(name)
        assert shop.told
        assert [one.subject for one in shop._told.messages] == [f"events.{partition_of(name, 4)}"]


def test_the_event_is_the_same_when_it_is_sent_again() -> None:
    """The profile folds a message id once."""
    kept = Kept()
    log = told_log(cast(AckedPublisher, kept), max_bytes=1 << 20)
    ledger, plan = Ledger(told=log), a_capped_plan(outcome="decision")
    takes(ledger, plan)
    takes(ledger, plan, decision_id="d2")
    asyncio.run(log.flush(1.0))
    assert [one.message_id for one in kept.messages] == ["decision-d1", "decision-d2"]


class Others:
    """In the place of the other workers of a port: notes what they would be asked and told."""

    def __init__(self) -> None:
        self.noted: list[Any] = []

    def alone(self, keys: Sequence[str | bytes]) -> AbstractContextManager[None]:
        self.noted.append(("alone", keys))
        return nullcontext()

    def tell(self, keys: Sequence[str | bytes], contacts: Sequence[Met]) -> None:
        self.noted.append(("told", keys, [one.action for one in contacts]))


def test_other_workers_of_the_port_are_kept_away_by_all_keys_and_know_of_a_promise_before_other_replicas() -> None:
    plan, others = a_capped_plan(), Others()
    ledger = Ledger(siblings=cast(Siblings, others), announce=lambda keys, _: others.noted.append(("announced", keys)))
    with ledger.alone(plan, ADA):
        takes(ledger, plan)
    assert others.noted == [("alone", ADA.keys), ("told", ADA.keys, ["a"]), ("announced", ADA.keys)]


def test_where_nothing_is_limited_or_no_worker_shares_the_port_nobody_is_kept_away() -> None:
    others = Others()
    unlimited, single = Ledger(siblings=cast(Siblings, others)), Ledger()
    first = unlimited.alone(a_plan([an_action("a", budget={"total": 2})]), ADA)
    assert first is single.alone(a_capped_plan(), BOB), "it is not even made anew"
    assert others.noted == []


def test_promises_are_held_for_minutes_and_not_for_ever() -> None:
    plan, ledger = a_capped_plan(), Ledger()
    takes(ledger, plan)
    assert ledger.limits(plan, ADA, None, NOW + timedelta(minutes=4))[0].reserved
    assert not ledger.limits(plan, ADA, None, NOW + timedelta(minutes=6))[0].reserved
