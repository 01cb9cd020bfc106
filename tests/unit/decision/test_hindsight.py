"""The chances of Thompson sampling, worked out after the decision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from wayline_decision.core.explore import logit, spread
from wayline_decision.core.hindsight import thompson_distribution, thompson_estimate
from wayline_decision.core.noise import Noise

NOISE = Noise()

candidates = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 15).map(lambda digits: 10**digits), st.floats(0.01, 100)),
    min_size=1,
    max_size=12,
)


def by_brute_force(middle: np.ndarray, width: np.ndarray, unit: np.ndarray, exponent: float) -> np.ndarray:
    """Each candidate at 20,000 quantiles of its own, times the chances that the others are below."""
    z = special.ndtri((np.arange(20_000) + 0.5) / 20_000)
    found = []
    for k in range(len(unit)):
        log_priority = np.log(unit[k]) + exponent * special.log_expit(middle[k] + width[k] * z)
        won = np.ones_like(z)
        for j in set(range(len(unit))) - {k}:
            log_p = np.minimum((log_priority - np.log(unit[j])) / exponent, -1e-300)
            with np.errstate(divide="ignore"):
                won *= stats.norm.cdf((log_p - np.log(-np.expm1(log_p)) - middle[j]) / width[j])
        found.append(won.mean())
    return np.array(found)


@pytest.mark.parametrize("exponent", [0.1, 0.5, 1.0, 2.0, 10.0])
@pytest.mark.parametrize("kind", ["unlike", "alike", "likely", "sharp beside wide"])
def test_the_chances_are_right_to_a_ten_thousandth(exponent: float, kind: str):
    some = np.random.default_rng(5)
    p = some.uniform(0.5, 0.9999, 8) if kind == "likely" else some.uniform(0.001, 0.3, 8)
    n = 10 ** some.uniform(0, 3, 8)
    if kind == "sharp beside wide":
        n[::2] = 1e9
    unit = 10 ** some.uniform(-1, 1, 8) if kind == "unlike" else p**-exponent
    middle, width = logit(p), spread(p, n)
    expected = by_brute_force(middle, width, unit, exponent)
    assert thompson_distribution(middle, width, unit, exponent) == pytest.approx(expected, abs=1e-4)


@settings(deadline=None)
@given(candidates, st.sampled_from([0.0, 1e-9, 0.5, 1.0, 2.0, 10.0]), st.randoms())
def test_chances_add_up_to_one_whatever_the_order(given_: list[tuple[float, float, float]], exponent: float, chance):
    p, n, unit = np.array(given_).T
    middle, width = logit(p), spread(p, n)
    found = thompson_distribution(middle, width, unit, exponent)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    if exponent and len(set(unit.tolist())) == len(unit):
        order = list(range(len(unit)))
        chance.shuffle(order)
        assert thompson_distribution(middle[order], width[order], unit[order], exponent) == pytest.approx(
            found[order], abs=1e-4
        )


def test_actions_that_are_alike_have_the_same_chance():
    p = np.full(300, 0.05)
    chances = thompson_distribution(logit(p), spread(p, np.full(300, 100.0)), np.ones(300))
    assert chances == pytest.approx(np.full(300, 1 / 300), abs=1e-6)


def test_of_two_actions_with_equal_propensity_the_dearer_is_chosen_more_often():
    p = np.full(2, 0.05)
    cheap, dear = thompson_distribution(logit(p), spread(p, np.full(2, 100.0)), np.array([1.0, 2.0]))
    assert cheap < 0.2 < 0.8 < dear


def test_an_action_with_less_evidence_is_tried_more_often():
    p = np.array([0.05, 0.03, 0.03])
    _, known, new = thompson_distribution(logit(p), spread(p, np.array([1e5, 1e5, 10.0])), np.ones(3))
    assert known == pytest.approx(0, abs=1e-6)
    assert new > 0.2


def test_the_only_action_is_certain():
    assert thompson_distribution(np.array([-3.0]), np.array([1.0]), np.array([2.0])).tolist() == [1]


def test_an_action_that_is_worth_nothing_has_no_chance_unless_all_are():
    middle, width = np.full(3, -3.0), np.ones(3)
    assert thompson_distribution(middle, width, np.array([0.0, 1.0, 1.0])) == pytest.approx([0, 0.5, 0.5])
    assert thompson_distribution(middle, width, np.zeros(3)).tolist() == [1, 0, 0]


def test_when_propensity_does_not_count_the_dearest_is_certain():
    assert thompson_distribution(np.full(2, -3.0), np.ones(2), np.array([1.0, 2.0]), 0.0).tolist() == [0, 1]


def test_evidence_beyond_all_measure_decides():
    chances = thompson_distribution(np.array([-3.0, -2.99]), np.zeros(2), np.ones(2))
    assert chances == pytest.approx([0, 1], abs=1e-9)


def test_for_a_formula_of_ones_own_the_chances_are_estimated():
    p, unit = np.array([0.05, 0.06, 0.04, 0.002]), np.array([1.0, 0.9, 1.2, 2.0])
    middle, width = logit(p), spread(p, np.array([500.0, 80.0, 2_000.0, 0.0]))
    estimate = thompson_estimate(middle, width, lambda drawn: drawn * unit, NOISE, seed=3)
    assert estimate == pytest.approx(thompson_distribution(middle, width, unit), abs=4 * 0.0035)
    assert (estimate == thompson_estimate(middle, width, lambda drawn: drawn * unit, NOISE, seed=3)).all()
    assert (estimate != thompson_estimate(middle, width, lambda drawn: drawn * unit, NOISE, seed=4)).any()


def test_an_estimated_chance_is_never_0():
    p = np.array([0.5, 0.001])
    estimate = thompson_estimate(logit(p), spread(p, np.full(2, 1e6)), lambda drawn: drawn, NOISE, seed=3)
    assert 0 < estimate[1] < 1e-4
    assert estimate.sum() == pytest.approx(1)
