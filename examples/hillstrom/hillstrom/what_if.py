"""What each arm for everybody is worth: by Wayline's off-policy estimators, and by the trial's own means.

The arms were drawn by lot, so both must agree, and with the right probabilities IPS agrees to the last digit: it is
`sum(reward / probability) / N` over the customers of the arm, which is the arm's mean when the probability is the share
of customers who were in fact drawn for it. With 1/3, the chance with which lots were drawn, IPS is without bias just as
well, but off by as much as the lots happened to fall beside a third (men's: 21,307 of 64,000, a factor of 0.9988).
SNIPS divides by the sum of the weights, and is the arm's mean with either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hillstrom.reader import ACTIONS, Customer
from wayline_decision.core.off_policy import Estimate, ips, snips

Reward = Literal["visit", "conversion", "spend"]
"""Visits or conversions per customer, or dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """An arm for everybody."""

    mean: float
    """Of the customers who were drawn for the arm."""
    ips: Estimate
    snips: Estimate


def what_if(customers: Sequence[Customer], reward: Reward = "visit") -> dict[str, WhatIf]:
    """Each arm for everybody; the logged probability of an arm is the share of customers who were drawn for it."""
    drawn = Counter(one.arm for one in customers)
    rewards = [float(getattr(one, reward)) for one in customers]
    logged = [drawn[one.arm] / len(customers) for one in customers]
    found: dict[str, WhatIf] = {}
    for arm in sorted(ACTIONS.values()):
        target = [float(one.arm == arm) for one in customers]
        of_arm = [got for got, chosen in zip(rewards, target, strict=True) if chosen]
        found[arm] = WhatIf(
            mean=sum(of_arm) / len(of_arm), ips=ips(rewards, logged, target), snips=snips(rewards, logged, target)
        )
    return found
