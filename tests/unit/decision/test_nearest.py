"""What a marketer is told: which part of a rule fails, what it is for this customer, and what it would have to be."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.decisions import NOW, a_plan, a_question, an_action

from wayline_decision.core.nearest import Changes, Written

RULES = [  # each trait is read by some rule: rules see no others
    "profile.views > 0",
    "profile.spend > 0.0",
    'profile.tier == ""',
    "profile.colors.size() > 0",
]
PLAN = a_plan([an_action("a", eligibility=RULES)])
ADA = {"views": 1, "spend": 12.5, "tier": "silver", "colors": {"red": 0.25}}


def change(rule: str, **profile: object) -> str:
    question = a_question(PLAN, profile=profile or ADA)
    known = question.known
    assert known is not None
    activation = partial(PLAN.rule_compiler.activation, known.facts, question.situation.context, NOW)
    return Changes(PLAN.rule_compiler, activation).of(rule)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("profile.views >= 3", "profile.views is 1; it would have to be at least 3"),
        ("3 <= profile.views", "profile.views is 1; it would have to be at least 3"),
        ("profile.spend < 10.0", "profile.spend is 12.5; it would have to be less than 10.0"),
        ("profile.views != 1", "profile.views is 1; it would have to be anything but 1"),
        ('profile.tier in ["gold"]', 'profile.tier is "silver"; it would have to be in ["gold"]'),
        ('"blue" in profile.colors', '"blue" in profile.colors is false; it would have to be true'),
        (
            'profile.colors[?"red"].orValue(0.0) >= 0.5',
            'profile.colors[?"red"].orValue(0.0) is 0.25; it would have to be at least 0.5',
        ),
        ("now.getHours() < 9", "now.getHours() is 12; it would have to be less than 9"),
        (
            "double(profile.views) > profile.spend",
            "double(profile.views) is 1; it would have to be more than profile.spend, which is 12.5",
        ),
        ('!profile.tier.startsWith("s")', 'profile.tier.startsWith("s") is true; it would have to be false'),
        ("profile.views == 2 // just two", "profile.views is 1; it would have to be 2"),
        ('profile.tier == "a || b"', 'profile.tier is "silver"; it would have to be "a || b"'),
    ],
)
def test_a_comparison_is_told_with_the_customers_value(rule: str, said: str) -> None:
    assert change(rule) == said


def test_of_conditions_that_must_all_hold_those_that_fail_are_named() -> None:
    assert change("profile.views > 0 && profile.spend >= 100.0") == (
        "profile.spend is 12.5; it would have to be at least 100.0"
    )
    assert change('profile.views > 5 && context.device == "mobile"') == (
        'profile.views is 1; it would have to be more than 5; and context.device is "desktop"; '
        'it would have to be "mobile"'
    )


def test_of_alternatives_each_is_named() -> None:
    assert change('(profile.views > 5 || context.device == "mobile") && profile.spend > 1.0') == (
        'profile.views is 1; it would have to be more than 5; or context.device is "desktop"; '
        'it would have to be "mobile"'
    )


@pytest.mark.parametrize(
    "rule",
    ["profile.views > 3 ? true : false", 'profile.colors["blue"] > 1.0', "profile.views == 2 == true"],
)
def test_what_is_no_simple_comparison_is_told_as_it_is_written(rule: str) -> None:
    assert change(rule) == f"this would have to hold: {rule}"


def test_a_rule_that_holds_for_nobody_says_so() -> None:
    assert change("1 > 2") == "nothing: 1 > 2 holds for nobody"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("action.margin > 1.0", "action.margin is 0.5; it would have to be more than 1.0"),
        ("1.0 < action.margin", "action.margin is 0.5; it would have to be more than 1.0"),
        ('action.season in ["winter"]', 'action.season is "summer"; it would have to be in ["winter"]'),
        ('action.season.startsWith("w")', 'action.season.startsWith("w") is false; it would have to be true'),
        (
            "profile.spend < action.margin",
            "profile.spend is 12.5; it would have to be less than action.margin, which is 0.5",
        ),
        (
            'action.margin > 0.1 && action.season == "winter"',
            'action.season is "summer"; it would have to be "winter"',
        ),
    ],
)
def test_a_fact_of_the_action_is_told_by_its_name_and_its_value(rule: str, said: str) -> None:
    facts = {"action.margin": "0.5", "action.season": '"summer"'}

    def for_action(text: str) -> str:
        for name, value in facts.items():
            text = text.replace(name, value)
        return text

    question = a_question(PLAN, profile=ADA)
    known = question.known
    assert known is not None
    activation = partial(PLAN.rule_compiler.activation, known.facts, question.situation.context, NOW)
    assert Changes(PLAN.rule_compiler, activation).of(for_action(rule), Written(rule, for_action)) == said


simple = st.one_of(
    st.tuples(
        st.sampled_from(["profile.views", "context.hour"]), st.sampled_from(["<", ">=", "=="]), st.integers(0, 20)
    ),
).map(lambda one: f"{one[0]} {one[1]} {one[2]}")
rules = st.recursive(
    simple, lambda part: st.tuples(part, st.sampled_from([" && ", " || "]), part).map(lambda one: f"({''.join(one)})")
)


@given(rules)
def test_whatever_the_rule_something_is_said_and_no_part_that_holds_is_blamed(rule: str) -> None:
    question = a_question(PLAN, profile=ADA)
    activation = PLAN.rule_compiler.activation(question.known.facts, question.situation.context, NOW)  # type: ignore[union-attr]

    def holds(text: str) -> bool:
        return bool(PLAN.rule_compiler.compile(text).eval(activation).value())

    if not holds(rule):
        said = change(rule)
        assert said
        values = {"profile.views": 1, "context.hour": 12}
        for part in said.replace("; or ", "; and ").split("; and "):
            name, _, rest = part.partition(" is ")
            assert rest.startswith(f"{values[name]}; it would have to be ")
