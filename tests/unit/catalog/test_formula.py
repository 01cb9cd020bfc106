from __future__ import annotations

from math import inf, isfinite, nan

import numpy as np
import pytest
from cel_expr_python import cel
from cel_expr_python.ext import ext_math
from hypothesis import given, settings
from hypothesis import strategies as st

from wayline.catalog.formula import FUNCTIONS, compile_formula
from wayline.catalog.rules import RuleError

VARIABLES = ("propensity", "context", "value", "lever")
CEL = cel.NewEnv(variables=dict.fromkeys(VARIABLES, cel.Type.DOUBLE), extensions=[ext_math.ExtMath()])


def priorities(text: str, *numbers: float) -> list[float]:
    """Of one action for each value; everything else is 1."""
    ones = np.ones(len(numbers))
    return compile_formula(text)(ones, ones, np.array(numbers, np.float64), ones).tolist()


def refusal(text: str) -> RuleError:
    with pytest.raises(RuleError) as caught:
        compile_formula(text)
    return caught.value


def test_a_formula_takes_the_place_of_the_product():
    formula = compile_formula("propensity * (value - 2.0) * lever + context / 4.0")

    found = formula(np.array([0.5, 0.1]), np.array([1.0, 4.0]), np.array([12.0, 3.0]), np.array([1.0, 2.0]))

    assert found.tolist() == [5.25, 1.2]


def test_many_customers_are_worked_out_at_once():
    propensity = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])

    found = compile_formula("propensity * value")(propensity, np.ones(2), np.array([10.0, 100.0]), np.ones(2))

    assert found.tolist() == (propensity * [10.0, 100.0]).tolist()


def test_a_formula_that_reads_nothing_gives_every_action_the_same():
    assert priorities("2.5", 1.0, 7.0) == [2.5, 2.5]


def test_the_result_is_the_callers_own():
    value = np.array([3.0])

    found = compile_formula("value")(value, value, value, value)
    found[0] = 9.0

    assert value.tolist() == [3.0]


def test_a_division_by_zero_lets_nothing_win():
    assert priorities("1.0 / value", 0.0, 2.0) == [0.0, 0.5]
    assert priorities("0.0 / value", 0.0, 2.0) == [0.0, 0.0]
    assert priorities("-1.0 / value", 0.0, 2.0) == [0.0, 0.0]


def test_of_a_number_and_no_number_the_least_is_the_one_that_cel_takes():
    assert priorities("math.least(value, 0.0 / 0.0)", 3.0) == [3.0]
    assert priorities("math.greatest(value, 0.0 / 0.0)", 3.0) == [3.0]
    assert priorities("math.least(0.0 / 0.0, value)", 3.0) == [0.0]


def test_an_action_that_costs_more_than_it_brings_has_no_priority():
    assert priorities("propensity * value - 3.0", 2.0, 3.0, 4.0) == [0.0, 0.0, 1.0]


def test_a_choice_is_made_for_each_action():
    assert priorities("value > 10.0 ? value : value < 1.0 ? 0.5 : 1.0", 20.0, 5.0, 0.1) == [20.0, 1.0, 0.5]


def test_a_formula_may_go_over_lines_and_have_comments():
    assert priorities("value // what it is worth\n  * 2.0 // twice", 3.0) == [6.0]


def test_operators_bind_as_in_cel():
    assert priorities("1.0 + value * 2.0 - 1.0 / 2.0 - 0.5", 3.0) == [6.0]
    assert priorities("value > 1.0 || value < 0.0 && value > 9.0 ? 1.0 : 2.0", 3.0) == [1.0]
    assert priorities("- value + 10.0", 3.0) == [7.0]


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("value * 2", "try: value * 2.0"),
        ("propensity * value > 1 ? 2.0 : 1.0", "try: propensity * value > 1.0 ? 2.0 : 1.0"),
        ("value > 1.0 ? 2 : 3", "a formula calculates with decimals; write 2.0"),
        ("math.greatest(value, 1)", "a formula calculates with decimals; write 1.0"),
        ("propensity > 0.1 ? value : 1", "write 100.0 for 100"),
        ("price * 2.0", "a formula does not know 'price'; it knows propensity, context, value and lever"),
        ("valu * 2.0", "did you mean 'value'?"),
        ("value * profile.spend", "other facts belong in context_weight"),
        ('context.device == "mobile" ? 1.0 : 2.0', "facts of the request belong in context_weight"),
        ("value > 1.0", "this one gives true or false"),
        ("value ? 1.0 : 2.0", "what stands before '?' has to be true or false"),
        ("min(value, lever)", "there is no function 'min'; write math.least"),
        ("math.max(value, lever)", "there is no function 'math.max'; write math.greatest"),
        ("math.round(value)", "a formula cannot use 'math.round'; it has math.least"),
        ("math.least([value, lever])", "a formula cannot use '['"),
        ("double('3')", "a formula cannot use 'double'"),
        ("'high'", "a formula cannot use text"),
        ("value ^ 2.0", "there are no powers"),
        ("value * ", "ends too early"),
        ("(" * 40 + "value" + ")" * 40, "nested too deeply"),
    ],
)
def test_a_formula_that_cannot_be_used_is_answered_in_words(formula: str, words: str):
    assert words in str(refusal(formula))


