"""The decision: consent, screening, scores, arbitration, slots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from wayline_decision.core.arbitrate import context_weights, priorities, rank
from wayline_decision.core.known import Known, Situation, Standing
from wayline_decision.core.plan import Floats, PlacementPlan, Plan
from wayline_decision.core.score import CATALOGUE, ModelInUse, Rows, Scored, base_rates, combine, probabilities
from wayline_decision.core.screen import Screened, indices_of, judge, screen

MAX_KEPT_SCORES = 256
"""Of one model for one customer: 2 kB. Beyond it they are worked out for each request."""
MAX_KEPT_ROWS = 256
"""The standing of a customer is 8 kB then, and the cache holds 50,000. Beyond it rows are ranked for each request."""
_SPARSE = 8
_NONE: tuple[int, None] = (0, None)
_NO_SOURCES: Mapping[int, str] = {}


class Personalisation(IntEnum):
    """How personal a decision is. The names are those of the contract."""

    FULL = 1
    UNKNOWN_CUSTOMER = 2
    NO_CONSENT = 3
    UNAVAILABLE = 4


class Question(NamedTuple):
    """One request. `known` None: the customer is not known, or could not be read (`reachable` False)."""

    placements: Sequence[tuple[PlacementPlan, int]]
    """With the number of slots to fill."""
    situation: Situation
    known: Known | None
    reachable: bool = True


class Chosen(NamedTuple):
    """A row in a slot, with the arithmetic of its score."""

    row: int
    propensity: float
    context: float
    value: float
    lever: float
    priority: float
    source: str


class Filled(NamedTuple):
    """One placement: what was chosen, and why nothing could be (a purpose that is not allowed)."""

    placement: PlacementPlan
    chosen: tuple[Chosen, ...]
    denied_purpose: str | None


class Decision(NamedTuple):
    """Everything that came out, and what an explanation needs beside it."""

    personalisation: Personalisation
    placements: tuple[Filled, ...]
    screened: Screened
    row_priority: Floats
    """[T]"""
    failures: tuple[str, ...]


def decide(plan: Plan, models: Sequence[ModelInUse], questions: Sequence[Question], now: datetime) -> list[Decision]:
    """Decide for one or many customers at once; each model runs once for all of them.

    Args:
        plan: the compiled catalogue.
        models: those in use for it.
        questions: any number.
        now: the time by which rules are judged.
    """
    modes = [_personalisation(plan, question) for question in questions]
    subjects = [
        question.known if mode is Personalisation.FULL and question.known else plan.nobody
        for question, mode in zip(questions, modes, strict=True)
    ]
    activations = [
        partial(plan.rule_compiler.activation, subject.facts, question.situation.context, now)
        for subject, question in zip(subjects, questions, strict=True)
    ]
    standings = _standings(plan, models, questions, subjects, activations, now)
    return [
        _fill(
            plan,
            question,
            mode,
            screen(plan, judge(plan, subject, activation), question.situation, activation),
            standing,
        )
        for question, mode, subject, activation, standing in zip(
            questions, modes, subjects, activations, standings, strict=True
        )
    ]


def _standings(
    plan: Plan,
    models: Sequence[ModelInUse],
    questions: Sequence[Question],
    subjects: Sequence[Known],
    activations: Sequence[Callable[[], Any]],
    now: datetime,
) -> list[Standing]:
    """How all rows stand with each customer: as kept with the view, where no request changes it."""
    lasts = (
        len(plan.rows) <= MAX_KEPT_ROWS
        and not plan.momentary_weights.expressions
        and not any(model.needs_context for model in models)
    )
    if not lasts:
        return _stand(plan, models, questions, subjects, activations, now)
    missing = [at for at, one in enumerate(subjects) if one.standing is None or one.standing.models is not models]
    if missing:
        found = _stand(
            plan,
            models,
            [questions[at] for at in missing],
            [subjects[at] for at in missing],
            [activations[at] for at in missing],
            now,
        )
        for at, standing in zip(missing, found, strict=True):
            order = np.argsort(-standing.row_priority, kind="stable").tolist()
            # A model that failed may answer the next time: keep nothing of it.
            kept = None if standing.failures else models
            subjects[at].standing = standing._replace(models=kept, order=order)
    return [cast(Standing, one.standing) for one in subjects]


def _stand(
    plan: Plan,
    models: Sequence[ModelInUse],
    questions: Sequence[Question],
    subjects: Sequence[Known],
    activations: Sequence[Callable[[], Any]],
    now: datetime,
) -> list[Standing]:
    scored = _score(plan, models, questions, subjects, now)
    weights = [
        _weights(plan, judge(plan, subject, activation).weights, activation)
        for subject, activation in zip(subjects, activations, strict=True)
    ]
    row_priority = priorities(plan, scored.propensity, np.asarray(weights)).take(plan.action_of, axis=1)
    return [
        Standing(
            models=None,
            propensity=scored.propensity[at].copy(),
            weights=weights[at],
            row_priority=row_priority[at].copy(),
            order=None,
            sources=_NO_SOURCES if subject is plan.nobody else scored.sources,
            failures=() if subject is plan.nobody else scored.failures,
        )
        for at, subject in enumerate(subjects)
    ]


def _weights(plan: Plan, lasting: list[float], activation: Callable[[], Any]) -> Floats:
    if plan.momentary_weights.expressions:
        return context_weights(plan, lasting + plan.momentary_weights.evaluate(activation()).values)
    return context_weights(plan, lasting)


def _personalisation(plan: Plan, question: Question) -> Personalisation:
    if not question.reachable:
        return Personalisation.UNAVAILABLE
    if question.known is None:
        return Personalisation.UNKNOWN_CUSTOMER
    if not plan.catalog.allows(plan.catalog.personalisation, question.known.consents):
        return Personalisation.NO_CONSENT
    return Personalisation.FULL


def _score(
    plan: Plan,
    models: Sequence[ModelInUse],
    questions: Sequence[Question],
    subjects: Sequence[Known],
    now: datetime,
) -> Scored:
    """Score whom we may know; everyone else keeps the catalogue's base rates."""
    personal = [at for at, subject in enumerate(subjects) if subject is not plan.nobody]
    given: list[tuple[ModelInUse, Floats]] = []
    failures: list[str] = []
    for model in models if personal else ():
        try:
            given.append((model, _probabilities(plan, model, [questions[at] for at in personal], now)))
        except Exception as error:  # whatever a foreign model does, a decision is still made
            failures.append(f"model:{model.name}@{model.version} failed: {type(error).__name__}")
    scored = combine(plan, given, failures, len(personal))
    if len(personal) == len(questions):
        return scored
    propensity = base_rates(plan, len(questions))
    propensity[personal] = scored.propensity
    return Scored(propensity, scored.sources, scored.failures)


