"""Screening: which rows meet all their conditions, as a bit set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from wayline.catalog.rules import RuleSet
from wayline_decision.core.known import Judged, Known, Situation
from wayline_decision.core.plan import Plan


class Screened(NamedTuple):
    """What passed, and what every condition gave."""

    passed: int
    parts: tuple[Judged, ...]
    """In the order of the plan's conditions."""

    @property
    def met(self) -> list[bool]:
        """Of every condition."""
        return [one for part in self.parts for one in part.met]

    @property
    def errors(self) -> dict[int, str]:
        """By condition: why it could not be evaluated. It counts as not met."""
        found: dict[int, str] = {}
        first = 0
        for part in self.parts:
            found.update((first + at, error) for at, error in part.errors.items())
            first += len(part.met)
        return found


def judge(plan: Plan, known: Known, activation: Callable[[], Any]) -> Judged:
    """What no request changes: worked out when it is first asked for, and kept with the view."""
    judged = known.judged
    if judged is None:
        weights = plan.lasting_weights.evaluate(activation()).values if plan.lasting_weights.expressions else []
        judged = known.judged = _judged(plan, plan.lasting, 0, activation)._replace(weights=weights)
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
    first = len(plan.lasting.expressions)
    parts = [judged]
    if plan.situational.expressions:
        if situation.judged is None:
            situation.judged = _judged(plan, plan.situational, first, activation)
        parts.append(situation.judged)
        first += len(plan.situational.expressions)
    if plan.temporal.expressions:
        told = plan.clock.judged
        if told is None or told[0] != second:
            told = plan.clock.judged = (second, _judged(plan, plan.temporal, first, activation))
        parts.append(told[1])
        first += len(plan.temporal.expressions)
    if plan.momentary.expressions:
        parts.append(_judged(plan, plan.momentary, first, activation))
    passed = judged.passed
    for part in parts[1:]:
        passed &= part.passed
    return Screened(passed, tuple(parts))


def _judged(plan: Plan, rules: RuleSet, first: int, activation: Callable[[], Any]) -> Judged:
    """How the conditions from number `first` on turn out."""
    if not rules.expressions:
        return Judged(plan.everything, [], {}, [])
    evaluated = rules.evaluate(activation())
    passed = _keep(plan.everything, evaluated.values, plan.keeps[first : first + len(evaluated.values)])
    return Judged(passed, evaluated.values, evaluated.errors, [])


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
    if not plan.forced_by:
        return mask
    met = screened.met
    for condition, rows in plan.forced_by.items():
        if met[condition]:
            mask |= rows
    return mask
