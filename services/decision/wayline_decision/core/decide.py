"""The decision: consent, experiments, screening, contact policy, arbitration, slots, content."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from wayline_decision.core.conclusion import Conclusion
from wayline_decision.core.consent import consent_standing, usable_situation
from wayline_decision.core.decision import (
    UNLIMITED,
    Decision,
    Limits,
    Personalisation,
    Prepared,
    Question,
)
from wayline_decision.core.plan import Plan
from wayline_decision.core.score import Models
from wayline_decision.core.standing import standings
from wayline_decision.core.subject import Subject


def decide(
    plan: Plan, models: Models, questions: Sequence[Question], now: datetime, limits: Limits = UNLIMITED
) -> list[Decision]:
    """Decide for one or many customers at once; each model runs once for all of them.

    Args:
        plan: the compiled catalogue.
        models: those in use for it.
        questions: any number.
        now: the time by which rules are judged.
        limits: what other decisions have left, the same for all of them.
    """
    ready = prepare(plan, models, questions, [now] * len(questions))
    return [conclude(plan, models, one, now, limits) for one in ready]


def prepare(plan: Plan, models: Models, questions: Sequence[Question], times: Sequence[datetime]) -> list[Prepared]:
    """Score, each question at its own time; `conclude` does the rest, one after the other."""
    modes = [_personalisation(plan, question) for question in questions]
    subjects: list[Subject] = []
    for at, question in enumerate(questions):
        known = question.known if modes[at] is Personalisation.FULL else None
        situation = usable_situation(plan, question.known, question.reachable, question.situation)
        subjects.append(Subject(plan, known, situation, times[at]))
    ranked = standings(plan, models, subjects)
    return [Prepared(one, modes[at], subjects[at], ranked[at]) for at, one in enumerate(questions)]


def conclude(plan: Plan, models: Models, prepared: Prepared, now: datetime, limits: Limits) -> Decision:
    """Screen, arbitrate and fill the slots."""
    return Conclusion(plan, models, prepared, now, limits).decision()


def _personalisation(plan: Plan, question: Question) -> Personalisation:
    if not question.reachable:
        return Personalisation.UNAVAILABLE
    if question.known is None:
        return Personalisation.UNKNOWN_CUSTOMER
    if not consent_standing(plan, question.known, plan.catalog.personalisation).allowed:
        return Personalisation.NO_CONSENT
    return Personalisation.FULL
