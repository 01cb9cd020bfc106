"""What is used of a budget, by what JetStream's counters hold and what this process took since."""

from __future__ import annotations

from datetime import timedelta

from tests.support.decisions import NOW, a_catalog, an_action

from wayline_decision.budget_tally import BudgetTally
from wayline_decision.core.budget import TOTAL, BudgetPlan, compile_budgets

PLAN = compile_budgets(a_catalog([an_action("a", budget={"total": 3})]), ["a"])
COUNTER = f"a.{TOTAL}"


def a_tally(plan: BudgetPlan = PLAN) -> BudgetTally:
    tally = BudgetTally()
    tally.use([plan])
    return tally


def used_up(tally: BudgetTally) -> bool:
    return bool(tally.exhausted(PLAN, NOW).actions)


def test_what_is_taken_counts_at_once_and_while_it_is_under_way() -> None:
    tally = a_tally()
    tally.take(["a", "a"], NOW)
    ((_, increment),) = tally.due()
    assert (increment.number, used_up(tally), tally.waiting) == (2, False, 2)
    tally.take(["a"], NOW)
    assert used_up(tally)
    tally.delivered(COUNTER, 2, 2)
    assert (used_up(tally), tally.waiting) == (True, 1)


def test_what_was_stored_counts_once() -> None:
    tally = a_tally()
    tally.take(["a", "a"], NOW)
    tally.due()
    tally.delivered(COUNTER, 2, 2)
    assert (used_up(tally), tally.waiting) == (False, 0)


def test_what_others_took_counts_as_soon_as_it_is_read() -> None:
    tally = a_tally()
    tally.take(["a"], NOW)
    assert not used_up(tally)
    tally.read({COUNTER: 2}, {})
    assert used_up(tally)


def test_what_was_given_back_is_free_again() -> None:
    tally = a_tally()
    tally.read({COUNTER: 3}, {})
    assert used_up(tally)
    tally.read({}, {COUNTER: 1})
    assert not used_up(tally)


def test_a_follower_that_is_behind_gives_nothing_free() -> None:
    tally = a_tally()
    tally.read({COUNTER: 3}, {})
    tally.read({COUNTER: 1}, {})
    assert used_up(tally)


def test_a_stream_that_begins_anew_gives_nothing_free() -> None:
    tally = a_tally()
    tally.read({COUNTER: 2}, {})
    tally.take(["a"], NOW)
    tally.due()
    tally.delivered(COUNTER, 1, 1)
    assert used_up(tally)


def test_what_is_under_way_keeps_its_id_until_it_is_stored_and_what_is_taken_meanwhile_waits() -> None:
    tally = a_tally()
    tally.take(["a"], NOW)
    first = tally.due()
    tally.take(["a"], NOW)
    assert tally.due() == first
    tally.delivered(COUNTER, 1, 1)
    ((_, second),) = tally.due()
    assert second.number == 1
    assert second.message_id != first[0][1].message_id


def test_a_day_that_is_over_is_forgotten_once_its_choices_are_stored() -> None:
    tally = a_tally(compile_budgets(a_catalog([an_action("a", budget={"total": 9, "per_day": 3})]), ["a"]))
    tally.take(["a"], NOW)
    later = NOW + timedelta(days=3)
    assert tally.forget_before(later) == []
    for counter, increment in tally.due():
        tally.delivered(counter, increment.number, increment.number)
    assert tally.forget_before(later) == [f"a.{NOW.date().isoformat()}"]
