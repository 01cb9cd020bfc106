"""What a marketer may rely on: who is offered what, and why."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.decisions import NOW, a_plan, a_question, an_action, chosen, decided

from wayline_decision.core.decide import Personalisation, decide
from wayline_decision.core.explain import dropped
from wayline_decision.core.plan import Plan, Stage
from wayline_decision.core.score import ModelInUse, model_in_use, models_for


def a_model(plan: Plan, given_: dict[str, float], *, fails: bool = False) -> ModelInUse:
    """A model that gives every customer these propensities, by action; '' for all others."""

    def run(rows: Any) -> Any:
        if fails:
            raise RuntimeError("broken")
        return np.tile(list(given_.values()), (len(rows), 1))

    return model_in_use(
        plan,
        list(given_),
        name="m",
        version=3,
        run=run,
        encode=lambda *_: np.zeros(1, np.float32),
        needs_context=False,
        needs_activation=False,
    )


def why(plan: Plan, decision: Any, action: str) -> tuple[Stage, str]:
    """Where and why an action was dropped from the first placement."""
    found = {plan.rows[one.row].action_id: one for one in dropped(plan, decision, decision.placements[0])}
    return found[action].stage, found[action].reason


# Arbitration


def test_the_priority_is_propensity_times_context_times_value_times_lever() -> None:
    plan = a_plan([an_action("a", propensity=0.2, context_weight=3, value=10, lever=0.5)])
    one = decided(plan, a_question(plan)).placements[0].chosen[0]
    assert (one.propensity, one.context, one.value, one.lever) == (0.2, 3.0, 10.0, 0.5)
    assert one.priority == pytest.approx(3.0)


def test_the_higher_priority_wins() -> None:
    plan = a_plan([an_action("likely", propensity=0.3, value=1), an_action("dear", propensity=0.1, value=5)])
    assert chosen(plan, decided(plan, a_question(plan))) == ["dear"]


def test_weights_of_the_catalogue_can_leave_a_factor_out() -> None:
    actions = [an_action("likely", propensity=0.3, value=1), an_action("dear", propensity=0.1, value=5)]
    plan = a_plan(actions, arbitration={"value": 0})
    assert chosen(plan, decided(plan, a_question(plan))) == ["likely"]


def test_levers_of_issue_group_and_action_multiply() -> None:
    group = {"id": "g", "lever": 2, "actions": [an_action("a", lever=3)]}
    plan = a_plan([], issues=[{"id": "i", "lever": 5, "groups": [group]}])
    assert decided(plan, a_question(plan)).placements[0].chosen[0].lever == 30.0


def test_of_equal_priorities_the_first_by_id_wins() -> None:
    plan = a_plan([an_action("b"), an_action("a"), an_action("c")])
    assert chosen(plan, decided(plan, a_question(plan))) == ["a"]


def test_a_context_weight_may_depend_on_the_profile_and_is_neutral_when_it_errs() -> None:
    plan = a_plan(
        [an_action("a", context_weight="1.0 + profile.spend"), an_action("b", context_weight='profile.colors["red"]')]
    )
    question = a_question(plan, profile={"spend": 4.0})
    decision = decided(plan, question)
    assert chosen(plan, decision) == ["a"]
    assert decision.placements[0].chosen[0].context == 5.0
    assert decision.placements[0].standing.row_priority[1] == pytest.approx(0.1)


def test_a_negative_context_weight_counts_as_nothing() -> None:
    plan = a_plan([an_action("a", context_weight="-5.0"), an_action("b", propensity=0.01)])
    assert chosen(plan, decided(plan, a_question(plan))) == ["b"]


# Rules


def test_a_rule_of_the_issue_holds_for_every_action_below_it() -> None:
    group = {"id": "g", "actions": [an_action("a")]}
    plan = a_plan([], issues=[{"id": "i", "eligibility": 'profile.tier == "gold"', "groups": [group]}])
    assert chosen(plan, decided(plan, a_question(plan, profile={"tier": "gold"}))) == ["a"]
    assert chosen(plan, decided(plan, a_question(plan))) == []


def test_an_action_says_which_stage_and_rule_dropped_it() -> None:
    rules = {
        "eligibility": {"rule": "profile.views > 0", "because": "Has looked around"},
        "applicability": 'context.device == "mobile"',
        "suitability": "profile.spend < 100.0",
    }
    plan = a_plan([an_action("a", **rules)])
    assert why(plan, decided(plan, a_question(plan)), "a") == (Stage.ELIGIBILITY, "not met: Has looked around")
    looked = {"profile": {"views": 1}}
    assert why(plan, decided(plan, a_question(plan, **looked)), "a")[0] is Stage.APPLICABILITY
    rich = {"profile": {"views": 1, "spend": 100.0}, "context": {"device": "mobile"}}
    assert why(plan, decided(plan, a_question(plan, **rich)), "a")[0] is Stage.SUITABILITY


def test_a_rule_that_cannot_be_evaluated_counts_as_not_met_and_harms_no_other() -> None:
    plan = a_plan(
        [an_action("a", eligibility='profile.colors["red"] > 1.0'), an_action("b", eligibility="profile.views == 0")]
    )
    decision = decided(plan, a_question(plan))
    assert chosen(plan, decision) == ["b"]
    stage, reason = why(plan, decision, "a")
    assert stage is Stage.ELIGIBILITY
    assert reason.startswith("could not be evaluated")


def test_a_selection_gives_the_reasons_of_its_rules() -> None:
    rules = [{"rule": "true", "because": "One"}, {"rule": "profile.views == 0", "because": "Two"}]
    plan = a_plan([an_action("a", eligibility=rules)])
    assert plan.rows[decided(plan, a_question(plan)).placements[0].chosen[0].row].reasons == ("One", "Two")


def test_a_rule_may_ask_for_the_time() -> None:
    plan = a_plan([an_action("a", applicability='now.getHours("Europe/Paris") == 14')])
    assert chosen(plan, decided(plan, a_question(plan))) == ["a"]


# Slots


def test_an_action_fills_one_slot_only_whatever_its_treatments() -> None:
    treatments = [{"id": name, "placements": ["list"]} for name in ("x", "y")]
    plan = a_plan([an_action("a", treatments=treatments), an_action("b", treatments=treatments, value=0.5)])
    assert chosen(plan, decided(plan, a_question(plan, "list"))) == ["a", "b"]


def test_several_placements_of_one_request_share_no_action() -> None:
    treatments = [{"id": "t", "placements": ["hero", "list"]}]
    plan = a_plan([an_action(name, treatments=treatments) for name in "abcde"])
    decision = decided(plan, a_question(plan, "hero", "list"))
    assert chosen(plan, decision, 0) == ["a"]
    assert chosen(plan, decision, 1) == ["b", "c", "d"]
    stage, reason = next(
        (one.stage, one.reason) for one in dropped(plan, decision, decision.placements[1]) if one.row == 0
    )
    assert (stage, reason) == (Stage.COMPANY, "the action is already in this response")


def test_a_request_may_ask_for_fewer_or_more_than_the_placement_has() -> None:
    plan = a_plan([an_action(name) for name in "abc"])
    assert chosen(plan, decided(plan, a_question(plan, slots=2))) == ["a", "b"]
    assert chosen(plan, decided(plan, a_question(plan, slots=9))) == ["a", "b", "c"]


# Consent


def test_without_consent_the_profile_is_not_used() -> None:
    plan = a_plan([an_action("personal", eligibility="profile.views > 0", value=9), an_action("plain")])
    seen = a_question(plan, profile={"views": 3})
    refused = a_question(plan, profile={"views": 3}, consents={"personalisation": False})
    assert chosen(plan, decided(plan, seen)) == ["personal"]
    decision = decided(plan, refused)
    assert chosen(plan, decision) == ["plain"]
    assert decision.personalisation is Personalisation.NO_CONSENT


def test_without_consent_no_model_is_asked() -> None:
    plan = a_plan([an_action("a", propensity={"model": "m", "base": 0.1})])
    model = a_model(plan, {"": 0.9})
    refused = decided(plan, a_question(plan, consents={"personalisation": False}), [model]).placements[0].chosen[0]
    assert (refused.propensity, refused.source) == (0.1, "catalogue")
    granted = decided(plan, a_question(plan), [model]).placements[0].chosen[0]
    assert (granted.propensity, granted.source) == (pytest.approx(0.9), "model:m@3")


def test_a_channel_without_consent_stays_silent() -> None:
    treatments = [{"id": "t", "placements": ["offer"]}]
    plan = a_plan([an_action("a", treatments=treatments)])
    silent = decided(plan, a_question(plan, "offer"))
    assert chosen(plan, silent) == []
    assert silent.placements[0].denied_purpose == "email"
    assert why(plan, silent, "a") == (Stage.CONSENT, "no consent for email")
    assert chosen(plan, decided(plan, a_question(plan, "offer", consents={"email": True}))) == ["a"]


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({"known": False}, Personalisation.UNKNOWN_CUSTOMER),
        ({"reachable": False, "known": False}, Personalisation.UNAVAILABLE),
    ],
)
def test_who_is_not_known_gets_a_contextual_decision(fields: dict[str, Any], mode: Personalisation) -> None:
    plan = a_plan([an_action("a", eligibility='context.device == "mobile"'), an_action("b", value=0.1)])
    decision = decided(plan, a_question(plan, context={"device": "mobile"}, **fields))
    assert chosen(plan, decision) == ["a"]
    assert decision.personalisation is mode


# Models


def test_a_model_that_fails_leaves_the_base_rate_and_says_so() -> None:
    plan = a_plan([an_action("a", propensity={"model": "m", "base": 0.2})])
    decision = decided(plan, a_question(plan), [a_model(plan, {"": 0.9}, fails=True)])
    assert decision.placements[0].chosen[0].propensity == 0.2
    assert decision.failures == ("model:m@3 failed: RuntimeError",)


@pytest.mark.parametrize(("given_", "expected"), [(float("nan"), 0.2), (float("inf"), 1.0), (-3.0, 0.0), (1.5, 1.0)])
def test_what_is_no_probability_is_made_one(given_: float, expected: float) -> None:
    plan = a_plan([an_action("a", propensity={"model": "m", "base": 0.2})])
    decision = decided(plan, a_question(plan), [a_model(plan, {"": given_})])
    assert decision.placements[0].chosen[0].propensity == expected


def test_a_model_scores_the_actions_that_ask_for_it_and_no_others() -> None:
    asks = {"model": "m", "base": 0.1}
    plan = a_plan([an_action("a", propensity=asks), an_action("b", propensity=asks), an_action("c", propensity=0.3)])
    model = a_model(plan, {"b": 0.7, "": 0.5, "c": 0.9})
    decision = decided(plan, a_question(plan, slots=3), [model])
    propensities = {plan.rows[one.row].action_id: one.propensity for one in decision.placements[0].chosen}
    assert propensities == pytest.approx({"a": 0.5, "b": 0.7, "c": 0.3})


# Properties

tiers = st.sampled_from(["none", "silver", "gold"])
numbers = st.integers(0, 5)
wishes = st.lists(
    st.fixed_dictionaries({"views": numbers, "tier": tiers, "value": st.integers(0, 3), "lever": st.integers(0, 2)}),
    min_size=1,
    max_size=12,
)


def wished(number: int, wish: dict[str, Any]) -> dict[str, Any]:
    return an_action(
        f"a{number:02}",
        value=wish["value"],
        lever=wish["lever"],
        eligibility=f"profile.views >= {wish['views']}",
        suitability=f'profile.tier == "{wish["tier"]}" || profile.tier == "gold"',
        treatments=[{"id": "t", "placements": ["hero", "list"]}],
    )


@given(wishes, numbers, tiers)
def test_no_action_that_fails_a_rule_is_ever_chosen(wishes_: Any, views: int, tier: str) -> None:
    plan = a_plan([wished(*one) for one in enumerate(wishes_)])
    decision = decided(plan, a_question(plan, "hero", "list", profile={"views": views, "tier": tier}))
    for name in [*chosen(plan, decision, 0), *chosen(plan, decision, 1)]:
        wish = wishes_[int(name[1:])]
        assert views >= wish["views"]
        assert tier in (wish["tier"], "gold")


@given(wishes, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_ranking_does_not_depend_on_the_order_of_the_catalogue(wishes_: Any, rng: random.Random) -> None:
    actions = [wished(*one) for one in enumerate(wishes_)]
    shuffled = actions.copy()
    rng.shuffle(shuffled)
    rankings = []
    for order in (actions, shuffled):
        plan = a_plan(order)
        rankings.append(chosen(plan, decided(plan, a_question(plan, profile={"views": 3, "tier": "gold"}, slots=12))))
    assert rankings[0] == rankings[1]


@given(wishes, st.lists(st.tuples(numbers, tiers, st.booleans()), min_size=1, max_size=8))
@settings(max_examples=50)
def test_a_batch_decides_as_each_request_alone(wishes_: Any, customers: Any) -> None:
    actions = [wished(*one) | {"propensity": {"model": "m", "base": 0.1}} for one in enumerate(wishes_)]
    plan = a_plan(actions)
    model = a_model(plan, {"a00": 0.4, "": 0.2})
    questions = [
        a_question(plan, "hero", "list", profile={"views": views, "tier": tier}, consents={"personalisation": yes})
        for views, tier, yes in customers
    ]
    together = decide(plan, models_for(plan, [model]), questions, NOW)
    for question, decision in zip(questions, together, strict=True):
        alone = decided(plan, question, [model])
        assert [one.chosen for one in alone.placements] == [one.chosen for one in decision.placements]


@given(wishes, numbers, tiers)
@settings(max_examples=50)
def test_everything_that_was_not_chosen_has_a_reason(wishes_: Any, views: int, tier: str) -> None:
    plan = a_plan([wished(*one) for one in enumerate(wishes_)])
    decision = decided(plan, a_question(plan, profile={"views": views, "tier": tier}))
    drops = list(dropped(plan, decision, decision.placements[0]))
    assert len(drops) + len(decision.placements[0].chosen) == len(plan.rows)
    assert all(one.reason for one in drops)


def test_thousands_of_candidates_rank_as_a_full_sort_would() -> None:
    values = random.Random(7).choices(range(50), k=3_000)
    plan = a_plan([an_action(f"a{number:05}", value=value) for number, value in enumerate(values)])
    expected = sorted(range(len(values)), key=lambda at: (-values[at], at))[:5]
    assert chosen(plan, decided(plan, a_question(plan, slots=5))) == [f"a{number:05}" for number in expected]
