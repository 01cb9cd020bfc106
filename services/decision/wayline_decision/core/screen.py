"""Screening: which rows meet all their conditions, as a bit set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from wayline_decision.core.plan import Indices, Plan


class Screened(NamedTuple):
    """What passed, and what every condition gave."""

    passed: int
    met: list[bool]
    errors: Mapping[int, str]
    """By condition: why it could not be evaluated. It counts as not met."""


def screen(plan: Plan, activation: Any) -> Screened:
    """Evaluate every distinct condition once. The cost grows with conditions, not with conditions times actions."""
    evaluated = plan.conditions.evaluate(activation)
    passed = (1 << len(plan.rows)) - 1
    for met, keep in zip(evaluated.values, plan.keeps, strict=True):
        if not met:
            passed &= keep
    return Screened(passed, evaluated.values, evaluated.errors)


def indices_of(mask: int, width: int) -> Indices:
    """The set bits of `mask`, ascending, as an index array; `width` is the number of rows."""
    data = mask.to_bytes((width + 7) // 8, "little")
    return np.flatnonzero(np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little"))
