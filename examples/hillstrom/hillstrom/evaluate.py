"""What a policy is worth, estimated on the customers whose drawn arm is what the policy would have chosen.

The arm was drawn at random with the same chance for each, so these customers are a fair sample for the policy, and
the mean over them (the self-normalised estimate of inverse propensity weighting) is the policy's visits per customer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hillstrom.reader import ACTIONS, Customer

_NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Estimate:
    """Visits per customer, with a 95 % interval by the normal approximation, from `customers`."""

    visits_per_customer: float
    interval: tuple[float, float]
    customers: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The policy beside what could have been done without it."""

    policy: Estimate
    static_arms: dict[str, Estimate]
    """Everybody gets the same."""
    random: Estimate
    """Everybody gets one of the three by lot: all customers, as it was."""
    chosen: dict[str, int]
    """How often the policy chose each action."""


def evaluate(customers: Sequence[Customer], actions: Sequence[str]) -> Evaluation:
    """Compare, on customers of whom the policy has not seen an outcome.

    Args:
        customers: of the other half.
        actions: the policy's action for each.
    """
    matched = [one for one, action in zip(customers, actions, strict=True) if one.arm == action]
    counts = Counter(actions)
    return Evaluation(
        policy=estimate(matched),
        static_arms={arm: estimate([one for one in customers if one.arm == arm]) for arm in sorted(ACTIONS.values())},
        random=estimate(customers),
        chosen={arm: counts[arm] for arm in sorted(ACTIONS.values())},
    )


def estimate(customers: Sequence[Customer]) -> Estimate:
    """The mean visits of these customers; not a number when there are none."""
    n = len(customers)
    if not n:
        return Estimate(math.nan, (math.nan, math.nan), 0)
    mean = sum(one.visit for one in customers) / n
    margin = _NORMAL_95 * math.sqrt(mean * (1 - mean) / n)
    return Estimate(mean, (mean - margin, mean + margin), n)
