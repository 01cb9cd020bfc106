from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.catalogs import HEAD

from wayline.catalog.load import load_text
from wayline.catalog.rules import RuleCompiler, RuleError, RuleSet
from wayline.catalog.schema import build_schema

SCHEMA = build_schema(load_text(HEAD))
COMPILER = RuleCompiler(SCHEMA)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def conditions(*rules: str) -> RuleSet:
    return RuleSet(COMPILER, rules, ("BOOL",), on_error=False)


def activation(**traits: Any) -> Any:
    return COMPILER.activation(SCHEMA.traits(**traits), SCHEMA.context(), NOW)


def test_rules_are_evaluated_together_in_their_order():
    rules = conditions("profile.orders > 1", "profile.orders > 5", "profile.spend > 10.0")

    assert rules.evaluate(activation(orders=3, spend=20.0)).values == [True, False, True]


def test_hundreds_of_rules_keep_their_order():
    rules = conditions(*(f"profile.orders > {number}" for number in range(250)))

    assert rules.evaluate(activation(orders=200)).values == [number < 200 for number in range(250)]


def test_a_rule_that_errs_counts_as_not_met_and_says_why_and_the_others_hold():
    limits = [f"profile.orders > {number}" for number in range(150)]
    rules = conditions(*limits[:120], "10 / (profile.orders - 130) > 0", *limits[120:])

    found = rules.evaluate(activation(orders=130))

    assert found.values == [True] * 120 + [False] + [number < 130 for number in range(120, 150)]
    assert list(found.errors) == [120]
    assert "divide by zero" in found.errors[120]


def test_numbers_of_either_type_come_as_floats():
    weights = RuleSet(COMPILER, ("profile.orders", "profile.spend * 2.0"), ("DOUBLE", "INT"), on_error=1.0)

    assert weights.evaluate(activation(orders=3, spend=1.5)).values == [3.0, 3.0]


def test_a_rule_may_end_with_a_comment():
    rules = conditions("profile.orders > 1 // more than one", "profile.orders > 5")

    assert rules.evaluate(activation(orders=3)).values == [True, False]


def test_long_rules_that_are_too_much_for_one_list_still_hold():
    text = " || ".join(f"profile.orders == {number}" for number in range(30))
    long = [f'{text} || "{"x" * 1_200}" == "{number}"' for number in range(99)]
    rules = conditions(*long, "profile.orders > 100")

    assert rules.evaluate(activation(orders=7)).values == [True] * 99 + [False]


def test_the_deepest_rule_that_compiles_also_holds_beside_others():
    rules = conditions("(" * 32 + "profile.orders > 1" + ")" * 32, "profile.orders > 5")

    assert rules.evaluate(activation(orders=3)).values == [True, False]


def test_a_rule_that_gives_no_condition_is_refused():
    with pytest.raises(RuleError, match="expected a rule that gives true or false, this one gives a whole number"):
        COMPILER.compile("profile.orders")
