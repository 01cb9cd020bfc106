"""Screening: which rows meet all their conditions, as a bit set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from wayline.catalog.rules import Evaluated
from wayline_decision.core.known import Judged, Known, Situation
from wayline_decision.core.plan import Plan

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
        passed = _keep(plan.everything, evaluated.values, first)
        judged = known.judged = Judged(passed, evaluated.values, evaluated.errors, weights)
    return judged


def screen(
    plan: Plan, judged: Judged, situation: Situation, second: datetime, activation: Callable[[], Any]
) -> Screened:
    """Judge the rest. The cost grows with conditions, not with conditions times actions.

    Args:
        plan: the catalogue.
        judged: what the profile alone decides.
        situation: the request's context.
        second: the time, in whole seconds.
        activation: all of it, for CEL.
    """
    passed, met, errors = judged.passed, judged.met, judged.errors
    if plan.situational.expressions:
        if situation.judged is None:
            evaluated = plan.situational.evaluate(activation())
            situation.judged = (evaluated.values, evaluated.errors)
        passed, met, errors = _judge_more(plan, passed, met, errors, *situation.judged)
    if plan.temporal.expressions:
        told = plan.clock.judged
        if told is None or told[0] != second:
            evaluated = plan.temporal.evaluate(activation())
            told = plan.clock.judged = (second, evaluated.values, evaluated.errors)
        passed, met, errors = _judge_more(plan, passed, met, errors, told[1], told[2])
    if plan.momentary.expressions:
        evaluated = plan.momentary.evaluate(activation())
        passed, met, errors = _judge_more(plan, passed, met, errors, evaluated.values, evaluated.errors)
    return Screened(passed, met, errors)


def _judge_more(
    plan: Plan,
    passed: int,
    met: list[bool],
    errors: Mapping[int, str],
    values: list[bool],
    more_errors: Mapping[int, str],
) -> tuple[int, list[bool], Mapping[int, str]]:
    """Take up the conditions that follow those of `met`."""
    before = len(met)
    if more_errors:
        errors = {**errors, **{before + at: error for at, error in more_errors.items()}}
    return _keep(passed, values, plan.keeps[before : before + len(values)]), met + values, errors


def _keep(passed: int, values: Sequence[bool], keeps: Sequence[int]) -> int:
    for met, keep in zip(values, keeps, strict=True):
        if not met:
            passed &= keep
    return passed


def eligible(plan: Plan, screened: Screened) -> int:
    """The rows that meet their conditions of eligibility, whatever the others say, as a bit set."""
    return _keep(plan.everything, screened.met, plan.keeps_eligible)


def forced(plan: Plan, screened: Screened) -> int:
    """The rows of actions that are forced now, as a bit set."""
    mask = plan.always_forced
    for condition, rows in plan.forced_by.items():
        if screened.met[condition]:
            mask |= rows
    return mask
