"""What Explain answers: what spoke for a propensity, and the chance in hindsight."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from tests.support.decisions import a_plan, an_action
from tests.support.engines import a_request
from tests.support.worlds import MODEL, OTHER, Shop, a_full_catalog, a_full_model, a_full_state

from wayline.v1 import decision_pb2
from wayline_decision.core.features import STRONGEST, effects
from wayline_decision.core.score import ModelInUse, model_in_use, models_for
from wayline_decision.explanation import explanation
from wayline_decision.fallback import OUT_OF_TIME
from wayline_decision.past import Past
from wayline_decision.states import state_of


def a_model(weights: list[float]) -> ModelInUse:
    """One whose propensity for 'a' is 0.5 and the weighted sum of its inputs; 'b' has half of that."""
    plan = a_plan([an_action(name, propensity={"model": "m"}) for name in "ab"])

    def run(rows: np.ndarray) -> np.ndarray:
        given = 0.5 + rows.astype(np.float64) @ np.array(weights)
        return np.stack([given, given / 2], axis=1)

    return model_in_use(
        plan,
        ["a", "b"],
        name="m",
        version=1,
        run=run,
        encode=lambda *_: np.zeros(len(weights), np.float32),
        needs_context=False,
        needs_activation=False,
    )


PLAN = a_plan([an_action(name, propensity={"model": "m"}) for name in "ab"])


def test_an_effect_is_what_the_propensity_loses_without_the_input() -> None:
    row, default = np.array([1, 2, 3], np.float32), np.array([0, 2, 1], np.float32)
    found = effects(PLAN, a_model([0.1, 0.05, -0.1]), row, default, [0, 1])
    assert [(one.action, one.input, one.value) for one in found] == [(0, 2, 3.0), (0, 0, 1.0), (1, 2, 3.0), (1, 0, 1.0)]
    assert [one.effect for one in found] == pytest.approx([-0.2, 0.1, -0.1, 0.05])


def test_only_the_strongest_are_told_and_what_changes_nothing_is_not() -> None:
    weights = [0.001 * at for at in range(30)]
    row, default = np.ones(30, np.float32), np.zeros(30, np.float32)
    found = effects(PLAN, a_model(weights), row, default, [0])
    assert [one.input for one in found] == list(range(29, 29 - STRONGEST, -1))
    assert effects(PLAN, a_model([0.0]), np.ones(1, np.float32), np.zeros(1, np.float32), [0]) == []
    assert effects(PLAN, a_model([1.0]), np.zeros(1, np.float32), np.zeros(1, np.float32), [0]) == []


def explained_by(revision: int) -> list[decision_pb2.ExplainResponse]:
    """Explanations of decisions of all kinds, by a revision of the full catalogue."""
    models = {name: a_full_model(name, 1) for name in (MODEL, OTHER)}
    state = a_full_state(a_full_catalog(revision), revision, models, a_full_catalog() if revision > 1 else None)
    shop = Shop()
    shop.use(state)
    shop.ask(40)
    return [explanation(one, Past(state, models, frozenset())) for one in shop.records]


@pytest.fixture(scope="module")
def explained() -> list[decision_pb2.ExplainResponse]:
    """Those of the first revision, which has exponents."""
    return explained_by(1)


@pytest.fixture(scope="module")
def by_formula() -> list[decision_pb2.ExplainResponse]:
    """Those of the second revision, which has a formula."""
    return explained_by(2)


def test_every_decision_is_explained_and_reproduced(explained: list[decision_pb2.ExplainResponse]) -> None:
    assert all(one.reproduced for one in explained)


def test_features_are_those_of_selected_actions_that_a_model_scored(
    explained: list[decision_pb2.ExplainResponse],
) -> None:
    names = set()
    for one in explained:
        scored = {
            selection.action
            for placement in one.decision.placements
            for selection in placement.selections
            if selection.score.propensity_source.startswith("model:")
        }
        assert {each.action for each in one.features} <= scored
        names |= {each.feature for each in one.features}
    assert names == {"profile.views", "profile.spend", "context.hour", 'profile.tier == "gold"'}


def test_every_selection_has_a_chance_but_those_by_random_propensities(
    explained: list[decision_pb2.ExplainResponse],
) -> None:
    for one in explained:
        if one.record.experiments.get("arms") != "random_propensity":
            for placement in one.decision.placements:
                assert all(0 < each.selection_probability <= 1 for each in placement.selections)


def test_the_record_stays_as_it_was_written(explained: list[decision_pb2.ExplainResponse]) -> None:
    assert any(not each.HasField("selection_probability") for one in explained for each in one.record.selections)


FORMULAS = {
    "propensity * value * lever + 0.01 * context": lambda p, c, v, lever: p * v * lever + 0.01 * c,
    "propensity * value": lambda p, c, v, lever: p * v,
}


def by_hand(rule: decision_pb2.PriorityRule, score: decision_pb2.Score) -> float:
    """The priority, from what the explanation holds and nothing else."""
    lever = 1.0 if rule.formula and rule.control == "no_levers" else score.lever
    if rule.formula:
        return FORMULAS[rule.formula](score.propensity, score.context, score.value, lever)
    by = rule.exponents
    return score.propensity**by.propensity * score.context**by.context * score.value**by.value * lever**by.lever


@pytest.mark.parametrize("revision", ["explained", "by_formula"])
def test_every_priority_can_be_worked_out_by_hand(revision: str, request: pytest.FixtureRequest) -> None:
    kinds = Counter[tuple[str, str]]()
    for one in request.getfixturevalue(revision):
        for placement in one.decision.placements:
            for score in (each.score for each in placement.selections):
                assert score.priority == pytest.approx(by_hand(one.priority_rule, score))
                kinds[one.priority_rule.control, one.priority_rule.formula] += 1
    controls = {"random", "propensity", "no_levers", "eligibility", "random_propensity"}
    assert {control for control, _ in kinds} == {"", *controls}
    assert {formula for _, formula in kinds} == {
        "explained": {"", "propensity * value"},
        "by_formula": {"", *FORMULAS},  # the arm 'older' has exponents, and so have those that ask no formula
    }[revision]


def test_every_propensity_that_was_smoothed_can_be_worked_out_by_hand(
    explained: list[decision_pb2.ExplainResponse],
) -> None:
    evidence = set()
    for one in explained:
        selections = [each for placement in one.decision.placements for each in placement.selections]
        if one.priority_rule.control == "random_propensity":
            assert not one.smoothing
            continue
        assert [each.action for each in one.smoothing] == [each.action for each in selections]
        for how, score in zip(one.smoothing, (each.score for each in selections), strict=True):
            n, k = how.evidence, how.prior_evidence
            assert score.propensity == pytest.approx((n * score.unsmoothed_propensity + k * how.base) / (n + k))
            evidence.add(n)
    assert {5.0, 50.0, 101.0} <= evidence, "of the catalogue and of the model"


def test_a_factor_that_counts_for_nothing_is_said_to(explained: list[decision_pb2.ExplainResponse]) -> None:
    (rule,) = [one.priority_rule for one in explained if one.priority_rule.control == "no_levers"][:1]
    assert MessageToDict(rule)["exponents"] == {"propensity": 1.3, "context": 0.7, "value": 1.0, "lever": 0.0}


def test_what_was_not_scored_has_no_arithmetic() -> None:
    plan = a_plan([an_action("a")])
    state = state_of(plan, models_for(plan))
    record = decision_pb2.DecisionRecord(
        decision_id="0" * 32,
        request=a_request("ada"),
        catalog_revision=1,
        personalisation=decision_pb2.PERSONALISATION_UNAVAILABLE,
        notes=[OUT_OF_TIME],
    )
    found = explanation(record, Past(state, {}, frozenset()))
    assert not found.HasField("priority_rule")
    assert not found.smoothing
