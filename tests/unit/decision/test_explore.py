"""Exploration: what is logged as the chance of a choice is the chance of that choice."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from wayline.catalog.arbitration import Exploration
from wayline_decision.core.explore import CERTAIN, distribution, logit, pick, spread, thompson
from wayline_decision.core.hindsight import thompson_distribution
from wayline_decision.core.noise import Noise, uniforms

SEEDS = 200_000
CHECKSUM = 0x542C547
PRIORITY = np.array([0.8, 2.0, 1.9, 0.0, 1.2])
NONE = Exploration()
EPSILON_GREEDY = Exploration(method="epsilon_greedy", epsilon=0.3)
SQUARECB = Exploration(method="squarecb", gamma=20)
THOMPSON = Exploration(method="thompson")
NOISE = Noise()
METHODS = pytest.mark.parametrize("exploration", [NONE, EPSILON_GREEDY, SQUARECB], ids=lambda one: one.method)

PROPENSITY = np.array([0.05, 0.06, 0.04, 0.002, 0.2])
EVIDENCE = np.array([500.0, 80.0, 2_000.0, 0.0, 1e6])
UNIT = np.array([1.0, 0.9, 1.2, 2.0, 0.25])

explorations = st.one_of(
    st.just(NONE),
    st.floats(1e-9, 1).map(lambda epsilon: Exploration(method="epsilon_greedy", epsilon=epsilon)),
    st.floats(1e-3, 1e6).map(lambda gamma: Exploration(method="squarecb", gamma=gamma)),
)
amounts = st.one_of(st.just(0.0), st.floats(1e-6, 1e9))
priorities = st.lists(amounts, min_size=1, max_size=40).map(np.array)
lots = st.floats(0, 1, exclude_max=True)

Ranking = tuple[int, int]


def agrees(counted: Counter[Ranking], expected: dict[Ranking, float]) -> bool:
    """Chi-squared. What has no chance must never have been seen."""
    assert sum(expected.values()) == pytest.approx(1)
    assert not {one for one in counted if expected[one] == 0}
    possible = [one for one, chance in expected.items() if chance > 0]
    if len(possible) == 1:
        return counted[possible[0]] == counted.total()
    seen = [counted[one] for one in possible]
    return stats.chisquare(seen, [expected[one] * counted.total() for one in possible]).pvalue > 1e-3


def first(counted: Counter[Ranking]) -> Counter[Ranking]:
    found: Counter[Ranking] = Counter()
    for (one, _), times in counted.items():
        found[one, one] += times
    return found


def rankings(chances: Callable[[list[int]], np.ndarray]) -> Iterator[tuple[Ranking, float, float]]:
    """Every ranking of two slots, with the chance of the first and of the second given the first."""
    everybody = list(range(len(PRIORITY)))
    for one, chance in enumerate(chances(everybody)):
        left = [other for other in everybody if other != one]
        for other, then in zip(left, chances(left), strict=True):
            yield (one, other), float(chance), float(then)


def agree_slot_by_slot(counted: Counter[Ranking], chances: Callable[[list[int]], np.ndarray]) -> None:
    """The first slot, the second given the first, and the ranking of both."""
    expected = {ranking: (one, then) for ranking, one, then in rankings(chances)}
    leaders = {leader: one for (leader, _), (one, _) in expected.items()}
    assert agrees(first(counted), {(leader, leader): one for leader, one in leaders.items()})
    for leader in leaders:
        after = Counter({ranking: times for ranking, times in counted.items() if ranking[0] == leader})
        if after:
            assert agrees(after, {ranking: then for ranking, (_, then) in expected.items() if ranking[0] == leader})
    assert agrees(counted, {ranking: one * then for ranking, (one, then) in expected.items()})


# The logged chance is the chance


@METHODS
def test_each_action_is_chosen_as_often_as_its_logged_chance_says(exploration: Exploration):
    left = [np.delete(np.arange(len(PRIORITY)), one) for one in range(len(PRIORITY))]
    remaining = [PRIORITY[rest] for rest in left]
    counted: Counter[Ranking] = Counter()
    logged: dict[Ranking, tuple[float, float]] = {}
    for seed in range(SEEDS):
        first_lot, second_lot = uniforms(seed, 2)
        one, chance = pick(exploration, PRIORITY, first_lot)
        at, then = pick(exploration, remaining[one], second_lot)
        ranking = one, int(left[one][at])
        counted[ranking] += 1
        assert logged.setdefault(ranking, (chance, then)) == (chance, then)
    agree_slot_by_slot(counted, lambda among: distribution(exploration, PRIORITY[among]))
    expected = {
        ranking: (one, then) for ranking, one, then in rankings(lambda a: distribution(exploration, PRIORITY[a]))
    }
    for ranking, (chance, then) in logged.items():
        assert (chance, then) == pytest.approx(expected[ranking])


def test_thompson_sampling_chooses_each_action_as_often_as_is_worked_out_afterwards():
    count = len(PROPENSITY)
    middle, width = logit(PROPENSITY), spread(PROPENSITY, EVIDENCE)
    counted: Counter[Ranking] = Counter()
    for start in range(0, SEEDS, 20_000):
        seeds = np.arange(start, start + 20_000, dtype=np.uint64)
        z = NOISE.batch(seeds, 2 * count).reshape(-1, 2, count)
        drawn = thompson(middle, width, z) * UNIT
        assert (drawn[5] == thompson(middle, width, NOISE.normals(start + 5, 2 * count)) * UNIT).all()
        one = drawn[:, 0].argmax(axis=1)
        drawn[np.arange(len(seeds)), 1, one] = -1.0
        counted.update(zip(one.tolist(), drawn[:, 1].argmax(axis=1).tolist(), strict=True))
    agree_slot_by_slot(counted, lambda among: thompson_distribution(middle[among], width[among], UNIT[among]))


# Laws of all distributions


@given(explorations, priorities)
def test_chances_are_chances_and_add_up_to_one(exploration: Exploration, priority: np.ndarray):
    chances = distribution(exploration, priority)
    assert chances.sum() == pytest.approx(1)
    assert (chances >= 0).all()


@given(explorations, st.lists(amounts, min_size=1, max_size=40, unique=True), st.randoms())
def test_chances_do_not_depend_on_the_catalogues_order(exploration: Exploration, given_: list[float], chance):
    order = list(range(len(given_)))
    chance.shuffle(order)
    priority = np.array(given_)
    assert distribution(exploration, priority[order]) == pytest.approx(distribution(exploration, priority)[order])


@given(explorations, priorities, lots)
def test_the_logged_chance_is_that_of_the_distribution(exploration: Exploration, priority: np.ndarray, lot: float):
    index, chance = pick(exploration, priority, lot)
    assert chance == pytest.approx(distribution(exploration, priority)[index])
    assert chance > 0


@given(explorations, priorities, st.floats(1e-3, 1e3))
def test_chances_do_not_depend_on_the_currency(exploration: Exploration, priority: np.ndarray, rate: float):
    assert distribution(exploration, priority * rate) == pytest.approx(distribution(exploration, priority), abs=1e-9)


@METHODS
@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 300])
def test_the_least_and_the_greatest_lot_choose_somebody(exploration: Exploration, count: int):
    priority = np.linspace(1, 2, count)
    for lot in (0.0, np.nextafter(exploration.epsilon, 0), exploration.epsilon, np.nextafter(1, 0)):
        assert 0 <= pick(exploration, priority, float(lot))[0] < count


def test_the_chances_of_thompson_sampling_do_not_follow_from_priorities():
    for call in (lambda: distribution(THOMPSON, PRIORITY), lambda: pick(THOMPSON, PRIORITY, 0.5)):
        with pytest.raises(ValueError, match="thompson"):
            call()


# None and epsilon-greedy


@given(priorities, lots)
def test_without_exploration_the_best_is_certain(priority: np.ndarray, lot: float):
    assert pick(NONE, priority, lot) == (priority.argmax(), 1.0)


def test_of_equally_good_actions_the_first_is_the_best():
    assert distribution(NONE, np.array([1.0, 2.0, 2.0])).tolist() == [0, 1, 0]


def test_epsilon_of_the_slots_are_filled_by_lot_in_which_the_best_takes_part():
    assert distribution(EPSILON_GREEDY, np.array([1.0, 5.0, 2.0])) == pytest.approx([0.1, 0.8, 0.1])


@given(priorities, lots)
def test_epsilon_0_is_greedy(priority: np.ndarray, lot: float):
    never = Exploration(method="epsilon_greedy", epsilon=0)
    assert pick(never, priority, lot) == (priority.argmax(), 1.0)


# SquareCB


def test_squarecb_gives_each_its_turn_by_the_inverse_of_its_gap():
    """Three candidates, gamma 20: the second is half as good as the best (gap 0.5), the third a quarter (0.75)."""
    chances = distribution(SQUARECB, np.array([4.0, 2.0, 1.0]))
    assert chances == pytest.approx([1 - 1 / 13 - 1 / 18, 1 / 13, 1 / 18])


@given(priorities, st.floats(1e-3, 1e6))
def test_squarecb_gives_the_best_the_greatest_chance(priority: np.ndarray, gamma: float):
    chances = distribution(Exploration(method="squarecb", gamma=gamma), priority)
    assert chances[priority.argmax()] >= chances.max() - 1e-12


@given(st.sets(amounts, min_size=1, max_size=40), st.floats(1e-3, 1e6))
def test_squarecb_prefers_the_better(given_: set[float], gamma: float):
    chances = distribution(Exploration(method="squarecb", gamma=gamma), np.array(sorted(given_)))
    assert (np.diff(chances) >= -1e-12).all()


def test_squarecb_is_greedy_when_gamma_is_great():
    chances = distribution(Exploration(method="squarecb", gamma=1e6), np.array([4.0, 2.0, 1.0]))
    assert chances[0] == pytest.approx(1, abs=1e-5)


def test_squarecb_lets_chance_alone_decide_between_actions_that_are_worth_nothing():
    assert distribution(SQUARECB, np.zeros(4)) == pytest.approx([0.25] * 4)


def test_squarecb_compares_the_smallest_of_amounts():
    assert distribution(SQUARECB, np.array([5e-324, 0.0])) == pytest.approx([1 - 1 / 22, 1 / 22])


# Thompson sampling


@given(st.floats(0, 1), st.floats(0, 1e9), st.floats(0, 1e9))
def test_more_evidence_is_less_spread(p: float, less: float, more: float):
    less, more = sorted((less, more))
    one, other = spread(np.array([p, p]), np.array([less, more]))
    assert one >= other


def test_without_evidence_the_spread_is_one_logit():
    assert spread(np.array([0.05, 0.5]), np.zeros(2)).tolist() == [1, 1]


@pytest.mark.parametrize("wrong", [-1.0, np.nan])
def test_evidence_that_is_none_counts_as_no_evidence(wrong: float):
    assert spread(np.array([0.05]), np.array([wrong])).tolist() == [1]


def test_with_much_evidence_the_spread_is_that_of_a_beta_posterior():
    p, n = 0.03, 20_000.0
    draws = stats.logistic.ppf(stats.beta(p * n, (1 - p) * n).ppf((np.arange(10_000) + 0.5) / 10_000))
    assert spread(np.array([p]), np.array([n]))[0] == pytest.approx(draws.std(), rel=0.01)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10).map(np.array), st.integers(0, 2**64 - 1))
def test_a_drawn_propensity_is_a_chance(p: np.ndarray, seed: int):
    drawn = thompson(logit(p), spread(p, np.zeros(len(p))), NOISE.normals(seed, 3 * len(p)))
    assert drawn.shape == (3, len(p))
    assert ((drawn > 0) & (drawn <= 1)).all()


def test_draws_are_the_same_on_every_processor():
    """Rounded to a float32, in which the last bits of an exponential do not show."""
    p = np.linspace(0.001, 0.5, 50)
    drawn = thompson(logit(p), spread(p, np.full(50, 100.0)), NOISE.normals(1, 3 * 50))
    assert zlib.crc32(drawn.astype("<f4").tobytes()) == CHECKSUM


def test_the_median_draw_is_the_propensity():
    p = np.array([0.05, 0.5])
    drawn = thompson(logit(p), spread(p, np.array([100.0, 3.0])), NOISE.normals(1, 200_000))
    assert np.median(drawn, axis=0) == pytest.approx(p, rel=0.01)
    assert thompson(logit(p), spread(p, np.ones(2)), np.zeros(2))[0] == pytest.approx(p)


def test_each_slot_has_a_draw_of_its_own():
    p = np.full(4, 0.1)
    drawn = thompson(logit(p), spread(p, np.ones(4)), NOISE.normals(1, 8))
    assert (drawn[0] != drawn[1]).all()


def test_a_propensity_of_0_or_1_is_held_a_little_away_from_it():
    assert 1 / (1 + np.exp(-logit(np.array([0.0, 1.0], np.float32)))) == pytest.approx([CERTAIN, 1 - CERTAIN])
