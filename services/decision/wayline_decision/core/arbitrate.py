"""Arbitration: P x C x V x L, and the ranking of rows with deterministic ties."""

from __future__ import annotations

import numpy as np

from wayline_decision.core.plan import Floats, Indices, Plan

# From here on the best few are partitioned off before they are sorted.
_SORT_ALL = 512


def context_weights(plan: Plan, given: list[float]) -> Floats:
    """[A] context weights of one customer.

    Args:
        plan: the catalogue.
        given: the values of the distinct weight expressions. Negative ones and what is no number count as 0.
    """
    if not given:
        return plan.context_weight
    weights = plan.context_weight.copy()
    values = np.array(given, np.float64)
    # fmax takes the other operand where one is no number
    weights[plan.weighted_actions] = np.fmax(values, 0.0)[plan.weight_of]
    return weights


def priorities(plan: Plan, propensity: Floats, context: Floats) -> Floats:
    """propensity^w1 * context^w2 * value^w3 * lever^w4, element by element over [..., A]."""
    weights = plan.arbitration
    p = propensity if weights.propensity == 1 else propensity**weights.propensity
    c = context if weights.context == 1 else context**weights.context
    product: Floats = p * c * plan.worth
    return product


def rank(priority: Floats, candidates: Indices, at_most: int) -> Indices:
    """The best candidates, best first.

    Rows are sorted by id, and every sort here is stable, so equal priorities rank by action and treatment id.

    Args:
        priority: [T], of every row.
        candidates: ascending row indices.
        at_most: at least so many are ranked if there are as many.
    """
    keys = -priority[candidates]
    if len(candidates) > _SORT_ALL and at_most < len(candidates):
        threshold = np.partition(keys, at_most - 1)[at_most - 1]
        inside = np.flatnonzero(keys <= threshold)
        candidates, keys = candidates[inside], keys[inside]
    ranked: Indices = candidates[np.argsort(keys, kind="stable")]
    return ranked
