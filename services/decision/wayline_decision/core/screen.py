"""Screening: which rows meet all their conditions, as a bit set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wayline.catalog.rules import RuleSet
from wayline_decision.core.known import Judged
from wayline_decision.core.plan import Plan
from wayline_decision.core.subject import Subject


class Screened:
    """What passed, and what every condition gave."""

    __slots__ = ("parts", "passed")

    def __init__(self, passed: int, parts: list[Judged]) -> None:
        """Put together.

        Args:
            passed: the rows that met all conditions, as a bit set.
            parts: in the order of the plan's conditions.
        """
        self.passed: Final = passed
        self.parts: Final = parts

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


def judge(plan: Plan, subject: Subject) -> Judged:
    """What no request changes: worked out when it is first asked for, and kept with the view."""
    judged = subject.known.judged
    if judged is None:
        lasting = plan.lasting_weights
        weights = lasting.evaluate(subject.activation()).values if lasting.expressions else []
        judged = subject.known.judged = _judged(plan, plan.lasting, 0, subject)._replace(weights=weights)
    return judged


def screen(plan: Plan, judged: Judged, subject: Subject) -> Screened:
    """Judge the rest. The cost grows with conditions, not with conditions times actions.

    Args:
        plan: the catalogue.
        judged: what the profile alone decides.
        subject: the customer and the situation.
    """
    first = len(plan.lasting.expressions)
    parts = [judged]
    passed = judged.passed
    if plan.situational.expressions:
        situation = subject.situation
        situational = situation.judged
        if situational is None:
            situational = situation.judged = _judged(plan, plan.situational, first, subject)
        parts.append(situational)
        passed &= situational.passed
        first += len(plan.situational.expressions)
    if plan.temporal.expressions:
        told = plan.clock.judged
        if told is None or told[0] != subject.second:
            told = plan.clock.judged = (subject.second, _judged(plan, plan.temporal, first, subject))
        parts.append(told[1])
        passed &= told[1].passed
        first += len(plan.temporal.expressions)
    if plan.momentary.expressions:
        momentary = _judged(plan, plan.momentary, first, subject)
        parts.append(momentary)
        passed &= momentary.passed
    return Screened(passed, parts)


def _judged(plan: Plan, rules: RuleSet, first: int, subject: Subject) -> Judged:
    """How the conditions from number `first` on turn out."""
    if not rules.expressions:
        return Judged(plan.everything, [], {}, [])
    evaluated = rules.evaluate(subject.activation())
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
