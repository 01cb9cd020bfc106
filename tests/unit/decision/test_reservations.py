"""What was promised a moment ago counts, until the customer's view shows it."""

from __future__ import annotations

import threading

import pytest
from tests.support.decisions import NOW, a_catalog, an_action

from wayline_decision.core.contact import Met, compile_contact
from wayline_decision.reservations import Reservations

NOW_MS = int(NOW.timestamp() * 1_000)
ADA, BOB = b"ada", b"bob"


def a_choice(action: str = "boots", decision: str = "d1", at_ms: int = NOW_MS) -> Met:
    return Met("decision", action, "web", at_ms, decision)


def actions(held: tuple[Met, ...], outcome: str = "impression") -> list[str]:
    return [one.action for one in held if one.outcome == outcome]


def test_a_choice_counts_as_a_decision_and_as_an_impression() -> None:
    reservations = Reservations()
    reservations.reserve(ADA, [a_choice()], NOW_MS)
    assert reservations.held(ADA, (), NOW_MS) == (
        Met("decision", "boots", "web", NOW_MS, "d1"),
        Met("impression", "boots", "web", NOW_MS, "d1"),
    )


def test_the_second_request_of_a_millisecond_does_not_use_the_last_contact_again() -> None:
    catalog = a_catalog([an_action("boots", contact={"caps": {"limit": 1, "window": "7d"}})])
    plan, reservations = compile_contact(catalog, ["boots"]), Reservations()
    went_out = 0
    for decision in ("d1", "d2"):
        if not plan.judge(reservations.held(ADA, (), NOW_MS), "", NOW).blocked("web"):
            reservations.reserve(ADA, [a_choice(decision=decision)], NOW_MS)
            went_out += 1
    assert went_out == 1


def test_what_was_promised_to_one_customer_is_nothing_to_another() -> None:
    reservations = Reservations()
    reservations.reserve(ADA, [a_choice()], NOW_MS)
    assert reservations.holds_any(ADA)
    assert not reservations.holds_any(BOB)
    assert reservations.held(BOB, (), NOW_MS) == ()


def test_what_the_view_shows_is_not_counted_twice() -> None:
    reservations = Reservations()
    reservations.reserve(ADA, [a_choice("boots"), a_choice("tote")], NOW_MS)
    shown = {("impression", "d1", "boots"), ("decision", "d1", "boots"), ("decision", "d1", "tote")}
    held = reservations.held(ADA, shown, NOW_MS)
    assert [(one.outcome, one.action) for one in held] == [("impression", "tote")]


def test_a_request_that_knows_an_older_view_still_counts_what_a_newer_one_showed() -> None:
    reservations = Reservations()
    reservations.reserve(ADA, [a_choice()], NOW_MS)
    shown = {("impression", "d1", "boots"), ("decision", "d1", "boots")}
    assert reservations.held(ADA, shown, NOW_MS) == ()
    assert actions(reservations.held(ADA, (), NOW_MS)) == ["boots"]


def test_an_impression_of_another_decision_is_another_contact() -> None:
    reservations = Reservations()
    reservations.reserve(ADA, [a_choice(decision="d2")], NOW_MS)
    assert actions(reservations.held(ADA, {("impression", "d1", "boots")}, NOW_MS)) == ["boots"]


def test_when_views_have_shown_all_for_a_while_nothing_is_left() -> None:
    reservations = Reservations()
    reservations.reserve(ADA, [a_choice()], NOW_MS)
    shown = {("impression", "d1", "boots"), ("decision", "d1", "boots")}
    assert reservations.held(ADA, shown, NOW_MS) == ()
    assert reservations.held(ADA, shown, NOW_MS + 10_000) == ()
    assert not reservations.holds_any(ADA)
    assert len(reservations) == 0


def test_a_promise_that_was_not_kept_in_time_is_forgotten() -> None:
    reservations = Reservations(ttl_seconds=10)
    reservations.reserve(ADA, [a_choice()], NOW_MS)
    assert reservations.held(ADA, (), NOW_MS + 9_999) != ()
    assert reservations.held(ADA, (), NOW_MS + 10_000) == ()
    assert not reservations.holds_any(ADA)


def test_customers_who_never_come_back_are_forgotten_too() -> None:
    reservations = Reservations(ttl_seconds=10)
    reservations.reserve(ADA, [a_choice()], NOW_MS)
    reservations.reserve(BOB, [a_choice(at_ms=NOW_MS + 10_000)], NOW_MS + 10_000)
    assert not reservations.holds_any(ADA)
    assert reservations.holds_any(BOB)


def test_nothing_chosen_is_nothing_held() -> None:
    reservations = Reservations()
    reservations.reserve(ADA, [], NOW_MS)
    assert not reservations.holds_any(ADA)


def test_what_another_replica_promised_counts_here() -> None:
    reservations = Reservations()
    reservations.adopt(ADA, [a_choice()], NOW_MS + 5)
    assert actions(reservations.held(ADA, (), NOW_MS + 5)) == ["boots"]


def test_an_announcement_of_our_own_promise_changes_nothing() -> None:
    reservations = Reservations()
    reservations.reserve(ADA, [a_choice()], NOW_MS)
    before = reservations.held(ADA, (), NOW_MS)
    reservations.adopt(ADA, before, NOW_MS)
    assert reservations.held(ADA, (), NOW_MS) == before


def test_an_announcement_that_comes_too_late_is_left_out() -> None:
    reservations = Reservations(ttl_seconds=10)
    reservations.adopt(ADA, [a_choice()], NOW_MS + 10_000)
    assert not reservations.holds_any(ADA)


def test_a_replica_whose_clock_is_ahead_does_not_hold_for_longer() -> None:
    reservations = Reservations(ttl_seconds=10)
    reservations.adopt(ADA, [a_choice(at_ms=NOW_MS + 60_000)], NOW_MS)
    assert reservations.held(ADA, (), NOW_MS + 9_999) != ()
    assert reservations.held(ADA, (), NOW_MS + 10_000) == ()


def test_beyond_the_limit_the_customer_goes_who_was_promised_something_longest_ago() -> None:
    reservations = Reservations(max_customers=2)
    for customer in (b"1", b"2", b"1", b"3"):
        reservations.reserve(customer, [a_choice()], NOW_MS)
    assert [reservations.holds_any(one) for one in (b"1", b"2", b"3")] == [True, False, True]
    assert len(reservations) == 2


def test_beyond_the_limit_the_oldest_promises_to_a_customer_go() -> None:
    reservations = Reservations(max_contacts_per_customer=2)
    for decision in ("d1", "d2", "d3"):
        reservations.reserve(ADA, [a_choice(decision=decision)], NOW_MS)
    assert {one.decision_id for one in reservations.held(ADA, (), NOW_MS)} == {"d2", "d3"}


@pytest.mark.timeout(60)
def test_many_threads_lose_nothing() -> None:
    reservations, threads = Reservations(max_contacts_per_customer=1_000), 8

    def promise(number: int) -> None:
        for at in range(50):
            reservations.reserve(ADA, [a_choice(decision=f"{number}-{at}")], NOW_MS)
            reservations.held(BOB, (), NOW_MS)
            reservations.reserve(BOB, [a_choice()], NOW_MS)
            reservations.held(BOB, {("impression", "d1", "boots"), ("decision", "d1", "boots")}, NOW_MS)

    running = [threading.Thread(target=promise, args=(number,)) for number in range(threads)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    assert len(reservations.held(ADA, (), NOW_MS)) == threads * 50 * 2
