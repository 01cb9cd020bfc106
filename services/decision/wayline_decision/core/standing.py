"""How all rows stand with each customer: scores, weights, priorities, for many customers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from wayline_decision.core.arbitrate import context_weights, order_of, priorities, smoothed
from wayline_decision.core.known import Standing
from wayline_decision.core.plan import Floats, Plan
from wayline_decision.core.score import (
    MAX_KEPT_SCORES,
    ModelInUse,
    Models,
    Rows,
    Scored,
    base_rates,
    combine,
    probabilities,
)
from wayline_decision.core.screen import judge
from wayline_decision.core.subject import Subject

_NONE: tuple[int, None] = (0, None)
_NO_SOURCES: Mapping[int, str] = {}


def standings(plan: Plan, models: Models, subjects: Sequence[Subject]) -> list[Standing]:
    """How all rows stand with each customer: as kept with the view, where no request changes it."""
    if not models.lasting:
        return _stand(plan, models, subjects)
    missing = [one for one in subjects if one.known.standing is None or one.known.standing.models is not models]
    if missing:
        for one, standing in zip(missing, _stand(plan, models, missing), strict=True):
            standing.order = order_of(plan, standing.row_priority)
            # A model that failed may answer the next time: keep nothing of it.
            standing.models = None if standing.failures else models
            one.known.standing = standing
    return [cast(Standing, one.known.standing) for one in subjects]


def standing_by(plan: Plan, models: Models, subject: Subject, scored: Scored) -> Standing:
    """How rows stand by propensities, [1, A], that are given: of a record, or of an experiment's control."""
    return _stand_by(plan, models, [subject], scored)[0]


def _stand(plan: Plan, models: Models, subjects: Sequence[Subject]) -> list[Standing]:
    return _stand_by(plan, models, subjects, _score(plan, models.in_use, subjects))


def _stand_by(plan: Plan, models: Models, subjects: Sequence[Subject], scored: Scored) -> list[Standing]:
    weights = [_weights(plan, one) for one in subjects]
    propensity = smoothed(plan, scored.propensity, models.evidence)
    row_priority = priorities(plan, propensity, np.asarray(weights)).take(plan.action_of, axis=1)
    return [
        Standing(
            propensity=propensity[at].copy(),
            raw=scored.propensity[at].copy(),
            evidence=models.evidence,
            weights=weights[at],
            row_priority=row_priority[at].copy(),
            sources=_NO_SOURCES if one.known is plan.nobody else scored.sources,
            failures=() if one.known is plan.nobody else scored.failures,
        )
        for at, one in enumerate(subjects)
    ]


def _weights(plan: Plan, subject: Subject) -> Floats:
    lasting = judge(plan, subject).weights
    if plan.momentary_weights.expressions:
        return context_weights(plan, lasting + plan.momentary_weights.evaluate(subject.activation()).values)
    return context_weights(plan, lasting)


def _score(plan: Plan, in_use: Sequence[ModelInUse], subjects: Sequence[Subject]) -> Scored:
    """Score whom we may know; everyone else keeps the catalogue's base rates."""
    personal = [at for at, subject in enumerate(subjects) if subject.known is not plan.nobody]
    given: list[tuple[ModelInUse, Floats]] = []
    failures: list[str] = []
    for model in in_use if personal else ():
        try:
            given.append((model, _probabilities(plan, model, [subjects[at] for at in personal])))
        except Exception as error:  # whatever a foreign model does, a decision is still made
            failures.append(f"model:{model.name}@{model.version} failed: {type(error).__name__}")
    scored = combine(plan, given, failures, len(personal))
    if len(personal) == len(subjects):
        return scored
    propensity = base_rates(plan, len(subjects))
    propensity[personal] = scored.propensity
    return Scored(propensity, scored.sources, scored.failures)


def _probabilities(plan: Plan, model: ModelInUse, subjects: Sequence[Subject]) -> Floats:
    """[customers, actions of the model], in one run for all those whose scores are not kept yet."""
    if model.needs_context or len(model.actions) > MAX_KEPT_SCORES:
        rows = [_encode(plan, model, one, one.situation.context) for one in subjects]
        return probabilities(plan, model, _stack(rows))
    missing = [one for one in subjects if one.known.scores.get(model.name, _NONE)[0] != model.version]
    if missing:
        rows = [_encode(plan, model, one, plan.schema.context()) for one in missing]
        for one, scores in zip(missing, probabilities(plan, model, _stack(rows)), strict=True):
            one.known.scores[model.name] = (model.version, scores.copy())
    return _stack([one.known.scores[model.name][1] for one in subjects])


def _stack(rows: list[NDArray[Any]]) -> NDArray[Any]:
    """[customers, …]. A single row is only looked at in another way, which takes a tenth of the time."""
    return rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)


def _encode(plan: Plan, model: ModelInUse, subject: Subject, context: Any) -> Rows:
    traits = subject.known.traits
    activation = plan.compiler.activation(traits, context, subject.now) if model.needs_activation else None
    return model.encode(traits, context, activation)
