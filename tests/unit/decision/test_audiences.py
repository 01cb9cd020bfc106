"""Decisions for audiences and stages: rules read them as traits."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.decisions import a_plan, a_question, an_action, chosen, decided

ACTIONS = [
    an_action("come-back", value=9, eligibility="profile.lapsed"),
    an_action("thanks", value=5, eligibility='profile.stage == "loyal"'),
    an_action("welcome", value=1),
]
DECLARED: dict[str, Any] = {
    "audiences": {"lapsed": "profile.lifecycle_days_away >= 14", "watched": "profile.views > 3"},
    "lifecycle": "default",
}


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({"lapsed": True, "stage": "loyal"}, "come-back"),
        ({"stage": "loyal"}, "thanks"),
        ({"stage": "lost"}, "welcome"),
        ({}, "welcome"),
    ],
)
def test_an_action_may_be_for_an_audience_or_a_stage(profile: dict[str, Any], expected: str) -> None:
    plan = a_plan(ACTIONS, **DECLARED)
    assert chosen(plan, decided(plan, a_question(plan, profile=profile)))[0] == expected


def test_who_did_not_consent_is_in_no_audience() -> None:
    plan = a_plan(ACTIONS, **DECLARED)
    question = a_question(plan, profile={"lapsed": True, "stage": "loyal"}, consents={"personalisation": False})
    assert chosen(plan, decided(plan, question)) == ["welcome"]


def test_rules_are_evaluated_on_those_audiences_only_that_they_read() -> None:
    plan = a_plan(ACTIONS, **DECLARED)
    assert {field.name for field in plan.facts.DESCRIPTOR.fields} == {"lapsed", "stage"}
