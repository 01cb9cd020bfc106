"""Arbitration: P x C x V x L or the catalogue's formula, smoothing, floors, and ranking with deterministic ties."""

from __future__ import annotations

import numpy as np

from wayline_decision.core.bitset import indices_of, rows_where
from wayline_decision.core.known import Standing
from wayline_decision.core.plan import Floats, Indices, Plan

# From here on the best few are partitioned off before they are sorted.
_SORT_ALL = 512
_SPARSE = 8
_GREATEST_WEIGHT = 1e9


def context_weights(plan: Plan, given: list[float]) -> Floats:
    """[A] context weights of one customer.

    Args:
        plan: the catalogue.
        given: the values of the distinct weight expressions. Negative ones and what is no number count as 0; those
            that are greater than any declared weight may be, as that (CEL divides by 0.0 without an error).
    """
    if not given:
        return plan.context_weight
    weights = plan.context_weight.copy()
    values = np.array(given, np.float64)
    # fmax takes the other operand where one is no number
    values = np.minimum(np.fmax(values, 0.0), _GREATEST_WEIGHT)
    for actions, which in plan.weighted:
        weights[actions] *= values[which]
    return weights


def smoothed(plan: Plan, propensity: Floats, evidence: Floats) -> Floats:
    """(n p + k base) / (n + k) over [..., A]: with little evidence n, near the catalogue's base rate.

    The posterior mean of a Beta prior worth k responses (additive smoothing).
    """
    smoothing = plan.arbitration.smoothing
    if smoothing is None or smoothing.evidence == 0:  # no prior at all, which is 0 / 0 without evidence
        return propensity
    k = smoothing.evidence
    result: Floats = (evidence * propensity + k * plan.base_propensity) / (evidence + k)
    return result


def priorities(plan: Plan, propensity: Floats, context: Floats) -> Floats:
    """propensity^w1 * context^w2 * value^w3 * lever^w4, or the formula, element by element over [..., A]."""
    if plan.formula is not None:
        return plan.formula(propensity, context, plan.value, plan.lever)
    exponent = plan.arbitration.propensity
    p = propensity if exponent == 1 else propensity**exponent
    product: Floats = p * per_propensity(plan, context)
    return product


def per_propensity(plan: Plan, context: Floats) -> Floats:
    """context^w2 * value^w3 * lever^w4 over [..., A]: the priority at propensity 1."""
    exponent = plan.arbitration.context
    c = context if exponent == 1 else context**exponent
    product: Floats = c * plan.worth
    return product


def above(plan: Plan, standing: Standing, threshold: float) -> int:
    """The rows that reach the floors and `threshold` in priority, as a bit set: by what they are for everybody."""
    standing = standing.usual or standing
    mask = standing.above.get(threshold)
    if mask is None:
        met = standing.row_priority >= threshold
        if plan.floors is not None:
            least_propensity, least_priority = plan.floors
            met &= (standing.propensity >= least_propensity)[plan.action_of]
            met &= standing.row_priority >= least_priority[plan.action_of]
        mask = standing.above[threshold] = rows_where(met)
    return mask


def order_of(plan: Plan, row_priority: Floats) -> list[int]:
    """All rows, the highest priority of the highest tier first."""
    if len(plan.tiers) > 1:
        return np.lexsort((-row_priority, -plan.tier_of[plan.action_of])).tolist()  # type: ignore[no-any-return]
    return np.argsort(-row_priority, kind="stable").tolist()  # type: ignore[no-any-return]


def ranked(plan: Plan, standing: Standing, among: int, at_most: int) -> list[int]:
    """The rows of `among`, a bit set within one tier, best first; at least `at_most` if there are as many.

    A kept order is walked along the bit set, unless so few rows passed that sorting those is less work.
    """
    if standing.order is not None and among.bit_count() * _SPARSE >= len(plan.rows):
        return [row for row in standing.order if among >> row & 1]
    return rank(standing.row_priority, indices_of(among, len(plan.rows)), at_most).tolist()  # type: ignore[no-any-return]


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
    best: Indices = candidates[np.argsort(keys, kind="stable")]
    return best
