"""Vowpal Wabbit, the contextual bandits that many others are measured by: the chances of the eligible actions.

Its model is as large as ours, a weight for each pair of feature and action, and has learned from some thousand
choices by lot. Customers and actions are parsed beforehand into its own examples, since parsing them takes four
times as long as the prediction. `cb_explore_adf` is about one slot; the others are drawn from what is left of its
chances.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import vowpalwabbit

from wayline_bench.peers_contender import (
    EXPLORATION,
    SCORES,
    SLOTS,
    SLOTS_FILLED,
    Case,
    Contender,
    WrongAnswer,
)

PACKAGE = "vowpalwabbit"
_EXPLORATIONS = {"vw_squarecb": "--squarecb", "vw_epsilon": "--epsilon 0.1"}
_OPTIONS = "--cb_explore_adf --cb_type mtr -q ca --ignore_linear c --random_seed 1 --quiet"
_CHOICES = 3_000
_SINGLE_PRECISION = 1e-4
_SEED = 7


def contenders(case: Case) -> list[Contender]:
    """One for each way to explore. It takes some seconds: they learn."""
    return [_contender(case, key, options) for key, options in _EXPLORATIONS.items()]


def _contender(case: Case, key: str, exploration: str) -> Contender:
    bandit = _Bandit(case, f"{_OPTIONS} {exploration}")
    return Contender(
        key=key,
        how=f"Workspace.predict of parsed examples, --cb_explore_adf {exploration} -q ca",
        does=(SCORES, EXPLORATION, SLOTS),
        ask=bandit.ask,
        check=bandit.check,
        prepare=bandit.prepare,
    )


def draw(chances: Sequence[float], lots: random.Random) -> list[int]:
    """One after the other from what is left, each with its share of that; the chances are added up just once."""
    upto = list(accumulate(chances))
    chosen: list[int] = []
    for _ in range(min(SLOTS_FILLED, len(chances))):
        lot = lots.random() * (upto[-1] - sum(chances[one] for one in chosen))
        for one in sorted(chosen):
            if lot >= upto[one] - chances[one]:
                lot += chances[one]  # what lies there was taken
        at = min(bisect(upto, lot), len(chances) - 1)
        while at in chosen:  # the last bits of a sum
            at = (at + 1) % len(chances)
        chosen.append(at)
    return chosen


class _Bandit:
    """A workspace that has learned, and the examples of some customers."""

    def __init__(self, case: Case, options: str) -> None:
        self._case = case
        self._workspace = vowpalwabbit.Workspace(options)
        self._texts = [f"|a {action}" for action in case.actions]
        self._learn()
        self._actions = [self._workspace.example(text) for text in self._texts]
        self._examples: dict[int, list[Any]] = {}
        self._lots = random.Random(_SEED)  # noqa: S311 - as a simulation draws

    def ask(self, customer: int) -> tuple[Sequence[float], list[int]]:
        """The chances of the eligible actions, and which of them fill the slots."""
        chances: list[float] = self._workspace.predict(self._examples[customer])
        return chances, draw(chances, self._lots)

    def prepare(self, customers: range) -> None:
        """Parse them: the shared example, and those of the actions that they are eligible for."""
        self._examples = {}  # first, so that there are never two lots of them
        for customer in customers:
            shared = self._workspace.example(self._shared(customer))
            self._examples[customer] = [shared, *(self._actions[at] for at in self._eligible(customer))]

    def check(self, customer: int) -> None:
        """Chances that are no distribution, or that are not those of the same customer as text."""
        chances, chosen = self.ask(customer)
        eligible = self._eligible(customer)
        if len(chances) != len(eligible) or min(chances) <= 0 or abs(sum(chances) - 1) > _SINGLE_PRECISION:
            raise WrongAnswer(f"Vowpal Wabbit's chances of {len(eligible)} actions are {chances}")
        if len(set(chosen)) != min(SLOTS_FILLED, len(eligible)):
            raise WrongAnswer(f"the slots were filled with {chosen}")
        as_text = self._workspace.predict([self._shared(customer), *(self._texts[at] for at in eligible)])
        if not np.allclose(chances, as_text, atol=_SINGLE_PRECISION):
            raise WrongAnswer("Vowpal Wabbit's chances for parsed examples are not those for their text")

    def _learn(self) -> None:
        weights, bias = self._case.linear
        rng = np.random.default_rng(_SEED)
        for _ in range(_CHOICES):
            customer = int(rng.integers(self._case.size.customers))
            eligible = self._eligible(customer)
            if not eligible:
                continue
            chosen = int(rng.choice(eligible))
            logit = self._case.features[customer] @ weights[:, chosen] + bias[chosen]
            cost = -float(rng.random() * (1 + np.exp(-logit)) < 1)
            label = f"0:{cost}:{1 / len(eligible)} "
            self._workspace.learn(
                [self._shared(customer), *((label if at == chosen else "") + self._texts[at] for at in eligible)]
            )

    def _eligible(self, customer: int) -> list[int]:
        found: list[int] = np.flatnonzero(self._case.eligible[customer]).tolist()
        return found

    def _shared(self, customer: int) -> str:
        pairs = zip(self._case.names, self._case.features[customer].tolist(), strict=True)
        return "shared |c " + " ".join(f"{name}:{value:.7g}" for name, value in pairs)
