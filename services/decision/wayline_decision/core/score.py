"""Scores: the propensity of every action for every customer, from models or from the catalogue."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wayline_decision.core.plan import Floats, Indices, Plan

CATALOGUE = "catalogue"
MAX_KEPT_SCORES = 256
"""Of one model for one customer: 2 kB. Beyond it they are worked out for each request."""
MAX_KEPT_ROWS = 256
"""The standing of a customer is 8 kB then, and the cache holds 50,000. Beyond it rows are ranked for each request."""
Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ModelInUse:
    """A model version and the actions that it scores under one plan."""

    name: str
    version: int
    run: Callable[[Rows], Floats]
    """[customers, inputs] to [customers, outputs]."""
    encode: Callable[[Any, Any, Any], Rows]
    """(profile, context, activation) to [inputs]."""
    needs_context: bool
    """A row depends on the request, and cannot be kept with the customer's view."""
    needs_activation: bool
    """Some inputs are CEL."""
    actions: Indices
    columns: Indices
    """For each of the actions, its column of the outputs."""
    responses: Floats
    """For each of the actions, how many responses its propensity rests on; 0: the model does not say."""
    positives: Floats
    """For each of the actions, how many of them were positive."""
    in_order: bool
    """Every action has the column of its own number, so that nothing need be gathered."""
    sources: Mapping[int, str]
    """Action to how explanations name this version."""


def model_in_use(
    plan: Plan,
    manifest_outputs: Sequence[str],
    *,
    name: str,
    version: int,
    run: Callable[[Rows], Floats],
    encode: Callable[[Any, Any, Any], Rows],
    needs_context: bool,
    needs_activation: bool,
    evidence: Sequence[tuple[int, int]] = (),
) -> ModelInUse:
    """Fit a model version to a plan: see `ModelInUse` and `assign_columns`.

    `evidence` has responses and positives of each output, if the manifest says so.
    """
    actions, columns = assign_columns(plan, name, manifest_outputs)
    counts = np.array(evidence or [(0, 0)] * len(manifest_outputs), np.float64).reshape(-1, 2)[columns]
    everything = list(range(len(plan.actions)))
    return ModelInUse(
        name=name,
        version=version,
        run=run,
        encode=encode,
        needs_context=needs_context,
        needs_activation=needs_activation,
        actions=actions,
        columns=columns,
        responses=counts[:, 0],
        positives=counts[:, 1],
        in_order=actions.tolist() == columns.tolist() == everything and len(manifest_outputs) == len(everything),
        sources=dict.fromkeys(actions.tolist(), f"model:{name}@{version}"),
    )


class Models(NamedTuple):
    """The models in use for a plan, and what all propensities rest on. One object while neither changes."""

    in_use: tuple[ModelInUse, ...]
    evidence: Floats
    """[A] responses."""
    positives: Floats
    """[A] positive ones that were counted: the model's, or what evidence comes to that the catalogue states; else 0."""
    lasting: bool
    """No request changes how actions stand with a customer: it may be kept with the view."""


def models_for(plan: Plan, in_use: Sequence[ModelInUse] = ()) -> Models:
    """Put together what a plan decides with."""
    evidence, positives = plan.evidence.copy(), _stated_positives(plan)
    for model in in_use:
        counted = model.responses > 0
        evidence[model.actions[counted]] = model.responses[counted]
        positives[model.actions[counted]] = model.positives[counted]
    lasting = (
        len(plan.rows) <= MAX_KEPT_ROWS
        and not plan.momentary_weights.expressions
        and not any(model.needs_context for model in in_use)
    )
    return Models(tuple(in_use), evidence, positives, lasting)


def _stated_positives(plan: Plan) -> Floats:
    """[A] evidence x base rate, where the catalogue states evidence. A default was counted by nobody."""
    stated = {one.id for _, _, one in plan.catalog.actions() if "evidence" in one.propensity.model_fields_set}
    return np.where([one.id in stated for one in plan.actions], plan.evidence * plan.base_propensity, 0.0)


def assign_columns(plan: Plan, name: str, outputs: Sequence[str]) -> tuple[Indices, Indices]:
    """Which actions a model scores, and by which column.

    Args:
        plan: names, for each action, the model that it asks for.
        name: the model.
        outputs: the action of each column; '' stands for every action without a column of its own.

    Returns:
        Actions and columns, of the same length.
    """
    own = {action: column for column, action in enumerate(outputs) if action}
    shared = next((column for column, action in enumerate(outputs) if not action), None)
    pairs = [
        (at, own.get(action.id, shared))
        for at, action in enumerate(plan.actions)
        if action.model == name and (action.id in own or shared is not None)
    ]
    return np.array([at for at, _ in pairs], np.intp), np.array([column for _, column in pairs], np.intp)


class Scored(NamedTuple):
    """[customers, A] propensities, where they are from, and what failed."""

    propensity: Floats
    sources: Mapping[int, str]
    """By action; those that are not here are from the catalogue."""
    failures: tuple[str, ...]


def probabilities(plan: Plan, model: ModelInUse, rows: Rows) -> Floats:
    """[customers, actions of the model]: between 0 and 1, and the catalogue's base rate for what is no number.

    They are rounded to float32, in which records keep them.

    Raises:
        Exception: whatever the model does.
    """
    outputs = model.run(rows)
    given = outputs if model.in_order else outputs[:, model.columns]
    clipped: Floats = np.minimum(np.maximum(given, 0.0), 1.0).astype(np.float32).astype(np.float64)
    if math.isfinite(clipped.sum()):  # one sum tells, nearly always, that all of them are numbers
        return clipped
    return np.where(np.isfinite(given), clipped, plan.base_propensity[model.actions])


def combine(plan: Plan, given: Sequence[tuple[ModelInUse, Floats]], failures: Sequence[str], customers: int) -> Scored:
    """The propensities of all actions: from models where there are any, else the base rates.

    Args:
        plan: the catalogue.
        given: each model with its probabilities, [customers, actions of the model].
        failures: of models that gave none, in words.
        customers: how many.
    """
    if len(given) == 1 and given[0][0].in_order:
        return Scored(given[0][1], given[0][0].sources, tuple(failures))
    propensity = base_rates(plan, customers)
    sources: dict[int, str] = {}
    for model, found in given:
        propensity[:, model.actions] = found
        sources |= model.sources
    return Scored(propensity, sources, tuple(failures))


def base_rates(plan: Plan, customers: int) -> Floats:
    """[customers, A] the catalogue's own propensities."""
    return np.tile(plan.base_propensity, (customers, 1))
