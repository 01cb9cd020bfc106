"""An outsider's check: Vowpal Wabbit gives the candidates the chances that our formulas give them.

It predicts costs, which are negative priorities here, and measures the gap to the best in their unit:

    chance = 1 / (K + gamma_scale x (cost - least cost)), and for the best what is left

Ours is a share of the best priority, so the same chances need a gamma that is the best priority times as great. Its
arithmetic has single precision. Of equal candidates ours takes the first for the best, and it any one; its
epsilon-greedy would share what the best gets among all within a thousandth of it, were it not for --first_only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from wayline.catalog.arbitration import Exploration
from wayline_decision.core.explore import distribution
from wayline_decision.core.noise import Floats

vowpalwabbit = pytest.importorskip("vowpalwabbit", reason="make setup installs it")

RNG = np.random.default_rng(8)
PRIORITIES = [
    pytest.param(np.array([0.8, 2.0, 1.9, 0.0, 1.2]), id="one worth nothing"),
    pytest.param(np.array([0.3]), id="one alone"),
    pytest.param(np.array([0.5, 0.25]), id="two"),
    pytest.param(RNG.random(40) * 12, id="forty"),
    pytest.param(RNG.random(100) * 1e-3, id="a hundred worth little"),
    pytest.param(100 + RNG.random(30), id="thirty close to each other"),
]
EQUAL = [
    pytest.param(np.zeros(7), id="all worth nothing"),
    pytest.param(np.array([1.0, 3.0, 3.0, 3.0, 2.0]), id="three best"),
]


def predicted(options: str, priority: Floats) -> list[float]:
    """What Vowpal Wabbit predicts where its model's weights are the negative priorities, an action having just one."""
    with vowpalwabbit.Workspace(f"{options} --cb_type mtr --noconstant --ignore s --quiet") as workspace:
        space = workspace.hash_space("a")
        for at, value in enumerate(priority.tolist()):
            workspace.set_weight(workspace.hash_feature(f"a{at}", space), 0, -value)
        return workspace.predict(["shared |s x", *(f"|a a{at}" for at in range(len(priority)))])


def stated(priority: Floats) -> Floats:
    """The priorities that it says it predicts: those that it was given, in single precision."""
    said = -np.array(predicted("--cb_adf", priority))
    assert said == pytest.approx(priority, rel=1e-6)
    return said


def same(ours: Floats, theirs: Sequence[float]) -> bool:
    assert sum(theirs) == pytest.approx(1, abs=1e-5)
    return bool(np.allclose(ours, theirs, rtol=1e-5, atol=3e-6))


def squarecb(priority: Floats, gamma_scale: float) -> tuple[Floats, list[float]]:
    """Our chances and theirs."""
    theirs = predicted(f"--cb_explore_adf --squarecb --gamma_scale {gamma_scale} --gamma_exponent 0", priority)
    said = stated(priority)
    return distribution(Exploration(method="squarecb", gamma=gamma_scale * (float(said.max()) or 1.0)), said), theirs


@pytest.mark.parametrize("gamma_scale", [0.5, 20.0, 1_000.0])
@pytest.mark.parametrize("priority", PRIORITIES)
def test_inverse_gaps_are_the_chances_of_its_squarecb(priority, gamma_scale):
    assert same(*squarecb(priority, gamma_scale))


@pytest.mark.parametrize("priority", EQUAL)
def test_with_equal_candidates_its_squarecb_has_the_same_chances_in_another_order(priority):
    ours, theirs = squarecb(priority, 20.0)
    assert same(np.sort(ours), sorted(theirs))


@pytest.mark.parametrize("epsilon", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("priority", PRIORITIES)
def test_a_fixed_share_by_lot_is_that_of_its_epsilon_greedy(priority, epsilon):
    theirs = predicted(f"--cb_explore_adf --first_only --epsilon {epsilon}", priority)
    assert same(distribution(Exploration(method="epsilon_greedy", epsilon=epsilon), stated(priority)), theirs)
