"""Answers hold what the contract says."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from tests.support.answers import PLAN, answered, response
from tests.support.decisions import NOW, a_plan, a_question, an_action, decided
from tests.support.engines import a_request

from wayline.v1 import decision_pb2
from wayline_decision.answers import AnswerWriter, batch_response
from wayline_decision.codec import Situations, read_request
from wayline_decision.fallback import OUT_OF_TIME, FellBack


def test_a_selection_has_content_score_and_reasons() -> None:
    selection = answered().selections[0]
    assert (selection.action, selection.treatment, selection.rank) == ("a", "main", 1)
    assert MessageToDict(selection.content) == {"title": "a"}
    assert list(selection.reasons) == ["Everyone"]
    assert selection.score.priority == pytest.approx(0.1)
    assert selection.score.propensity_source == "catalogue"


def test_what_does_not_apply_is_absent_and_not_zero() -> None:
    score = answered().selections[0].score
    assert not score.HasField("unsmoothed_propensity")
    assert not score.HasField("drawn_propensity")


def test_without_exploration_the_choice_was_certain() -> None:
    assert answered().selections[0].selection_probability == 1.0


def test_what_thompson_sampling_drew_is_shown_and_its_chance_is_not_known_yet() -> None:
    plan = a_plan([an_action("a"), an_action("b")], placements=explored("thompson"))
    selection = answered(plan).selections[0]
    assert not selection.HasField("selection_probability")
    assert selection.score.propensity == 0.1
    assert 0.0 < selection.score.drawn_propensity < 1.0
    assert selection.score.drawn_propensity != selection.score.propensity


def test_a_lot_shows_the_chance_with_which_it_fell() -> None:
    plan = a_plan([an_action("a"), an_action("b")], placements=explored({"method": "epsilon_greedy", "epsilon": 1}))
    assert answered(plan).selections[0].selection_probability == 0.5


def test_a_smoothed_propensity_shows_what_it_was_before() -> None:
    plan = a_plan([an_action("a", propensity=0.3)], arbitration={"smoothing": {"evidence": 100}})
    assert answered(plan).selections[0].score.unsmoothed_propensity == 0.3


def test_content_that_is_the_same_for_everybody_comes_once() -> None:
    data = AnswerWriter(PLAN).response("id", decided(PLAN, a_question(PLAN)), [], stale=False, explain=False)
    assert data.count(b"title") == 1


def test_the_answer_names_the_arm_of_each_experiment() -> None:
    arms = {"x": {"share": 1}, "y": {"share": 0}}
    plan = a_plan([an_action("a")], experiments=[{"id": "e", "arms": arms}, {"id": "f", "layer": "l", "arms": arms}])
    assert dict(response(plan).experiments) == {"e": "x", "f": "x"}


def test_in_quiet_hours_not_even_a_fallback_goes_out() -> None:
    """Quiet hours: 'When nothing goes out on a channel.' A fallback would wake the customer just the same."""
    plan = a_plan(
        [an_action("a", treatments=[{"id": "t", "placements": ["offer"]}])],
        channels={"web": {}, "mail": {"direction": "outbound", "quiet_hours": {"from": "00:00", "to": "23:59"}}},
    )
    placement = answered(plan, "offer")
    assert not placement.selections
    assert not placement.HasField("fallback")


def test_in_quiet_hours_not_even_the_fallback_of_a_decision_that_was_not_made_goes_out() -> None:
    """The breaker is open, or time ran out: the clock on the wall is known all the same."""
    plan = a_plan(
        [an_action("a", treatments=[{"id": "t", "placements": ["offer"]}])],
        channels={"web": {}, "mail": {"direction": "outbound", "quiet_hours": {"from": "00:00", "to": "23:59"}}},
    )
    asked = read_request(a_request("ada", "offer", "hero"), b"", plan, Situations(plan.schema))
    offer, hero = FellBack(plan, asked, "f" * 32, NOW, False, OUT_OF_TIME).response().placements
    assert not offer.HasField("fallback")
    assert hero.HasField("fallback")


def test_drops_come_only_when_asked_for() -> None:
    assert not answered().dropped
    drops = answered(explain=True).dropped
    assert [(one.action, one.stage) for one in drops] == [
        ("b", decision_pb2.STAGE_ARBITRATION),
        ("c", decision_pb2.STAGE_ARBITRATION),
    ]


@given(st.lists(st.text(max_size=20), max_size=5))
def test_a_batch_answers_with_decisions_and_errors_in_order(errors: list[str]) -> None:
    answer = decision_pb2.DecideResponse(decision_id="x").SerializeToString()
    results = [part for error in errors for part in (answer, error)]
    parsed = decision_pb2.DecideBatchResponse.FromString(batch_response(results)).results
    assert [one.error if one.HasField("error") else one.decision.decision_id for one in parsed] == [
        part for error in errors for part in ("x", error)
    ]


def explored(exploration: Any) -> dict[str, Any]:
    return {"hero": {"channel": "web", "exploration": exploration}}
