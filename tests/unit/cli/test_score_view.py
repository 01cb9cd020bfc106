"""The arithmetic of scores, as people see it: whoever has only what is printed comes to the same priority."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.decisions import a_model, a_plan, a_question, an_action, decided
from tests.support.engines import a_request

from wayline.cli.decisions_view import render
from wayline.cli.score_view import worked_out
from wayline.v1 import decision_pb2
from wayline_decision.core.score import models_for
from wayline_decision.explanation import explanation
from wayline_decision.past import Past
from wayline_decision.states import state_of

NUMBER = r"([-+.e\d]+)"
FACTOR = re.compile(rf"(propensity|context|value|lever) {NUMBER}(?:\^{NUMBER})?")
SCORED = an_action("a", value=2.5, lever=1.2, context_weight=0.8, propensity={"model": "m", "base": 0.1})


def printed(action: Mapping[str, Any] = SCORED, **arbitration: Any) -> str:
    """What `wayline decisions show` prints of the only selection of a decision."""
    plan = a_plan([action], arbitration=arbitration)
    model = a_model(plan, {"a": 0.3137}, evidence=[(30, 9)])
    decision = decided(plan, a_question(plan), [model])
    state = state_of(plan, models_for(plan, [model]))
    record = decision_pb2.DecisionRecord(decision_id="0" * 32, request=a_request("ada"), catalog_revision=1)
    record.personalisation = decision_pb2.PERSONALISATION_FULL
    record.view.SetInParent()
    record.propensities = decision.recorded
    found = explanation(record, Past(state, {}, frozenset()))
    text = [str(part) for part in render(found, 0) if "priority" in str(part)]
    assert len(text) == 1
    return text[0]


def priority_of(text: str) -> float:
    return float(re.search(rf"= priority {NUMBER}", text)[1])


def factors_of(text: str) -> dict[str, float]:
    """Each factor that is printed, raised to the power that is printed with it."""
    return {name: float(number) ** float(power or 1) for name, number, power in FACTOR.findall(text.splitlines()[1])}


def test_the_product_of_what_is_printed_is_the_priority() -> None:
    text = printed()
    assert "propensity 0.3137 x context 0.8 x value 2.5 x lever 1.2 = priority" in text
    assert math.prod(factors_of(text).values()) == pytest.approx(priority_of(text), rel=1e-5)


def test_with_exponents_the_product_of_the_powers_is_the_priority() -> None:
    text = printed(propensity=1.3, context=0.7, value=0.5, lever=0)
    assert "propensity 0.3137^1.3 x context 0.8^0.7 x value 2.5^0.5 x lever 1.2^0 = priority" in text
    assert math.prod(factors_of(text).values()) == pytest.approx(priority_of(text), rel=1e-5)


def test_the_text_of_a_formula_is_printed_with_what_goes_into_it() -> None:
    text = printed(formula="propensity * context * math.least(value, 2.0) + lever")
    assert "propensity * context * math.least(value, 2.0) + lever" in text
    given = {name: float(number) for name, number, _ in FACTOR.findall(text.partition("with ")[2])}
    by_hand = given["propensity"] * given["context"] * min(given["value"], 2.0) + given["lever"]
    assert by_hand == pytest.approx(priority_of(text), rel=1e-5)


def test_a_formula_of_several_lines_keeps_them_for_the_sake_of_its_comments() -> None:
    text = printed(formula="propensity // a chance\n  * value")
    assert "propensity // a chance\n     * value\n     = priority" in text


def test_a_smoothed_propensity_can_be_worked_out_from_what_is_printed() -> None:
    text = printed(smoothing={"evidence": 20})
    n, raw, k, base, n_again, k_again = map(
        float,
        re.search(
            rf"smoothed: \({NUMBER} x {NUMBER} \+ {NUMBER} x {NUMBER}\) / \({NUMBER} \+ {NUMBER}\)", text
        ).groups(),
    )
    assert (n, k, base, n_again, k_again) == (30, 20, 0.1, 30, 20)
    assert (n * raw + k * base) / (n + k) == pytest.approx(factors_of(text)["propensity"], rel=1e-5)


def a_selection(**score: float) -> decision_pb2.Selection:
    return decision_pb2.Selection(action="a", treatment="t", rank=1, score=decision_pb2.Score(**score))


def test_in_the_arm_without_levers_a_formula_is_given_1() -> None:
    rule = decision_pb2.PriorityRule(formula="propensity * lever", control="no_levers")
    text = str(worked_out(a_selection(propensity=0.5, lever=3.0, priority=0.5), rule, None))
    assert "with propensity 0.5, context 0, value 0, lever 1" in text
    assert "control arm no_levers" in text


def test_a_service_that_does_not_say_by_what_rule_leaves_the_figures() -> None:
    text = str(worked_out(a_selection(propensity=0.5, lever=3.0, priority=9.0), decision_pb2.PriorityRule(), None))
    assert "propensity 0.5, context 0, value 0, lever 3 come to priority 9" in text
