"""What recorded decisions say about another policy: collected one by one, then estimated."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wayline_decision.core.off_policy import Estimate, doubly_robust, ips, snips

SILENCE = ""
"""The action of a placement that stays empty."""
_PRIOR = 10.0
"""So many decisions with the mean reward of all are added to those of each action."""
_RANGE = (0.0, 1.0)
_CERTAIN = 1.0 - 1e-9


@dataclass(slots=True)
class _Arm:
    n: int = 0
    rewards: float = 0.0


class RewardModel:
    """The mean reward of each action in each placement so far, leaning on the mean of all.

    It predicts each decision from those before it, so no reward is predicted by itself: the doubly robust estimate
    stays without bias, and nothing need be kept for a second pass.
    """

    def __init__(self) -> None:
        """Nothing is known yet: 0."""
        self._all = _Arm()
        self._arms: defaultdict[tuple[str, str], _Arm] = defaultdict(_Arm)

    def predict(self, placement: str, action: str) -> float:
        """The expected reward; of silence it is 0."""
        if action == SILENCE:
            return 0.0
        mean = self._all.rewards / self._all.n if self._all.n else 0.0
        arm = self._arms.get((placement, action)) or _Arm()
        return (arm.rewards + _PRIOR * mean) / (arm.n + _PRIOR)

    def learn(self, placement: str, action: str, reward: float) -> None:
        """One more reward."""
        if action != SILENCE:
            for arm in (self._all, self._arms[placement, action]):
                arm.n += 1
                arm.rewards += reward


class Evidence:
    """Slots, of every placement the first or of every placement the n-th, with what came of them: 40 bytes each."""

    def __init__(self) -> None:
        """None yet."""
        self._model = RewardModel()
        self._columns = [array("d") for _ in range(5)]
        self._unsupported = 0
        self.without_probability = 0
        """Slots that were left out, since the chance of their choice is not known."""

    def add(
        self,
        placement: str,
        action: str,
        probability: float,
        chance: float,
        reward: float,
        target: Mapping[str, float],
    ) -> None:
        """Add one slot.

        Args:
            placement: its id.
            action: that was taken; SILENCE when it stayed empty.
            probability: of that, and of all that the slots before it hold, by the policy that took it.
            chance: the same under the other policy.
            reward: 0 to 1, in the order in which decisions were made.
            target: action to its chance under the other policy, whatever the slots before hold: they sum to 1. Or given
                what those hold, times the weight of that (`chance` over `probability` of all before): they sum to 1 on
                average. That makes the doubly robust estimate the sequential one of Jiang and Li (2016).
        """
        expected = sum(share * self._model.predict(placement, one) for one, share in target.items())
        row = (reward, probability, min(1.0, chance), self._model.predict(placement, action), expected)
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)
        self._model.learn(placement, action, reward)
        self._unsupported += probability >= _CERTAIN > chance

    def as_dict(self) -> dict[str, Any]:
        """For JSON: reward per slot. None where there is nothing to estimate from."""
        n = len(self._columns[0])
        counted = {
            "slots": n,
            "without_probability": self.without_probability,
            "unsupported": self._unsupported,
        }
        if not n:
            return {**counted, "rewards": 0, "recorded": None, "new": None}
        rewards, logged, target, expected, wanted = (np.frombuffer(column) for column in self._columns)
        ones = np.ones(n)
        return {
            **counted,
            "rewards": int(np.count_nonzero(rewards)),
            "recorded": _as_dict(ips(rewards, ones, ones, reward_range=_RANGE)),
            "new": {
                "ips": _as_dict(ips(rewards, logged, target, reward_range=_RANGE)),
                "snips": _as_dict(snips(rewards, logged, target, reward_range=_RANGE)),
                "doubly_robust": _as_dict(
                    doubly_robust(rewards, logged, target, expected, wanted, reward_range=_RANGE)
                ),
            },
        }


def _as_dict(estimate: Estimate) -> dict[str, Any]:
    """JSON has no number that is none: it is null."""
    return {name: None if value != value else value for name, value in asdict(estimate).items()}
