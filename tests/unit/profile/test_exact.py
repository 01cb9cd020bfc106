"""Exact sums, and rounding without the detour by way of text."""

from __future__ import annotations

from math import copysign, fsum
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from wayline.v1 import profile_pb2
from wayline_profile.core.exact import DECIMALS, add, rounded, unite

NUMBERS = st.floats(-1e100, 1e100)
NEAR_HALVES = st.builds(
    lambda units, off: (units + 0.5 + off) / 10**DECIMALS, st.integers(0, 10**13), st.floats(-0.02, 0.02)
)


def summed(numbers: list[float]) -> profile_pb2.Total:
    cell = profile_pb2.Total()
    for number in numbers:
        add(cell, number)
    return cell


@given(st.floats() | st.floats(-10, 1000) | NEAR_HALVES)
@example(0.0)
@example(-0.0)
@example(-1e-12)
@example(0.5e-9)
@example(1.5e-9)
@example(999.9999999995)
def test_what_is_rounded_is_what_python_rounds_it_to(number: float) -> None:
    ours, pythons = rounded(number), round(number, DECIMALS)
    assert repr(ours) == repr(pythons)
    assert copysign(1, ours) == copysign(1, pythons)


@given(st.lists(NUMBERS, max_size=8), st.randoms(use_true_random=False))
@example([1e100, 1.0, -1e100], None)
def test_a_sum_is_exact_and_tells_nothing_of_the_order(numbers: list[float], chance: Any) -> None:
    shuffled = list(numbers)
    if chance is not None:
        chance.shuffle(shuffled)
    cell = summed(numbers)
    assert cell.SerializeToString() == summed(shuffled).SerializeToString()
    assert cell.sum == fsum(numbers)
    assert fsum([cell.sum, *cell.rest, *(-number for number in numbers)]) == 0


@given(st.lists(NUMBERS, max_size=5), st.lists(NUMBERS, max_size=5))
def test_two_sums_united_are_the_sum_of_all(ones: list[float], others: list[float]) -> None:
    cell = summed(ones)
    unite(cell, summed(others))
    assert cell.SerializeToString() == summed(ones + others).SerializeToString()
