"""Arbitration: the product or the marketer's own formula, smoothing, floors, silence, ranking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.decisions import a_model, a_plan, a_question, an_action, chosen, decided

from wayline_decision.core.arbitrate import context_weights, order_of, rank, ranked
from wayline_decision.core.decision import Chosen
from wayline_decision.core.explain import dropped
from wayline_decision.core.plan import Plan, Stage
from wayline_decision.core.score import models_for

ASKS = {"model": "m", "base": 0.1}


def first(plan: Plan, *args: Any, **question: Any) -> Chosen:
    return decided(plan, a_question(plan, **question), *args).placements[0].chosen[0]


def names(plan: Plan, *args: Any, **question: Any) -> list[str]:
    return chosen(plan, decided(plan, a_question(plan, slots=9, **question), *args))


# The product


def test_each_factor_has_a_weight() -> None:
    plan = a_plan(
        [an_action("a", propensity=0.25, context_weight=4, value=9, lever=16)],
        arbitration={"propensity": 2, "context": 0.5, "value": 0.5, "lever": 0.25},
    )
    assert first(plan).arithmetic.priority == pytest.approx(0.25**2 * 4**0.5 * 9**0.5 * 16**0.25)


def test_levers_stand_at_every_level_and_multiply() -> None:
    issues = [
        {"id": "sales", "lever": 2, "groups": [{"id": "g", "lever": 3, "actions": [an_action("a", lever=5)]}]},
        {"id": "care", "groups": [{"id": "h", "actions": [an_action("b")]}]},
    ]
    plan = a_plan([], issues=issues)
    found = decided(plan, a_question(plan, slots=2)).placements[0].chosen
    assert [one.arithmetic.lever for one in found] == [30.0, 1.0]


# The formula


def test_a_formula_takes_the_place_of_the_product() -> None:
    offers = [an_action("likely", propensity=0.5), an_action("dear", propensity=0.1, value=6)]
    assert names(a_plan(offers)) == ["dear", "likely"]
    plan = a_plan(offers, arbitration={"formula": "propensity * math.sqrt(value)"})
    assert names(plan) == ["likely", "dear"]


def test_a_formula_knows_context_and_levers() -> None:
    plan = a_plan(
        [an_action("a", propensity=0.5, context_weight="profile.spend", lever=3, value=7)],
        arbitration={"formula": "propensity + context + value * lever"},
    )
    assert first(plan, profile={"spend": 11.0}).arithmetic.priority == pytest.approx(0.5 + 11 + 21)


def test_a_formula_reads_the_smoothed_propensity() -> None:
    plan = a_plan(
        [an_action("a", propensity=ASKS)],
        arbitration={"formula": "propensity", "smoothing": {"evidence": 100}},
    )
    assert first(plan, [a_model(plan, {"": 0.5}, evidence=[(100, 50)])]).arithmetic.priority == pytest.approx(0.3)


def test_a_formula_ranks_what_thompson_sampling_draws() -> None:
    plan = a_plan(
        [an_action("a", propensity=0.5), an_action("b", propensity=0.5, value=0)],
        arbitration={"formula": "propensity * value + 0.001"},
        placements={"hero": {"channel": "web", "exploration": "thompson"}},
    )
    assert {names(plan, seed=seed)[0] for seed in range(50)} == {"a"}


# Smoothing


def test_with_little_evidence_a_propensity_leans_on_the_base_rate() -> None:
    plan = a_plan([an_action("a", propensity=ASKS)], arbitration={"smoothing": {"evidence": 50}})
    one = first(plan, [a_model(plan, {"": 0.9}, evidence=[(50, 45)])])
    assert one.arithmetic.propensity == pytest.approx(0.5)
    assert one.arithmetic.unsmoothed == pytest.approx(0.9)
    assert one.arithmetic.priority == pytest.approx(0.5)


def test_with_much_evidence_it_is_the_models() -> None:
    plan = a_plan([an_action("a", propensity=ASKS)], arbitration={"smoothing": {"evidence": 50}})
    sure = a_model(plan, {"": 0.9}, evidence=[(10**7, 10**6)])
    assert first(plan, [sure]).arithmetic.propensity == pytest.approx(0.9, abs=1e-4)


def test_a_model_that_does_not_count_rests_on_the_catalogues_evidence() -> None:
    asks = {**ASKS, "evidence": 150}
    plan = a_plan([an_action("a", propensity=asks)], arbitration={"smoothing": {"evidence": 50}})
    assert first(plan, [a_model(plan, {"": 0.9})]).arithmetic.propensity == pytest.approx((150 * 0.9 + 50 * 0.1) / 200)


def test_a_base_rate_that_weighs_nothing_smooths_nothing_with_evidence_or_without() -> None:
    plan = a_plan([an_action("a", propensity=ASKS)], arbitration={"smoothing": {"evidence": 0}})
    for evidence in ([(50, 45)], []):
        assert first(plan, [a_model(plan, {"": 0.9}, evidence=evidence)]).arithmetic.propensity == pytest.approx(0.9)


def test_a_base_rate_is_smoothed_to_itself() -> None:
    plan = a_plan([an_action("a", propensity=0.3)], arbitration={"smoothing": {"evidence": 50}})
    assert first(plan).arithmetic.propensity == pytest.approx(0.3)


# Floors and silence


def stage_of(plan: Plan, action: str) -> Stage:
    decision = decided(plan, a_question(plan))
    return next(
        one.stage for one in dropped(plan, decision, decision.placements[0]) if plan.rows[one.row].action_id == action
    )


def test_an_action_below_its_floor_is_left_out() -> None:
    offers = [
        an_action("unlikely", propensity=0.01, value=99, floors={"propensity": 0.02}),
        an_action("cheap", value=0.1, floors={"priority": 0.02}),
        an_action("fine", propensity=0.05, floors={"propensity": 0.05, "priority": 0.05}),
    ]
    plan = a_plan(offers)
    assert names(plan) == ["fine"]
    assert {stage_of(plan, one) for one in ("unlikely", "cheap")} == {Stage.FLOOR}


def test_the_catalogues_floors_hold_for_all_and_the_higher_one_counts() -> None:
    offers = [
        an_action("a", propensity=0.1),
        an_action("b", propensity=0.2),
        an_action("c", propensity=0.3, floors={"propensity": 0.35}),
    ]
    assert names(a_plan(offers, arbitration={"floors": {"propensity": 0.15}})) == ["b"]


def test_floors_are_by_the_smoothed_propensity() -> None:
    plan = a_plan(
        [an_action("a", propensity=ASKS, floors={"propensity": 0.4})], arbitration={"smoothing": {"evidence": 50}}
    )
    assert names(plan, [a_model(plan, {"": 0.9}, evidence=[(50, 45)])]) == ["a"]
    assert names(plan, [a_model(plan, {"": 0.6}, evidence=[(50, 30)])]) == []


def quiet_below(silence: float) -> dict[str, Any]:
    return {"hero": {"channel": "web", "silence": silence}, "list": {"channel": "web", "slots": 3}}


def test_rather_nothing_than_an_action_below_the_placements_silence() -> None:
    treatments = [{"id": "t", "placements": ["hero", "list"]}]
    plan = a_plan(
        [an_action("a", value=2, treatments=treatments), an_action("b", treatments=treatments)],
        placements=quiet_below(0.15),
    )
    assert names(plan) == ["a"]
    assert stage_of(plan, "b") is Stage.FLOOR
    assert chosen(plan, decided(plan, a_question(plan, "list"))) == ["a", "b"]


def test_a_priority_that_just_reaches_the_silence_is_heard() -> None:
    plan = a_plan([an_action("a", propensity=0.25)], placements=quiet_below(0.25))
    assert names(plan) == ["a"]


def test_what_is_forced_need_not_reach_silence_or_floors() -> None:
    plan = a_plan(
        [an_action("a", force=True, value=0, floors={"priority": 1}), an_action("b")], placements=quiet_below(0.5)
    )
    assert names(plan) == ["a"]


def test_a_forced_action_that_found_no_slot_was_not_below_a_floor() -> None:
    plan = a_plan([an_action("a", force=True, value=2), an_action("b", force=True)], placements=quiet_below(0.5))
    assert stage_of(plan, "b") is not Stage.FLOOR


def test_silence_may_be_an_action_of_its_own() -> None:
    """It competes, and wins where nothing else is worth more; the channel then sends nothing."""
    plan = a_plan([an_action("silence", propensity=1, value=0.2), an_action("offer", value=1.5)])
    assert names(plan)[0] == "silence"


# Context weights


def test_no_request_changes_weights_that_are_fixed() -> None:
    plan = a_plan([an_action("a", context_weight=2)])
    assert context_weights(plan, []) is plan.context_weight


def test_weights_that_are_negative_or_no_number_count_as_nothing() -> None:
    plan = a_plan(
        [an_action("a", context_weight="profile.spend"), an_action("b", context_weight="profile.spend * 2.0")]
    )
    assert context_weights(plan, [-1.0, float("nan")]).tolist() == [0.0, 0.0]


# Ranking

priorities = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=40)


@given(priorities, st.data())
def test_the_best_few_are_those_of_a_full_sort(values: list[float], data: st.DataObject) -> None:
    among = data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, unique=True).map(sorted))
    at_most = data.draw(st.integers(1, len(values)))
    found = rank(np.array(values), np.array(among, np.intp), at_most).tolist()
    assert found[:at_most] == sorted(among, key=lambda at: (-values[at], at))[:at_most]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30), st.data())
@settings(max_examples=30)
def test_a_kept_ranking_gives_what_sorting_gives(wishes: list[tuple[int, int]], data: st.DataObject) -> None:
    """Within one priority, which is all that it is asked for."""
    plan = a_plan([an_action(f"a{at:02}", value=value, priority=tier) for at, (value, tier) in enumerate(wishes)])
    standing = decided(plan, a_question(plan)).placements[0].standing
    among = data.draw(st.sampled_from(plan.tiers)) & data.draw(st.integers(0, plan.everything))
    kept = ranked(plan, standing, among, len(wishes))
    standing.order = None
    assert ranked(plan, standing, among, len(wishes)) == kept
    standing.order = order_of(plan, standing.row_priority)
    assert ranked(plan, standing, among, len(wishes)) == kept


def test_models_that_say_how_much_they_rest_on_are_believed() -> None:
    stated = {"base": 0.2, "evidence": 30}
    plan = a_plan([an_action("a", propensity=ASKS), an_action("b", propensity=stated), an_action("c", propensity=0.2)])
    models = models_for(plan, [a_model(plan, {"a": 0.5}, evidence=[(1_000, 70)])])
    assert models.evidence.tolist() == [1_000, 30, 100]
    assert models.positives.tolist() == [70, pytest.approx(6), 0]
