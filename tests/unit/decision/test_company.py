"""What may stand side by side: no action twice, exclusions, at most n of a group, bundles whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.decisions import NOW, a_plan, a_question, an_action, chosen, decided

from wayline_decision.core.contact import Met
from wayline_decision.core.decision import Decision, Limits
from wayline_decision.core.explain import dropped
from wayline_decision.core.plan import Plan, Stage

EVERYWHERE = [{"id": "t", "placements": ["hero", "list"], "content": {}}]
NOW_MS = int(NOW.timestamp() * 1_000)


def everywhere(name: str, **fields: Any) -> dict[str, Any]:
    return an_action(name, treatments=EVERYWHERE, **fields)


def listed(plan: Plan, slots: int = 3, **question: Any) -> list[str]:
    return chosen(plan, decided(plan, a_question(plan, "list", slots=slots, **question)))


def page(plan: Plan, **question: Any) -> Decision:
    return decided(plan, a_question(plan, "hero", "list", **question))


def excluding(*actions: str, **more: Any) -> dict[str, Any]:
    return {"exclusions": [{"id": "x", "actions": actions}], **more}


def bundling(*actions: str, **more: Any) -> dict[str, Any]:
    return {"bundles": [{"id": "b", "actions": actions}], **more}


# Mutual exclusion


def test_of_actions_that_exclude_each_other_the_better_one_goes_out() -> None:
    plan = a_plan(
        [everywhere("a", value=3), everywhere("b", value=2), everywhere("c")], arbitration=excluding("a", "b")
    )
    assert listed(plan) == ["a", "c"]


def test_exclusion_holds_over_all_placements_of_a_response() -> None:
    plan = a_plan(
        [everywhere("a", value=3), everywhere("b", value=2), everywhere("c"), everywhere("d", value=0.5)],
        arbitration=excluding("a", "b"),
    )
    decision = page(plan)
    assert (chosen(plan, decision), chosen(plan, decision, 1)) == (["a"], ["c", "d"])


def test_an_action_that_is_shut_out_says_whom_it_cannot_stand_beside() -> None:
    plan = a_plan([everywhere("a", value=3), everywhere("b", value=2)], arbitration=excluding("a", "b"))
    decision = decided(plan, a_question(plan, "list"))
    (drop,) = dropped(plan, decision, decision.placements[0])
    assert drop.stage is Stage.COMPANY


def test_an_action_in_two_exclusions_is_excluded_by_both() -> None:
    exclusions = [{"id": "x", "actions": ["a", "b"]}, {"id": "y", "actions": ["b", "c"]}]
    plan = a_plan(
        [everywhere("a", value=3), everywhere("b", value=2), everywhere("c")], arbitration={"exclusions": exclusions}
    )
    assert listed(plan) == ["a", "c"]
    assert listed(plan, slots=1) == ["a"]


def test_a_forced_action_shuts_out_what_it_excludes() -> None:
    plan = a_plan([everywhere("a", value=9), everywhere("b", force=True)], arbitration=excluding("a", "b"))
    assert listed(plan) == ["b"]


# At most n of a group


def test_a_response_holds_at_most_so_many_of_a_group() -> None:
    groups = [
        {"id": "shoes", "most": 2, "actions": [everywhere(f"s{at}", value=10 - at) for at in range(4)]},
        {"id": "bags", "actions": [everywhere("bag")]},
    ]
    plan = a_plan([], issues=[{"id": "i", "groups": groups}])
    assert listed(plan) == ["s0", "s1", "bag"]
    decision = page(plan)
    assert (chosen(plan, decision), chosen(plan, decision, 1)) == (["s0"], ["s1", "bag"])


# Bundles


def test_a_bundle_goes_out_together() -> None:
    plan = a_plan(
        [everywhere("phone", value=9), everywhere("case", value=0.1), everywhere("c"), everywhere("d")],
        arbitration=bundling("phone", "case"),
    )
    assert listed(plan) == ["phone", "case", "c"]


def test_a_bundle_that_does_not_fit_stays_out_as_a_whole() -> None:
    plan = a_plan(
        [everywhere("phone", value=9), everywhere("case", value=0.1), everywhere("c")],
        arbitration=bundling("phone", "case"),
    )
    assert listed(plan, slots=1) == ["c"]
    decision = page(plan)
    assert (chosen(plan, decision), chosen(plan, decision, 1)) == (["c"], ["phone", "case"])


def test_a_bundle_of_which_one_may_not_go_out_stays_out_as_a_whole() -> None:
    plan = a_plan(
        [everywhere("phone", value=9), everywhere("case", eligibility="profile.views > 0"), everywhere("c")],
        arbitration=bundling("phone", "case"),
    )
    assert listed(plan) == ["c"]
    assert listed(plan, profile={"views": 1}) == ["phone", "case", "c"]


def test_a_bundle_of_which_one_has_no_budget_left_stays_out_as_a_whole() -> None:
    plan = a_plan(
        [everywhere("phone", value=9), everywhere("case", budget={"total": 1}), everywhere("c")],
        arbitration=bundling("phone", "case"),
    )
    spent = Limits(exhausted=plan.budgets.rows_of(["case"]))
    assert chosen(plan, decided(plan, a_question(plan, "list"), limits=spent)) == ["c"]


def test_a_bundle_of_which_one_is_excluded_by_what_is_there_stays_out_as_a_whole() -> None:
    plan = a_plan(
        [everywhere("a", value=10), everywhere("phone", value=9), everywhere("case"), everywhere("c")],
        arbitration=bundling("phone", "case", exclusions=[{"id": "x", "actions": ["a", "case"]}]),
    )
    assert listed(plan) == ["a", "c"]


def test_a_bundle_that_would_break_a_cap_half_way_stays_out_as_a_whole() -> None:
    """One more contact is left, and the bundle takes two."""
    caps = {"caps": {"limit": 2, "window": "1d", "per": "customer"}}
    plan = a_plan(
        [everywhere("phone", value=9), everywhere("case"), everywhere("c")],
        arbitration=bundling("phone", "case"),
        contact=caps,
    )
    seen = [Met("impression", "c", "web", NOW_MS - 1_000, "d")]
    assert listed(plan) == ["phone", "case"]
    assert listed(plan, contacts=seen) == ["c"]


def test_a_bundle_of_several_priorities_goes_out_with_its_first() -> None:
    plan = a_plan(
        [everywhere("phone", priority=5), everywhere("case"), everywhere("c", value=9)],
        arbitration=bundling("phone", "case"),
    )
    assert listed(plan) == ["phone", "case", "c"]


def test_a_bundle_goes_out_whole_when_one_of_it_is_forced() -> None:
    plan = a_plan(
        [everywhere("phone", force=True), everywhere("case"), everywhere("c", value=9)],
        arbitration=bundling("phone", "case"),
    )
    assert listed(plan) == ["phone", "case", "c"]


def test_who_comes_along_has_the_chance_1() -> None:
    plan = a_plan(
        [everywhere("phone"), everywhere("case"), everywhere("c")],
        arbitration=bundling("phone", "case"),
        placements={
            "hero": {"channel": "web"},
            "list": {"channel": "web", "slots": 3, "exploration": {"method": "epsilon_greedy", "epsilon": 1}},
        },
    )
    for seed in range(30):
        filled = decided(plan, a_question(plan, "list", seed=seed)).placements[0].chosen
        together = [plan.rows[one.row].action_id for one in filled]
        chances = [one.selection_probability for one in filled]
        if together[0] == "c":
            assert chances == [pytest.approx(1 / 3), 0.5, 1.0]
        else:
            assert chances == [pytest.approx(1 / 3), 1.0, 1.0]


def test_a_bundle_of_which_one_cannot_be_shown_stays_out_as_a_whole() -> None:
    """Its content cannot be rendered for this customer: it is left out, and so is the rest of its bundle."""
    broken = [{"id": "t", "placements": ["list"], "content": {"t": "{{ 1 | divided_by: profile.views }}"}}]
    plan = a_plan(
        [everywhere("phone", value=9), everywhere("c"), an_action("case", treatments=broken)],
        arbitration=bundling("phone", "case"),
    )
    assert "phone" in listed(plan, profile={"views": 1})
    assert listed(plan) == ["c"]


# Properties


names = [f"a{number}" for number in range(8)]


@given(
    st.lists(st.lists(st.sampled_from(names[:5]), min_size=2, max_size=4, unique=True), max_size=3),
    st.lists(st.sampled_from(names[4:]), min_size=2, max_size=3, unique=True),
    st.lists(st.integers(0, 9), min_size=8, max_size=8),
    st.lists(st.booleans(), min_size=8, max_size=8),
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from(["none", "thompson", "squarecb", "epsilon_greedy"]),
    st.integers(0, 2**64 - 1),
    st.integers(1, 6),
    st.integers(0, 4),
)
@settings(max_examples=100)
def test_whatever_wins_nothing_stands_where_it_must_not(
    exclusions: list[list[str]],
    bundle: list[str],
    values: list[int],
    allowed: list[bool],
    most: int | None,
    method: str,
    seed: int,
    slots: int,
    cap: int,
) -> None:
    """Exclusion holds, no group has too many, bundles are whole within their placement, and a shared cap is kept.
    Whoever does not stand there is told why.
    """
    offers = [
        everywhere(name, value=value, eligibility="true" if yes else "false")
        for name, value, yes in zip(names, values, allowed, strict=True)
    ]
    groups = [{"id": "g", "most": most, "actions": offers[:4]}, {"id": "h", "actions": offers[4:]}]
    plan = a_plan(
        [],
        issues=[{"id": "i", "groups": groups}],
        arbitration={
            "exclusions": [{"id": f"x{at}", "actions": one} for at, one in enumerate(exclusions)],
            "bundles": [{"id": "b", "actions": bundle}],
        },
        placements={
            "hero": {"channel": "web", "exploration": method, "slots": 2},
            "list": {"channel": "web", "exploration": method, "diversity": 0.5},
        },
        contact={"caps": {"limit": cap, "window": "1d", "per": "customer"}} if cap else {},
    )
    question = a_question(plan, "hero", "list", seed=seed)
    (hero, _), (rest, _) = question.placements
    decision = decided(plan, question._replace(placements=[(hero, 2), (rest, slots)]))
    parts = [chosen(plan, decision, at) for at in range(2)]
    together = parts[0] + parts[1]
    assert len(set(together)) == len(together)
    assert all(allowed[names.index(one)] for one in together)
    assert all(len(set(one) & set(together)) <= 1 for one in exclusions)
    assert most is None or len(set(names[:4]) & set(together)) <= most
    assert all(set(bundle) & set(part) in (set(), set(bundle)) for part in parts)
    assert not cap or len(together) <= cap
    for filled in decision.placements:
        drops = list(dropped(plan, decision, filled))
        assert len(drops) + len(filled.chosen) == len(plan.rows)
        assert all(one.reason for one in drops)
