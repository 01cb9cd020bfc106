"""A bandit in plain NumPy, as one writes it down in an afternoon: the least that scores and draws take in Python.

It is told who is eligible. Its draws are those of `docs/exploration.md`: normal around the model's logit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wayline.scoring import Scorer
from wayline_bench import world
from wayline_bench.peers_contender import EXPLORATION, SCORES, SLOTS, SLOTS_FILLED, Case, Contender, WrongAnswer

PACKAGE = "numpy"
_SINGLE_PRECISION = 1e-5
_SEED = 11


def contenders(case: Case) -> list[Contender]:
    """One."""
    bandit = _Bandit(case)
    return [
        Contender(
            key="numpy_thompson",
            how="features @ weights, a normal draw for each slot and action, argmax of the eligible",
            does=(SCORES, EXPLORATION, SLOTS),
            ask=bandit.ask,
            check=bandit.check,
        )
    ]


class _Bandit:
    def __init__(self, case: Case) -> None:
        self._case = case
        self._weights, self._bias = case.linear
        self._rng = np.random.default_rng(_SEED)
        self._scorer = Scorer(world.manifest(case.size), world.model(case.size))

    def ask(self, customer: int) -> list[int]:
        """The actions that fill the slots."""
        logit = self._logits(customer)
        p = 1.0 / (1.0 + np.exp(-logit))
        spread = 1.0 / np.sqrt(world.RESPONSES * p * (1.0 - p) + 1.0)
        drawn = logit + spread * self._rng.standard_normal((SLOTS_FILLED, len(logit)))
        priority = np.where(self._case.eligible[customer], self._case.worth / (1.0 + np.exp(-drawn)), -1.0)
        chosen: list[int] = []
        for slot in range(SLOTS_FILLED):
            best = int(priority[slot].argmax())
            if priority[slot, best] >= 0:
                chosen.append(best)
                priority[:, best] = -1.0
        return chosen

    def check(self, customer: int) -> None:
        """Actions that the customer is not eligible for, or propensities that are not the model's."""
        chosen, eligible = self.ask(customer), self._case.eligible[customer]
        if len(set(chosen)) != min(SLOTS_FILLED, int(eligible.sum())) or not eligible[chosen].all():
            raise WrongAnswer(f"the slots were filled with {chosen}")
        expected = self._scorer.run(self._case.features[customer : customer + 1])
        if not np.allclose(1.0 / (1.0 + np.exp(-self._logits(customer))), expected, atol=_SINGLE_PRECISION):
            raise WrongAnswer("NumPy's propensities are not the model's")

    def _logits(self, customer: int) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = self._case.features[customer] @ self._weights + self._bias
        return logits