def test_what_is_wrong_has_its_line_and_column():
    wrong = refusal("value > 1.0\n  ? lever\n  : math.round(value)")

    assert (wrong.line, wrong.column) == (3, 5)


_literals = st.floats(0, 1e6).map(lambda one: repr(float(one))) | st.sampled_from(["0.0", "1e-3", ".5", "2E10"])
_atoms = st.sampled_from(VARIABLES) | _literals
_one_sided = sorted(FUNCTIONS.keys() - {"math.isNaN", "math.isInf", "math.isFinite"})


def _conditions(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    compared = st.tuples(numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), numbers).map(" ".join)
    asked = st.tuples(st.sampled_from(["math.isNaN", "math.isInf", "math.isFinite"]), numbers).map(
        "({0[0]}({0[1]}))".format
    )
    single = compared | asked | st.sampled_from(["true", "false"])
    joined = st.tuples(single, st.sampled_from(["&&", "||"]), single).map(" ".join)
    return single | joined | joined.map("!({})".format)


def _larger(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.tuples(numbers, st.sampled_from("+-*/"), numbers).map(" ".join)
        | numbers.map("({})".format)
        | numbers.map("-({})".format)
        | st.tuples(_conditions(numbers), numbers, numbers).map("({0[0]} ? {0[1]} : {0[2]})".format)
        | st.tuples(st.sampled_from(_one_sided), numbers).map("{0[0]}({0[1]})".format)
        | st.tuples(st.sampled_from(["math.least", "math.greatest"]), st.lists(numbers, min_size=2, max_size=4)).map(
            lambda one: f"{one[0]}({', '.join(one[1])})"
        )
    )


_SPECIAL = (0.0, -0.0, 0.5, -0.5, 2.0, -2.5, 1e300, 5e-324, inf, -inf, nan)
_numbers = st.sampled_from(_SPECIAL) | st.floats(-100, 100)


def held_against_cel(text: str, numbers: tuple[float, float, float, float]) -> None:
    activation = CEL.Activation(dict(zip(VARIABLES, numbers, strict=True)))
    # What is negative or no number is 0 as a priority, so it is asked for in other ways too.
    for formula in (text, f"-({text})", f"math.isNaN({text}) ? 1.0 : 2.0"):
        result = CEL.compile(formula).eval(activation).value()
        expected = result if isfinite(result) and result > 0 else 0.0

        assert compile_formula(formula)(*np.array(numbers)[:, None]).tolist() == [expected]


@pytest.mark.parametrize(
    "text",
    [
        *(f"value {operator} lever" for operator in "+-*/"),
        *(f"value {operator} lever ? 1.0 : 2.0" for operator in ("<", "<=", ">", ">=", "==", "!=")),
        *(f"{function}(value) ? 1.0 : 2.0" for function in ("math.isNaN", "math.isInf", "math.isFinite")),
        *(f"{function}(value)" for function in _one_sided),
        "math.least(value, lever)",
        "math.greatest(value, lever)",
        *(f"value > 0.0 {operator} lever > 0.0 ? 1.0 : 2.0" for operator in ("&&", "||")),
        "!(value > lever) ? 1.0 : 2.0",
    ],
)
def test_each_operation_gives_what_cel_gives(text: str):
    for value in _SPECIAL:
        for lever in _SPECIAL:
            held_against_cel(text, (1.0, 1.0, value, lever))


@settings(max_examples=200)
@given(st.recursive(_atoms, _larger, max_leaves=8), st.tuples(_numbers, _numbers, _numbers, _numbers))
def test_a_formula_gives_what_cel_gives(text: str, numbers: tuple[float, float, float, float]):
    held_against_cel(text, numbers)
