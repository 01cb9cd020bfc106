"""Chance from a seed: the same for ever, and without a pattern."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from wayline_decision.core.noise import BANK, LONGEST, Noise, children, uniforms

SEEDS = st.integers(0, 2**64 - 1)
MANY = 100_000
CHECKSUM = 0xE195008
UNIFORMS_OF_7 = (0.7215081806049702, 0.6497043364684557, 0.5493743249193239)
NORMALS_OF_7 = [-0.7828298211097717, -0.7204831838607788, -0.9734114408493042]
CHILDREN_OF_7 = [10584788488136764615, 10625195435916567199]
STEP = 0x9E3779B97F4A7C15
"""By which SplitMix64 counts on."""
NOISE = Noise()


# The same bits, for ever


def test_the_bank_holds_the_same_bits_on_every_machine_and_for_ever():
    """Were they others, no decision of the past could be replayed."""
    assert zlib.crc32(NOISE.bank.astype("<f4").tobytes()) == CHECKSUM
    assert (NOISE.bank == NOISE.bank.astype(np.float32)).all(), "24 bits, which no machine rounds in another way"


def test_a_seed_means_the_same_numbers_for_ever():
    assert uniforms(7, 3) == UNIFORMS_OF_7
    assert Noise().normals(7, 3).tolist() == NORMALS_OF_7
    assert children(7, 2).tolist() == CHILDREN_OF_7


def test_lots_are_those_of_splitmix64():
    """Its published outputs for the state 0 are e220a8397b1dcdaf and 6e789e6aa1b965f4. This seed leads there."""
    assert uniforms(2**64 - STEP, 2) == ((0xE220A8397B1DCDAF >> 11) / 2**53, (0x6E789E6AA1B965F4 >> 11) / 2**53)


@given(SEEDS)
def test_more_lots_begin_with_the_same_ones(seed: int):
    assert uniforms(seed, 5)[:3] == uniforms(seed, 3)


@given(SEEDS)
def test_lots_are_from_0_up_to_but_not_1(seed: int):
    assert all(0 <= one < 1 for one in uniforms(seed, 10))


@given(st.lists(SEEDS, min_size=1, max_size=20), st.integers(0, 500))
def test_many_customers_at_once_get_the_noise_that_each_would_get_alone(seeds: list[int], count: int):
    together = NOISE.batch(np.array(seeds, np.uint64), count)
    assert together.tolist() == [NOISE.normals(seed, count).tolist() for seed in seeds]


def test_noise_for_a_huge_catalogue_is_made_of_several_slices():
    count = 2 * LONGEST + 5
    alone = NOISE.normals(3, count)
    assert len(alone) == count
    assert (alone[:LONGEST] != alone[LONGEST : 2 * LONGEST]).any()
    assert NOISE.batch(np.array([3, 4], np.uint64), count).tolist() == [
        alone.tolist(),
        NOISE.normals(4, count).tolist(),
    ]


def test_nobody_can_change_the_bank():
    with pytest.raises(ValueError, match="read-only"):
        NOISE.normals(1, 3)[0] = 0.0


# Without a pattern


def test_the_bank_is_standard_normal():
    assert stats.kstest(NOISE.bank, "norm").pvalue > 1e-3
    assert NOISE.bank.mean() == pytest.approx(0, abs=4 / BANK**0.5)
    assert NOISE.bank.var() == pytest.approx(1, abs=4 * (2 / BANK) ** 0.5)
    assert NOISE.bank.max() > 4.5
    assert NOISE.bank.min() < -4.5


@pytest.mark.parametrize("apart", [1, 2, 3, 100, 1 << 13])
def test_neighbours_in_the_bank_are_uncorrelated(apart: int):
    assert abs(correlation(NOISE.bank[:-apart], NOISE.bank[apart:])) < 4 / BANK**0.5
    assert abs(correlation(NOISE.bank[:-apart] ** 2, NOISE.bank[apart:] ** 2)) < 4 / BANK**0.5


@pytest.mark.parametrize("apart", [1, 2, 1 << 32, STEP])
def test_seeds_that_are_neighbours_have_uncorrelated_noise(apart: int):
    seeds = np.arange(MANY, dtype=np.uint64)
    one, other = NOISE.batch(seeds, 3), NOISE.batch(seeds + np.uint64(apart), 3)
    for at in range(3):
        assert abs(correlation(one[:, at], other[:, at])) < 4 / MANY**0.5


def test_seeds_that_are_neighbours_have_uncorrelated_lots():
    lots = np.array([uniforms(seed, 2) for seed in range(MANY)])
    assert abs(correlation(lots[:-1, 0], lots[1:, 0])) < 4 / MANY**0.5
    assert abs(correlation(lots[:, 0], lots[:, 1])) < 4 / MANY**0.5
    assert stats.kstest(lots[:, 0], "uniform").pvalue > 1e-3


@given(SEEDS, st.sampled_from([1, STEP, 2 * STEP, 2**64 - STEP]))
def test_seeds_that_are_counted_on_by_the_generators_own_step_share_no_lots(seed: int, apart: int):
    """As the placements of one request do."""
    assert not set(uniforms(seed, 20)) & set(uniforms((seed + apart) % 2**64, 20))


def test_lots_tell_nothing_about_the_noise_of_the_same_seed():
    normals = NOISE.batch(np.arange(MANY, dtype=np.uint64), 1)[:, 0]
    lots = np.array([uniforms(seed, 1)[0] for seed in range(MANY)])
    assert abs(correlation(lots, normals)) < 4 / MANY**0.5


def test_slices_begin_everywhere_in_the_bank():
    starts = NOISE.batch(np.arange(MANY, dtype=np.uint64), 1)[:, 0]
    quarters = [(np.isin(starts, part)).mean() for part in np.split(NOISE.bank, 4)]
    assert min(quarters) > 0.24


@given(SEEDS)
def test_the_children_of_a_seed_are_all_different(seed: int):
    assert len(np.unique(np.append(children(seed, 1_000), children(seed ^ 1, 1_000)))) == 2_000


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1])
