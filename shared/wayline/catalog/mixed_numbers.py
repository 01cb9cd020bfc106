"""Numbers with decimals and whole numbers, which CEL does not mix: a rule with its numbers made to fit."""

from __future__ import annotations

import re
from collections.abc import Callable

from wayline.catalog.complaints import complaint_of, overload_of

ErrorOf = Callable[[str], "str | None"]
"""The compiler's error for an expression; None when it compiles."""

_OPERAND = r"-?[A-Za-z_][\w.]*(?:\[[^\[\]]*\])?(?:\.\w+)?(?:\([^()]*\))?"
_CORRECTIONS = 12


def corrected(expression: str, line: int, column: int, given: list[str], error_of: ErrorOf) -> str | None:
    """The rule with its numbers made to fit, if that makes it compile."""
    for _ in range(_CORRECTIONS):
        candidate = _fit(expression, line, column, given)
        if candidate is None or candidate == expression:
            return None
        expression, error = candidate, error_of(candidate)
        if error is None:
            return expression
        complaint, overload = complaint_of(error), overload_of(error)
        if not complaint or not overload:
            return None
        line, column, given = complaint.line, complaint.column, overload.given
    return None


def _fit(expression: str, line: int, column: int, given: list[str]) -> str | None:
    """One step: make the whole number beside the operator at `column` one with decimals, or cut a '.0' off."""
    lines = expression.split("\n")
    before, after = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
    operator = re.match(r"[^\w\s.\"']+\s*", after)
    start = operator.end() if operator else 0
    left, symbol, right = before, after[:start], after[start:]
    if given[-1] == "int" or (len(given) > 2 and given[-2] == "int"):
        right = _widen(r"^", right, "")
    elif re.match(r"-?\d+\.0+(?![\w.])", right):
        right = re.sub(r"^(-?\d+)\.0+", r"\1", right)
    else:
        left = _widen("", left, r"(\s*)$")
    lines[line - 1] = left + symbol + right
    return "\n".join(lines)


def _widen(start: str, text: str, end: str) -> str:
    """A literal becomes 1.0, anything else double(...), at the start or the end of `text`."""
    widened, count = re.subn(rf"{start}(?<![\w.])(-?\d+)(?![\w.]){end}", _with_tail(r"\1.0", end), text, count=1)
    if count:
        return widened
    return re.sub(rf"{start}(?<![\w.\]])({_OPERAND}){end}", _with_tail(r"double(\1)", end), text, count=1)


def _with_tail(replacement: str, end: str) -> str:
    return replacement + (r"\2" if end else "")
