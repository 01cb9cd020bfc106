from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wayline_decision.core.off_policy import Estimate, doubly_robust, ips, snips

Floats = NDArray[np.float64]
ESTIMATORS = ("ips", "snips", "doubly robust")


@dataclass(frozen=True)
class World:
    """Customers of a few kinds, a few actions, and how likely each kind accepts each action."""

    kinds: Floats
    """[C] how frequent each kind is."""
    accepts: Floats
    """[C, A]"""
    logging: Floats
    """[C, A] probabilities."""
    target: Floats
    """[C, A] probabilities of another policy."""

    @property
    def truth(self) -> float:
        """What the target policy is worth."""
        return float((self.kinds[:, None] * self.target * self.accepts).sum())

    @property
    def greatest_weight(self) -> float:
        return float((self.target / self.logging).max())

    def estimates(self, n: int, chance: np.random.Generator, *, greatest_weight: float | None = None):
        """Log `n` decisions and estimate from them. The model of rewards is wrong by a fifth and a bit."""
        kind = chance.choice(len(self.kinds), n, p=self.kinds)
        action = (chance.random((n, 1)) > self.logging.cumsum(axis=1)[kind]).sum(axis=1)
        reward = (chance.random(n) < self.accepts[kind, action]).astype(float)
        logged, target = self.logging[kind, action], self.target[kind, action]
        model = self.accepts * 1.2 + 0.02
        bounds = {"greatest_weight": greatest_weight, "reward_range": (0.0, 1.0)}
        return {
            "ips": ips(reward, logged, target, **bounds),
            "snips": snips(reward, logged, target, **bounds),
            "doubly robust": doubly_robust(
                reward, logged, target, model[kind, action], (self.target * model).sum(axis=1)[kind], **bounds
            ),
        }


def a_world(seed: int, *, softmax: bool = False, rate: float = 0.2) -> World:
    """Logged by a policy with half an idea of what is best; the target has a better one.

    Logging is epsilon-greedy (or softmax) by a poor guess, the target always takes the best (or softmax) by a good one.
    """
    chance = np.random.default_rng(seed)
    accepts = np.clip(chance.beta(2, 2 / rate - 2, (5, 4)), 0.005, 0.95)
    poor, good = (accepts * np.exp(chance.normal(0, spread, (5, 4))) for spread in (0.7, 0.3))
    if softmax:
        logging, target = _softmax(1.5 * poor / poor.mean()), _softmax(2 * good / good.mean())
    else:
        logging, target = np.full((5, 4), 0.2 / 4), np.zeros((5, 4))
        logging[range(5), poor.argmax(axis=1)] += 0.8
        target[range(5), good.argmax(axis=1)] = 1
    return World(chance.dirichlet(np.full(5, 3.0)), accepts, logging / logging.sum(axis=1, keepdims=True), target)


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores)
    return powers / powers.sum(axis=1, keepdims=True)


def runs(count: int, n: int, **fields: object) -> Iterator[tuple[float, dict[str, Estimate]]]:
    """The truth, and the estimates, of `count` samples; a new world for every ten."""
    known = bool(fields.pop("known_weights", False))
    for number in range(count):
        world = a_world(number // 10, **fields)
        chance = np.random.default_rng([7, number])
        yield world.truth, world.estimates(n, chance, greatest_weight=world.greatest_weight if known else None)


def coverage(samples: list[tuple[float, dict[str, Estimate]]], name: str) -> float:
    return float(np.mean([found[name].low <= truth <= found[name].high for truth, found in samples]))


@pytest.mark.parametrize("softmax", [False, True], ids=["epsilon-greedy", "softmax"])
def test_the_interval_holds_the_truth_in_at_least_93_of_100_runs(softmax: bool):
    samples = list(runs(100, 1_000, softmax=softmax))
    assert {name: coverage(samples, name) >= 0.93 for name in ESTIMATORS} == dict.fromkeys(ESTIMATORS, True)


@pytest.mark.parametrize("softmax", [False, True], ids=["epsilon-greedy", "softmax"])
def test_that_is_no_luck_of_the_seeds_and_the_interval_is_no_wider_than_it_must_be(softmax: bool):
    samples = list(runs(1_000, 2_000, softmax=softmax, rate=0.3))
    for name in ESTIMATORS:
        assert 0.93 <= coverage(samples, name) <= 0.985, name


@pytest.mark.parametrize(("n", "rate"), [(30, 0.3), (100, 0.1), (500, 0.03)])
def test_a_small_sample_of_a_rare_reward_has_an_interval_that_holds_too(n: int, rate: float):
    samples = list(runs(300, n, rate=rate, known_weights=True))
    for name in ESTIMATORS:
        assert coverage(samples, name) >= 0.93, name


def test_doubly_robust_spreads_less_than_ips_and_neither_is_biased():
    samples = list(runs(1_000, 1_000))
    errors = {name: np.array([found[name].value - truth for truth, found in samples]) for name in ESTIMATORS}
    assert errors["doubly robust"].std() < 0.95 * errors["ips"].std()
    for name in ESTIMATORS:
        assert abs(errors[name].mean()) < 4 * errors[name].std() / np.sqrt(len(samples)), name


def test_the_interval_narrows_as_decisions_come_in():
    world, chance = a_world(1), np.random.default_rng(1)
    few, many = world.estimates(500, chance), world.estimates(50_000, chance)
    for name in ESTIMATORS:
        assert (many[name].high - many[name].low) * 5 < few[name].high - few[name].low


def test_a_reward_that_was_not_seen_may_still_be_worth_something():
    found = ips(np.zeros(200), np.full(200, 0.5), np.full(200, 0.5), reward_range=(0, 1))
    assert found.value == found.low == 0
    # The exact binomial bound is 0.018; the imagined decision is a little more careful.
    assert 0.01 < found.high < 0.03


def test_a_policy_that_would_never_have_acted_so_is_not_known_by_this():
    found = [one([0.0, 1.0, 1.0], [0.5] * 3, [0.0] * 3, reward_range=(0, 1)) for one in (ips, snips)]
    assert [(one.low, one.high, one.effective_sample_size) for one in found] == [(0, 1, 0)] * 2
    assert isnan(found[1].value)


def test_weights_can_be_cut_and_say_less_then():
    rewards, logged, target = [1.0, 0.0, 1.0, 0.0], [0.01, 0.9, 0.5, 0.5], [1.0, 0.5, 0.5, 0.5]
    assert ips(rewards, logged, target).value == pytest.approx((100 + 1) / 4)
    assert ips(rewards, logged, target, greatest_weight=10).value == pytest.approx((10 + 1) / 4)
    assert ips(rewards, logged, target).effective_sample_size < 1.1
    assert ips(rewards, logged, target, greatest_weight=1).effective_sample_size > 3.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1.0, 0.0], [0.5, 0.0], [1.0, 1.0]), r"logged_probability\[1\]: expected a probability above 0"),
        (([1.0, 0.0], [-0.1, 0.5], [1.0, 1.0]), r"logged_probability\[0\]: expected a probability above 0"),
        (([1.0, 0.0], [0.5, 0.5], [1.0, 1.5]), r"target_probability\[1\]: expected a probability, got 1.5"),
        (([1.0, float("nan")], [0.5, 0.5], [1.0, 1.0]), r"rewards\[1\]: expected a finite number"),
        (([1.0], [0.5, 0.5], [1.0, 1.0]), "logged_probability: expected 1 numbers"),
        (([], [], []), "rewards: expected one for each of at least one decision"),
    ],
)
@pytest.mark.parametrize("estimator", [ips, snips])
def test_what_cannot_be_is_refused_by_name_and_place(
    estimator: Callable[..., Estimate], arguments: tuple[list[float], ...], said: str
):
    with pytest.raises(ValueError, match=said):
        estimator(*arguments)


