"""Custom arbitration formulas: CEL by its rules and types, NumPy by its speed.

A formula is CEL over `propensity`, `context` (the action's weight in this context, not the request), `value` and
`lever`, all numbers with decimals. CEL's compiler judges it, so that its errors are those of rules. CEL itself takes
some 2 µs for each action, so the formula is carried out by NumPy, for all actions at once; a property test holds the
two against each other. What both have: + - * /, comparisons, && || !, `a ? b : c`, and the functions in `FUNCTIONS`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cel_expr_python import cel
from cel_expr_python.ext import ext_math
from numpy.typing import NDArray

from wayline.catalog.advice import advise
from wayline.catalog.rules import RuleError
from wayline.catalog.vocabulary import VARIABLES, in_words

Floats = NDArray[np.float64]
_Numbers = Mapping[str, Any]
_Node = Callable[[_Numbers], Any]


def _least(first: Any, *others: Any) -> Any:
    """As CEL does it: what is no number stays only where it comes first. NumPy's own minimum would keep it always."""
    for other in others:
        first = np.where(np.less(other, first), other, first)
    return first


def _greatest(first: Any, *others: Any) -> Any:
    for other in others:
        first = np.where(np.greater(other, first), other, first)
    return first


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "math.least": _least,
    "math.greatest": _greatest,
    "math.abs": np.abs,
    "math.ceil": np.ceil,
    "math.floor": np.floor,
    "math.trunc": np.trunc,
    "math.sqrt": np.sqrt,
    "math.isNaN": np.isnan,
    "math.isInf": np.isinf,
    "math.isFinite": np.isfinite,
}
_LEVELS: tuple[Mapping[str, Callable[[Any, Any], Any]], ...] = (
    {"||": np.logical_or},
    {"&&": np.logical_and},
    {
        "<": np.less,
        "<=": np.less_equal,
        ">": np.greater,
        ">=": np.greater_equal,
        "==": np.equal,
        "!=": np.not_equal,
    },
    {"+": np.add, "-": np.subtract},
    {"*": np.multiply, "/": np.divide},
)
"""CEL's binary operators, those that bind least first. All are left-associative."""
_CONSTANTS = {"true": True, "false": False}
_TOKEN = re.compile(
    r"\s+|//[^\n]*"
    r"|(?P<decimal>\d*\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)"
    r"|(?P<whole>0x[0-9a-fA-F]+u?|\d+[uU]?)"
    r"|(?P<name>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)"
    r"|(?P<sign>&&|\|\||[<>=!]=|.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Formula:
    """A compiled formula. It is called with the numbers of all actions."""

    text: str
    _node: _Node = field(repr=False, compare=False)

    def __call__(self, propensity: Floats, context: Floats, value: Floats, lever: Floats) -> Floats:
        """The priorities.

        Args:
            propensity: [..., A] the chance to accept.
            context: [..., A] the context weight.
            value: [A] what acceptance is worth.
            lever: [A] the product of the levers.

        Returns:
            A new array, of the shape to which the arguments broadcast. A result that is negative, infinite or no
            number counts as 0: nothing wins by a division by zero.
        """
        numbers = (propensity, context, value, lever)
        with np.errstate(all="ignore"):
            result = self._node(dict(zip(VARIABLES, numbers, strict=True)))
        priority = np.zeros(np.broadcast_shapes(*map(np.shape, numbers)), np.float64)
        np.copyto(priority, result, where=np.isfinite(result) & np.greater(result, 0.0))
        return priority


def compile_formula(text: str) -> Formula:
    """Compile a formula.

    Raises:
        RuleError: it is not CEL, does not give a number with decimals, or uses what only CEL has.
    """
    try:
        compiled = _environment().compile(text)
    except RuntimeError as error:
        advice = advise(text, str(error), {"variables": dict.fromkeys(VARIABLES, "double")}, _error_of)
        raise RuleError(advice.message, advice.column, advice.line) from None
    # Before the type is looked at: of `value > 1.0 ? 2 : 3`, a whole number's place says more than the type.
    node = _Parser(text).formula()
    given = compiled.return_type().name()
    if given != "DOUBLE":
        raise RuleError(f"expected a formula that gives a number with decimals, this one gives {in_words(given)}")
    return Formula(text, node)


@functools.cache
def _environment() -> Any:
    return cel.NewEnv(variables=dict.fromkeys(VARIABLES, cel.Type.DOUBLE), extensions=[ext_math.ExtMath()])


def _error_of(text: str) -> str | None:
    """So that no correction is offered that only CEL could carry out."""
    try:
        _environment().compile(text)
        _Parser(text).formula()
    except (RuntimeError, RuleError) as error:
        return str(error)
    return None


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        if found.lastgroup:
            yield _Token(found.lastgroup, re.sub(r"\s", "", found[0]), found.start())
    yield _Token("end", "", len(text))


class _Parser:
    """Makes closures of what CEL has accepted, by recursive descent. CEL itself limits how deep that can get."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._rest = list(_tokens(text))[::-1]

    def formula(self) -> _Node:
        node = self._choice()
        if self._rest[-1].kind != "end":
            raise self._refused(self._rest[-1])
        return node

    def _choice(self) -> _Node:
        condition = self._binary(0)
        if not self._take("?"):
            return condition
        # CEL's grammar has no choice right after the question mark, but takes a whole expression after the colon.
        one = self._binary(0)
        self._expect(":")
        other = self._choice()
        return lambda numbers: np.where(condition(numbers), one(numbers), other(numbers))

    def _binary(self, level: int) -> _Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._binary(level + 1)
        while (sign := self._rest[-1].text) in _LEVELS[level]:
            self._rest.pop()
            node = _applied(_LEVELS[level][sign], node, self._binary(level + 1))
        return node

    def _unary(self) -> _Node:
        for sign, operation in (("-", np.negative), ("!", np.logical_not)):
            if self._take(sign):
                return _applied(operation, self._unary())
        return self._primary()

    def _primary(self) -> _Node:
        token = self._rest.pop()
        if token.kind == "decimal":
            return _constant(float(token.text))
        if token.kind == "whole":
            raise self._refused(token, f"a formula calculates with decimals; write {token.text.rstrip('uU')}.0")
        if token.kind == "name" and self._take("("):
            return self._call(token)
        if token.text in VARIABLES:
            return lambda numbers: numbers[token.text]
        if token.text in _CONSTANTS:
            return _constant(_CONSTANTS[token.text])
        if token.text == "(":
            node = self._choice()
            self._expect(")")
            return node
        raise self._refused(token)

    def _call(self, name: _Token) -> _Node:
        function = FUNCTIONS.get(name.text)
        if function is None:
            raise self._refused(name, f"a formula cannot use '{name.text}'; it has {', '.join(FUNCTIONS)}")
        arguments = [self._choice()]
        while self._take(","):
            arguments.append(self._choice())
        self._expect(")")
        return _applied(function, *arguments)

    def _take(self, text: str) -> bool:
        if self._rest[-1].text == text:
            self._rest.pop()
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._refused(self._rest[-1])

    def _refused(self, token: _Token, message: str = "") -> RuleError:
        before = self._text[: token.at]
        line, column = before.count("\n") + 1, token.at - before.rfind("\n")
        what = "text" if token.text in ("'", '"') else f"'{token.text}'"
        has = f"it has numbers, + - * /, comparisons, ? : and {', '.join(FUNCTIONS)}"
        return RuleError(message or f"a formula cannot use {what}; {has}", column, line)


def _constant(value: float | bool) -> _Node:
    return lambda _: value


def _applied(operation: Callable[..., Any], *operands: _Node) -> _Node:
    return lambda numbers: operation(*[operand(numbers) for operand in operands])
