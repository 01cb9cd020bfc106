"""The world's conditions, taken apart, so that each peer can be given them in its own language."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOUR = "hour"
_NOW = "now.getHours()"
_TERM = re.compile(r"(?:profile|context)\.(\w+) (>|<|>=|==|!=|in) (.+)")
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "in": np.isin,
}

Flags = NDArray[np.bool_]
Columns = Mapping[str, NDArray[Any]]
"""[customers] of what each name stands for."""


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison: a name (of a feature, of a field of the context, or the hour), an operator of CEL, a literal."""

    name: str
    operator: str
    literal: Any

    def holds(self, columns: Columns) -> Flags:
        """[customers] who meet it."""
        met: Flags = _OPERATORS[self.operator](columns[self.name], self.literal)
        return met


Rule = Sequence[Term]
"""It is met when one of its terms is."""


def read_rule(text: str) -> Rule:
    """A condition, from its CEL.

    Raises:
        ValueError: the world has conditions of a kind that the peers are not given yet.
    """
    return [_read_term(one) for one in text.split(" || ")]


def _read_term(text: str) -> Term:
    found = _TERM.fullmatch(text.replace(_NOW, f"context.{HOUR}"))
    try:
        name, comparison, literal = found.groups() if found else ("", "", "")
        return Term(name, comparison, json.loads(literal))
    except ValueError:
        raise ValueError(f"expected a comparison of a field with a literal, got {text!r}") from None


def met(rules: Sequence[Rule], columns: Columns) -> Flags:
    """[customers, rules] which customer meets which condition."""
    return np.column_stack([np.logical_or.reduce([term.holds(columns) for term in rule]) for rule in rules])
