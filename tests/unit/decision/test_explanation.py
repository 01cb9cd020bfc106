"""What Explain answers: what spoke for a propensity, and the chance in hindsight."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.decisions import a_plan, an_action
from tests.support.worlds import MODEL, OTHER, Shop, a_full_catalog, a_full_model, a_full_state

from wayline.v1 import decision_pb2
from wayline_decision.core.features import STRONGEST, effects
from wayline_decision.core.score import ModelInUse, model_in_use
from wayline_decision.explanation import explanation
from wayline_decision.past import Past


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


@pytest.fixture(scope="module")
def explained() -> list[decision_pb2.ExplainResponse]:
    """Explanations of decisions of all kinds."""
    models = {name: a_full_model(name, 1) for name in (MODEL, OTHER)}
    state = a_full_state(a_full_catalog(), 1, models)
    shop = Shop()
    shop.use(state)
    shop.ask(40)
    return [explanation(one, Past(state, models, frozenset())) for one in shop.records]


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


def test_the_arithmetic_of_a_score_can_be_checked_by_hand(explained: list[decision_pb2.ExplainResponse]) -> None:
    """By the catalogue's weights: propensity^1.3 x context^0.7 x value x lever, where no arm says otherwise."""
    checked = 0
    for one in explained:
        if one.record.experiments.get("arms", "all") == "all":
            for placement in one.decision.placements:
                for score in (each.score for each in placement.selections):
                    product = score.propensity**1.3 * score.context**0.7 * score.value * score.lever
                    assert score.priority == pytest.approx(product)
                    checked += 1
    assert checked > 20
