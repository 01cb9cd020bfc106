"""What a marketer may rely on: how often an action is chosen at most, in total and by the day."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from tests.support.decisions import a_catalog, an_action

from wayline_decision.core.budget import BudgetPlan, compile_budgets

NOON = datetime(2026, 11, 23, 12, tzinfo=ZoneInfo("UTC"))


def budgets(zone: str = "UTC", **declared: dict[str, Any] | None) -> BudgetPlan:
    """Actions with their budgets, one row each."""
    actions = [an_action(name, budget=budget) for name, budget in declared.items()]
    return compile_budgets(a_catalog(actions, timezone=zone), list(declared))


def test_an_action_without_a_budget_is_not_counted() -> None:
    plan = budgets(a=None)
    assert plan.empty
    assert plan.counters("a", NOON) == ()
    assert plan.counters("never heard of", NOON) == ()


def test_a_total_and_a_days_budget_are_counted_apart() -> None:
    plan = budgets(a={"total": 10, "per_day": 3}, b={"total": 10}, c={"per_day": 3})
    assert plan.counters("a", NOON) == ("a.total", "a.2026-11-23")
    assert plan.counters("b", NOON) == ("b.total",)
    assert plan.counters("c", NOON) == ("c.2026-11-23",)
    assert plan.all_counters(NOON) == ["a.total", "a.2026-11-23", "b.total", "c.2026-11-23"]


def test_the_last_of_a_budget_is_chosen_and_then_no_more() -> None:
    plan = budgets(a={"total": 10}, b={"total": 10})
    assert plan.exhausted({"a.total": 9, "b.total": 9}, NOON) == (0, ())
    assert plan.exhausted({"a.total": 9, "b.total": 10}, NOON) == (0b10, ("b",))
    assert plan.exhausted({"a.total": 11, "b.total": 10}, NOON) == (0b11, ("a", "b"))


def test_a_budget_holds_for_every_treatment_of_the_action() -> None:
    catalog = a_catalog([an_action("a", budget={"total": 1}), an_action("b")])
    assert compile_budgets(catalog, ["a", "b", "a"]).exhausted({"a.total": 1}, NOON).mask == 0b101


def test_the_next_day_begins_with_a_whole_budget() -> None:
    plan, used = budgets(a={"per_day": 3}), {"a.2026-11-23": 3}
    assert plan.exhausted(used, NOON).actions == ("a",)
    assert plan.exhausted(used, datetime(2026, 11, 24, tzinfo=ZoneInfo("UTC"))).actions == ()


def test_a_total_does_not_come_back() -> None:
    plan = budgets(a={"total": 3, "per_day": 3})
    assert plan.exhausted({"a.total": 3}, datetime(2036, 1, 1, tzinfo=ZoneInfo("UTC"))).actions == ("a",)


def test_the_day_is_the_one_in_the_budgets_own_zone() -> None:
    plan = budgets("Asia/Tokyo", a={"per_day": 3, "timezone": "America/New_York"}, b={"per_day": 3})
    evening = datetime(2026, 11, 23, 16, tzinfo=ZoneInfo("UTC"))
    assert plan.counters("a", evening) == ("a.2026-11-23",)
    assert plan.counters("b", evening) == ("b.2026-11-24",)


def test_what_is_known_holds_until_the_first_midnight_of_any_budget() -> None:
    plan = budgets(a={"per_day": 3, "timezone": "America/New_York"}, b={"per_day": 3, "timezone": "Europe/Berlin"})
    midnight = datetime(2026, 11, 24, tzinfo=ZoneInfo("Europe/Berlin"))
    assert plan.next_day_ms(NOON) == midnight.timestamp() * 1_000
    assert budgets(a={"total": 3}).next_day_ms(NOON) == 0


def test_a_day_on_which_the_clocks_skip_midnight_begins_an_hour_later_by_the_clock() -> None:
    plan = budgets(a={"per_day": 3, "timezone": "Africa/Cairo"})
    skipped = datetime(2026, 4, 23, 22, tzinfo=ZoneInfo("UTC"))  # 00:00 in Cairo, which is 01:00 at once
    before = datetime(2026, 4, 23, 21, tzinfo=ZoneInfo("UTC"))
    assert plan.counters("a", before) == ("a.2026-04-23",)
    assert plan.counters("a", skipped) == ("a.2026-04-24",)
    assert plan.next_day_ms(before) == skipped.timestamp() * 1_000


def test_a_budget_can_be_raised_and_lifted_while_counts_go_on() -> None:
    used = {"a.total": 10}
    assert budgets(a={"total": 10}).exhausted(used, NOON).actions == ("a",)
    assert budgets(a={"total": 11}).exhausted(used, NOON).actions == ()
    assert budgets(a=None).exhausted(used, NOON).actions == ()


def test_an_id_with_dots_keeps_its_limits() -> None:
    catalog = a_catalog([an_action("a.total", budget={"per_day": 2}), an_action("a", budget={"total": 5})])
    plan = compile_budgets(catalog, ["a.total", "a"])
    assert [plan.limit(name) for name in ("a.total", "a.total.2026-11-23", "a.total.total", "b.total")] == [
        5, 2, None, None,
    ]  # fmt: skip


def test_the_reason_names_the_budget_and_when_there_is_another() -> None:
    plan = budgets("Europe/Berlin", a={"total": 5_000}, b={"per_day": 3}, c={"total": 5_000, "per_day": 3})
    assert plan.why("a", NOON) == ("its budget of 5,000 in total is used up", "its budget would have to be larger")
    assert plan.why("b", NOON) == (
        "its budget of 3 a day is used up",
        "its budget would have to be larger, or the day 2026-11-24 Europe/Berlin",
    )
    assert plan.why("c", NOON) == (
        "its budget of 5,000 in total or 3 a day is used up",
        "its budget would have to be larger, or the day 2026-11-24 Europe/Berlin if the total is not used up",
    )


def test_a_replay_blocks_the_rows_of_those_who_were_exhausted() -> None:
    plan = budgets(a={"total": 10}, b=None, c={"per_day": 3})
    assert plan.rows_of(["c", "gone since"]) == 0b100


counts = st.integers(0, 4)
limits = st.fixed_dictionaries({"total": st.integers(1, 4), "per_day": st.integers(1, 4)}) | st.none()


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(limits, counts, counts)))
def test_an_action_is_exhausted_exactly_when_one_of_its_counters_is_at_its_limit(given_: dict[str, Any]) -> None:
    plan = budgets(**{name: declared for name, (declared, *_) in given_.items()})
    used = {f"{name}.total": total for name, (_, total, _) in given_.items()}
    used |= {f"{name}.2026-11-23": day for name, (*_, day) in given_.items()}
    exhausted = plan.exhausted(used, NOON)
    at_limit = [
        name for name in given_ if any(used[one] >= (plan.limit(one) or 0) for one in plan.counters(name, NOON))
    ]
    assert exhausted == (plan.rows_of(at_limit), tuple(sorted(at_limit)))
