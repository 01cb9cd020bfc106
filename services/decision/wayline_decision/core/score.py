"""Scores: the propensity of every action for every customer, from models or from the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wayline_decision.core.plan import Floats, Indices, Plan

CATALOGUE = "catalogue"
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
    actions: Indices
    columns: Indices
    """For each of the actions, its column of the outputs."""

    @property
    def source(self) -> str:
        """As it stands in explanations."""
        return f"model:{self.name}@{self.version}"


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


@dataclass(frozen=True, slots=True)
class Scored:
    """[customers, A] propensities, where they are from, and what failed."""

    propensity: Floats
    sources: Mapping[int, str]
    """By action; those that are not here are from the catalogue."""
    failures: tuple[str, ...]


def score(plan: Plan, models: Sequence[tuple[ModelInUse, Rows]], customers: int) -> Scored:
    """Score customers with every model, each in one run.

    A model that fails, or gives what is no number, leaves its actions with the catalogue's base rate.

    Args:
        plan: the catalogue.
        models: each with the rows of all customers, [customers, inputs].
        customers: how many.
    """
    propensity = np.repeat(plan.base_propensity[np.newaxis], customers, axis=0)
    sources: dict[int, str] = {}
    failures: list[str] = []
    for model, rows in models:
        try:
            outputs = model.run(rows)
        except Exception as error:  # whatever a foreign model does, a decision is still made
            failures.append(f"{model.source} failed: {type(error).__name__}")
            continue
        given = outputs[:, model.columns]
        base = plan.base_propensity[model.actions]
        propensity[:, model.actions] = np.where(np.isfinite(given), np.clip(given, 0.0, 1.0), base)
        sources |= dict.fromkeys(model.actions.tolist(), model.source)
    return Scored(propensity, sources, tuple(failures))
