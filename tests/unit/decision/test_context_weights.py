"""Context weights at every level: of issues, groups and actions, as numbers and as CEL."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.decisions import a_plan, a_question, an_action, decided


def weight(issue: Any = 1.0, group: Any = 1.0, action: Any = 1.0, **question: Any) -> float:
    """The context factor of an action's score, with the weights of its levels."""
    a = an_action("a", context_weight=action, attributes={"margin": 0.5})
    issues = [{"id": "i", "context_weight": issue, "groups": [{"id": "g", "context_weight": group, "actions": [a]}]}]
    plan = a_plan([], issues=issues)
    (found,) = decided(plan, a_question(plan, **question)).placements[0].chosen
    return found.arithmetic.context


def test_the_weights_of_all_levels_multiply() -> None:
    assert weight(2, 3, 5) == 30.0


def test_a_weight_of_a_group_may_depend_on_the_customer_and_one_of_the_issue_on_the_request() -> None:
    levels = {"issue": 'context.device == "mobile" ? 4.0 : 1.0', "group": "1.0 + profile.spend", "action": 0.5}
    assert weight(**levels, profile={"spend": 2.0}, context={"device": "mobile"}) == 6.0
    assert weight(**levels, profile={"spend": 2.0}, context={"device": "desktop"}) == 1.5


def test_whole_numbers_and_others_multiply() -> None:
    assert weight("profile.views", "0.5 * profile.spend", 3, profile={"views": 4, "spend": 1.0}) == 6.0


def test_what_an_issue_says_of_an_action_is_of_each_of_its_actions() -> None:
    assert weight("action.margin", "profile.views", profile={"views": 4}) == 2.0


@pytest.mark.parametrize(("issue", "group"), [("-1", "-1"), ("profile.views - 3", "profile.views - 5")])
def test_two_negative_weights_do_not_make_a_positive_one(issue: str, group: str) -> None:
    assert weight(issue, group, profile={"views": 1}) == 0.0
