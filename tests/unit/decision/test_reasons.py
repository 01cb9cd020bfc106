"""An answer says why the profile was not used, and why nothing stands in a placement."""

from __future__ import annotations

from google.protobuf.json_format import MessageToDict
from tests.support.answers import PLAN, answered, response
from tests.support.decisions import a_plan, a_question, an_action, decided

from wayline_decision.answers import AnswerWriter


def test_an_empty_placement_has_its_fallback_and_says_why() -> None:
    placement = answered(a_plan([an_action("a", eligibility="profile.views > 5")]))
    assert MessageToDict(placement.fallback) == {"title": "Welcome"}
    assert list(placement.reasons) == ["no action met its conditions"]


def test_a_placement_whose_only_action_stands_in_an_earlier_one_says_where() -> None:
    both = [{"id": "t", "placements": ["hero", "list"], "content": {}}]
    plan = a_plan([an_action("a", treatments=both)])
    hero, list_ = response(plan, "hero", "list").placements
    assert list(hero.reasons) == []
    assert list(list_.reasons) == ["the actions that met their conditions stand elsewhere in this response: in hero"]


def test_a_placement_that_a_bundle_keeps_empty_does_not_blame_the_conditions() -> None:
    both = [{"id": "t", "placements": ["hero", "list"], "content": {}}]
    actions = [an_action("a", treatments=both), an_action("b", treatments=both, eligibility="profile.views > 5")]
    plan = a_plan(actions, arbitration={"bundles": [{"id": "x", "actions": ["a", "b"]}]})
    (reason,) = answered(plan, "list").reasons
    assert reason == (
        "what met its conditions was kept out by a bundle, an exclusion, a full group or a shared cap; "
        "Explain says by which"
    )


def test_a_placement_in_which_the_profile_is_not_used_says_so_and_no_other_does() -> None:
    both = [{"id": "t", "placements": ["hero", "list"], "content": {}}]
    plan = a_plan([an_action("a", treatments=both), an_action("b", treatments=both)], personalise_only=["list"])
    hero, list_ = response(plan, "hero", "list").placements
    assert list(hero.reasons) == ["contextual: the profile is not used in this placement (personalise_only)"]
    assert list(list_.reasons) == []
    stranger = response(plan, "hero", "list", known=False)
    assert [list(one.reasons) for one in stranger.placements] == [["contextual: the customer is not known"]] * 2


def test_what_is_said_of_one_answer_is_not_said_of_the_next() -> None:
    plan = a_plan([an_action("a", eligibility="profile.views > 5")], personalise_only=[])
    writer, decision = AnswerWriter(plan), decided(plan, a_question(plan))
    first, second = (writer.response("id", decision, [], stale=False, explain=False) for _ in range(2))
    assert first == second


def test_who_is_held_out_gets_the_fallback_and_is_named_in_no_other_experiment() -> None:
    arms = {"x": {"share": 0.5}, "y": {"share": 0.5}}
    plan = a_plan([an_action("a")], holdout={"share": 1}, experiments=[{"id": "e", "arms": arms}])
    answer = response(plan)
    assert MessageToDict(answer.placements[0].fallback) == {"title": "Welcome"}
    assert list(answer.placements[0].reasons) == ["silence: the customer is in the holdout"]
    assert dict(answer.experiments) == {"holdout": "held_out"}


def test_nothing_goes_out_on_a_channel_that_is_not_allowed() -> None:
    placement = answered(PLAN, "offer")
    assert not placement.HasField("fallback")
    assert list(placement.reasons) == [
        "silence: no consent for email: unknown: nothing was said, and the default is denied"
    ]


def test_a_decision_without_consent_says_so() -> None:
    refused = answered(consents={"personalisation": False})
    assert list(refused.reasons) == ["contextual: no consent for personalisation: the customer said no"]
