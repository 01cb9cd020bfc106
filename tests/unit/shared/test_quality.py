from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayline.quality import OTHER, age_at, bucket_of, by_number, count_by_name, label
from wayline.v1.quality_pb2 import Freshness


def freshness(ages_ms: list[int]) -> Freshness:
    found = Freshness(count=len(ages_ms), sum_ms=sum(ages_ms), max_ms=max(ages_ms, default=0))
    for age in ages_ms:
        found.buckets[bucket_of(age)] += 1
    return found


@given(ages_ms=st.lists(st.integers(1, 10**12), min_size=1), share=st.floats(0.01, 1))
def test_an_age_is_at_most_a_fifth_too_much(ages_ms: list[int], share: float):
    found = age_at(freshness(ages_ms), share)

    assert found is not None
    right = sorted(ages_ms)[ceil(share * len(ages_ms)) - 1]
    assert right * 0.999_999 <= found <= right * 1.2


def test_what_is_younger_than_a_millisecond_has_a_bucket_of_its_own():
    assert age_at(freshness([0, 0, 0]), 0.5) == 0


def test_of_nothing_there_is_no_age():
    assert age_at(Freshness(), 0.5) is None


@pytest.mark.parametrize(("ms", "bucket"), [(0, 0), (1, 1), (2, 5), (4, 9), (10**300, 199)])
def test_there_are_four_buckets_for_each_doubling(ms: float, bucket: int):
    assert bucket_of(ms) == bucket


def test_a_label_prints_and_is_no_longer_than_it_may_be():
    assert label("Order\x1b[2J\u202e!", 20) == "Order\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}!"
    assert label("x" * 30, 20) == "x" * 20


def test_a_name_beyond_the_limit_counts_with_the_others():
    counts: dict[str, int] = {}
    for i in range(60):
        count_by_name(counts, f"n{i}", 2)
    count_by_name(counts, "n1", 1)

    assert (len(counts), counts[OTHER], counts["n1"]) == (51, 20, 3)


def test_the_greatest_comes_first_and_of_equals_the_first_by_name():
    assert list(by_number({"b": 1, "c": 9, "a": 1})) == ["c", "a", "b"]