def test_a_reward_outside_its_range_and_a_limit_of_nothing_are_refused():
    with pytest.raises(ValueError, match=r"rewards\[0\]: expected 0 to 1, got 2"):
        ips([2.0], [0.5], [0.5], reward_range=(0, 1))
    with pytest.raises(ValueError, match="greatest_weight: expected more than 0"):
        ips([1.0], [0.5], [0.5], greatest_weight=0)


probabilities = st.floats(0.01, 1)
decisions = st.lists(st.tuples(st.floats(-100, 100), probabilities, probabilities), min_size=1, max_size=50)


@given(decisions)
def test_the_logging_policy_itself_is_worth_the_mean(logged: list[tuple[float, float, float]]):
    rewards, probability, _ = np.array(logged).T
    for estimator in (ips, snips):
        found = estimator(rewards, probability, probability)
        assert found.value == pytest.approx(rewards.mean(), abs=1e-9)
        assert found.effective_sample_size == pytest.approx(len(rewards))


@given(decisions, st.floats(0.01, 1_000))
def test_rewards_in_another_currency_give_the_estimate_in_that_currency(
    logged: list[tuple[float, float, float]], rate: float
):
    rewards, probability, target = np.array(logged).T
    model = np.linspace(-1, 1, len(rewards))
    for one, other in (
        (ips(rewards, probability, target), ips(rewards * rate, probability, target)),
        (snips(rewards, probability, target), snips(rewards * rate, probability, target)),
        (
            doubly_robust(rewards, probability, target, model, model),
            doubly_robust(rewards * rate, probability, target, model * rate, model * rate),
        ),
    ):
        for name in ("value", "low", "high"):
            assert getattr(other, name) == pytest.approx(getattr(one, name) * rate, rel=1e-6, abs=1e-6 * rate)
        assert other.effective_sample_size == pytest.approx(one.effective_sample_size)


@given(decisions)
@settings(max_examples=300)
def test_the_interval_is_around_the_estimate_and_no_sample_counts_for_more_than_it_has(
    logged: list[tuple[float, float, float]],
):
    rewards, probability, target = np.array(logged).T
    for estimator in (ips, snips):
        found = estimator(rewards, probability, target)
        assert found.low <= found.value <= found.high
        assert isfinite(found.low)
        assert isfinite(found.high)
        assert 0 < found.effective_sample_size <= found.n * (1 + 1e-9)


@given(decisions)
def test_a_model_that_knows_nothing_leaves_doubly_robust_with_ips(logged: list[tuple[float, float, float]]):
    rewards, probability, target = np.array(logged).T
    nothing = np.zeros(len(rewards))
    assert doubly_robust(rewards, probability, target, nothing, nothing) == ips(rewards, probability, target)


@given(decisions)
def test_a_model_that_knows_everything_leaves_nothing_to_weigh(logged: list[tuple[float, float, float]]):
    rewards, probability, target = np.array(logged).T
    found = doubly_robust(rewards, probability, target, rewards, rewards)
    assert found.value == pytest.approx(rewards.mean(), abs=1e-9)
