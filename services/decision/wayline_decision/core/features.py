"""What speaks for and against a propensity: how much lower it would be without each input of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wayline_decision.core.plan import Plan
from wayline_decision.core.score import ModelInUse, Rows, probabilities

STRONGEST = 10
"""So many are told of an action."""


class Effect(NamedTuple):
    """What one input did to one propensity."""

    action: int
    input: int
    """Its place in the manifest."""
    value: float
    effect: float
    """The propensity less what it would be with this input at its default. Negative: it speaks against."""


def effects(plan: Plan, model: ModelInUse, row: Rows, default: Rows, actions: Sequence[int]) -> list[Effect]:
    """The strongest effects on each of the actions, the strongest first.

    One input at a time is put back to its default (occlusion: Zeiler and Fergus, 'Visualizing and understanding
    convolutional networks', 2014, by the feature). What two inputs only do together is counted with both, so that
    effects need not add up to the propensity. They are those of the model: before smoothing, and before any draw.

    Args:
        plan: the catalogue.
        model: that gave the propensities.
        row: [inputs], as the model saw the customer and the request.
        default: [inputs], as it would see one of whom nothing is known, in a request that says nothing.
        actions: those that the model scores; others are left out.

    Raises:
        Exception: whatever the model does.
    """
    varied = np.flatnonzero(row != default)
    if not len(varied):
        return []
    rows = np.tile(row, (len(varied) + 1, 1))
    rows[np.arange(len(varied)), varied] = default[varied]
    given = probabilities(plan, model, rows)
    column_of = {action: column for column, action in enumerate(model.actions.tolist())}
    found: list[Effect] = []
    for action in actions:
        if action in column_of:
            without = given[:, column_of[action]]
            gained = without[-1] - without[:-1]
            strongest = np.argsort(-np.abs(gained), kind="stable")[:STRONGEST]
            found += [
                Effect(action, int(varied[at]), float(row[varied[at]]), float(gained[at]))
                for at in strongest.tolist()
                if gained[at]
            ]
    return found