def _probabilities(plan: Plan, model: ModelInUse, questions: Sequence[Question], now: datetime) -> Floats:
    """[customers, actions of the model], in one run for all those whose scores are not kept yet."""
    known = [question.known or plan.nobody for question in questions]
    if model.needs_context or len(model.actions) > MAX_KEPT_SCORES:
        rows = [
            _encode(plan, model, one, question.situation.context, now)
            for one, question in zip(known, questions, strict=True)
        ]
        return probabilities(plan, model, _stack(rows))
    missing = [one for one in known if one.scores.get(model.name, _NONE)[0] != model.version]
    if missing:
        rows = [_encode(plan, model, one, None, now) for one in missing]
        for one, scores in zip(missing, probabilities(plan, model, _stack(rows)), strict=True):
            one.scores[model.name] = (model.version, scores.copy())
    return _stack([one.scores[model.name][1] for one in known])


def _stack(rows: list[NDArray[Any]]) -> NDArray[Any]:
    """[customers, …]. A single row is only looked at in another way, which takes a tenth of the time."""
    return rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)


def _encode(plan: Plan, model: ModelInUse, known: Known, context: Any, now: datetime) -> Rows:
    context = plan.schema.context() if context is None else context
    activation = plan.compiler.activation(known.traits, context, now) if model.needs_activation else None
    return model.encode(known.traits, context, activation)


def _fill(plan: Plan, question: Question, mode: Personalisation, screened: Screened, standing: Standing) -> Decision:
    consents = question.known.consents if question.known else {}
    used: set[int] = set()
    filled: list[Filled] = []
    for placement, slots in question.placements:
        if not plan.catalog.allows(placement.purpose, consents):
            filled.append(Filled(placement, (), placement.purpose))
            continue
        enough = (slots + len(used)) * placement.most_per_action
        ranked = _ranked(plan, standing, screened.passed & placement.rows, enough)
        chosen = [_chosen(plan, standing, row) for row in _slots(plan, ranked, slots, used)]
        filled.append(Filled(placement, tuple(chosen), None))
    return Decision(mode, tuple(filled), screened, standing.row_priority, standing.failures)


def _chosen(plan: Plan, standing: Standing, row: int) -> Chosen:
    action = plan.rows[row].action
    return Chosen(
        row=row,
        propensity=standing.propensity.item(action),
        context=standing.weights.item(action),
        value=plan.value.item(action),
        lever=plan.lever.item(action),
        priority=standing.row_priority.item(row),
        source=standing.sources.get(action, CATALOGUE),
    )


def _ranked(plan: Plan, standing: Standing, passed: int, at_most: int) -> Iterable[int]:
    """The rows of `passed`, best first; at least `at_most` of them if there are as many.

    A kept order is walked along the bit set, unless so few rows passed that sorting those is less work.
    """
    if standing.order is not None and passed.bit_count() * _SPARSE >= len(plan.rows):
        return (row for row in standing.order if passed >> row & 1)
    return rank(standing.row_priority, indices_of(passed, len(plan.rows)), at_most).tolist()  # type: ignore[no-any-return]


def _slots(plan: Plan, ranked: Iterable[int], slots: int, used: set[int]) -> list[int]:
    """The first rows of different actions that no earlier slot has used; `used` grows by them."""
    taken: list[int] = []
    for row in ranked:
        action = plan.rows[row].action
        if action not in used:
            used.add(action)
            taken.append(row)
            if len(taken) == slots:
                break
    return taken
