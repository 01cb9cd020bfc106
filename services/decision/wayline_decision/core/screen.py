"""Screening: which rows meet all their conditions, as a bit set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from wayline.catalog.rules import Evaluated
from wayline_decision.core.known import Judged, Known
from wayline_decision.core.plan import Indices, Plan

NOTHING = Evaluated([], {})


class Screened(NamedTuple):
    """What passed, and what every condition gave."""

    passed: int
    met: list[bool]
    errors: Mapping[int, str]
    """By condition: why it could not be evaluated. It counts as not met."""


def judge(plan: Plan, known: Known, activation: Callable[[], Any]) -> Judged:
    """What no request changes: worked out when it is first asked for, and kept with the view."""
    judged = known.judged
    if judged is None:
        evaluated = plan.lasting.evaluate(activation()) if plan.lasting.expressions else NOTHING
        weights = plan.lasting_weights.evaluate(activation()).values if plan.lasting_weights.expressions else []
        first = plan.keeps[: len(evaluated.values)]
        passed = _keep((1 << len(plan.rows)) - 1, evaluated.values, first)
        judged = known.judged = Judged(passed, evaluated.values, evaluated.errors, weights)
    return judged


def screen(plan: Plan, judged: Judged, activation: Callable[[], Any]) -> Screened:
    """Judge the rest. The cost grows with conditions, not with conditions times actions."""
    if not plan.momentary.expressions:
        return Screened(judged.passed, judged.met, judged.errors)
    evaluated = plan.momentary.evaluate(activation())
    before = len(judged.met)
    errors = judged.errors
    if evaluated.errors:
        errors = {**errors, **{before + at: error for at, error in evaluated.errors.items()}}
    passed = _keep(judged.passed, evaluated.values, plan.keeps[before:])
    return Screened(passed, judged.met + evaluated.values, errors)


def _keep(passed: int, values: Sequence[bool], keeps: Sequence[int]) -> int:
    for met, keep in zip(values, keeps, strict=True):
        if not met:
            passed &= keep
    return passed


def indices_of(mask: int, width: int) -> Indices:
    """The set bits of `mask`, ascending, as an index array; `width` is the number of rows."""
    data = mask.to_bytes((width + 7) // 8, "little")
    return np.flatnonzero(np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little"))
