"""The decision: consent, screening, scores, arbitration, slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from wayline_decision.core.arbitrate import context_weights, priorities, rank
from wayline_decision.core.plan import Floats, Indices, PlacementPlan, Plan
from wayline_decision.core.score import CATALOGUE, ModelInUse, Rows, Scored, base_rates, score
from wayline_decision.core.screen import Screened, indices_of, screen


class Personalisation(IntEnum):
    """How personal a decision is. The names are those of the contract."""

    FULL = 1
    UNKNOWN_CUSTOMER = 2
    NO_CONSENT = 3
    UNAVAILABLE = 4


class Known(NamedTuple):
    """What is known of a customer: the consents, the traits for models and the facts for rules (see `Plan`), and model
    inputs that were encoded before.
    """

    traits: Any
    facts: Any
    consents: Mapping[str, bool]
    rows: dict[tuple[str, int, int], Rows]
    """(model, version, catalogue revision) to [inputs]: filled in as models ask, since it lives as long as the view."""


class Question(NamedTuple):
    """One request. `known` None: the customer is not known, or could not be read (`reachable` False)."""

    placements: Sequence[tuple[PlacementPlan, int]]
    """With the number of slots to fill."""
    context: Any
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
    empty = plan.facts()
    profiles = [
        question.known.facts if mode is Personalisation.FULL and question.known else empty
        for question, mode in zip(questions, modes, strict=True)
    ]
    activations = [
        plan.rule_compiler.activation(profile, question.context, now)
        for profile, question in zip(profiles, questions, strict=True)
    ]
    scored = _score(plan, models, questions, modes, now)
    weights = [
        context_weights(plan, plan.weights.evaluate(activation).values if plan.weights else [])
        for activation in activations
    ]
    row_priority = priorities(plan, scored.propensity, np.asarray(weights)).take(plan.action_of, axis=1)
    return [
        _fill(plan, question, mode, screen(plan, activation), scored, at, weights[at], row_priority[at])
        for at, (question, mode, activation) in enumerate(zip(questions, modes, activations, strict=True))
    ]


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
    modes: Sequence[Personalisation],
    now: datetime,
) -> Scored:
    """Score whom we may know; everyone else keeps the catalogue's base rates."""
    personal = [at for at, mode in enumerate(modes) if mode is Personalisation.FULL]
    if not models or not personal:
        return score(plan, (), len(questions))
    inputs = [(model, _stack([_encode(plan, model, questions[at], now) for at in personal])) for model in models]
    scored = score(plan, inputs, len(personal))
    if len(personal) == len(questions):
        return scored
    propensity = base_rates(plan, len(questions))
    propensity[personal] = scored.propensity
    return Scored(propensity, scored.sources, scored.failures)


def _stack(rows: list[Rows]) -> Rows:
    """[customers, inputs]. A single row is only looked at in another way, which takes a tenth of the time."""
    return rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)


def _encode(plan: Plan, model: ModelInUse, question: Question, now: datetime) -> Rows:
    known = question.known
    assert known is not None, "only customers that are known are scored"
    key = (model.name, model.version, plan.revision)
    row = None if model.needs_context else known.rows.get(key)
    if row is None:
        activation = plan.compiler.activation(known.traits, question.context, now) if model.needs_activation else None
        row = model.encode(known.traits, question.context, activation)
        if not model.needs_context:
            known.rows[key] = row
    return row


def _fill(
    plan: Plan,
    question: Question,
    mode: Personalisation,
    screened: Screened,
    scored: Scored,
    at: int,
    weights: Floats,
    row_priority: Floats,
) -> Decision:
    consents = question.known.consents if question.known else {}
    personal = mode is Personalisation.FULL
    used: set[int] = set()
    filled: list[Filled] = []
    for placement, slots in question.placements:
        if not plan.catalog.allows(placement.purpose, consents):
            filled.append(Filled(placement, (), placement.purpose))
            continue
        candidates = indices_of(screened.passed & placement.rows, len(plan.rows))
        enough = (slots + len(used)) * placement.most_per_action
        chosen: list[Chosen] = []
        for row in _slots(plan, rank(row_priority, candidates, enough), slots, used):
            action = plan.rows[row].action
            chosen.append(
                Chosen(
                    row=row,
                    propensity=float(scored.propensity[at, action]),
                    context=float(weights[action]),
                    value=float(plan.value[action]),
                    lever=float(plan.lever[action]),
                    priority=float(row_priority[row]),
                    source=scored.sources.get(action, CATALOGUE) if personal else CATALOGUE,
                )
            )
        filled.append(Filled(placement, tuple(chosen), None))
    return Decision(mode, tuple(filled), screened, row_priority, scored.failures)


def _slots(plan: Plan, ranked: Indices, slots: int, used: set[int]) -> list[int]:
    """The first rows of different actions that no earlier slot has used; `used` grows by them."""
    taken: list[int] = []
    for row in ranked.tolist():
        if len(taken) == slots:
            break
        action = plan.rows[row].action
        if action not in used:
            used.add(action)
            taken.append(row)
    return taken
