"""Which partitions are read together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wayline.v1 import events_pb2
from wayline_profile.core.changes import Read
from wayline_profile.partitions import passes
from wayline_profile.reader import Batch


def test_partitions_at_one_place_are_read_in_one_pass() -> None:
    assert passes({0: 7, 1: 7, 2: 7}) == [{0: 7, 1: 7, 2: 7}]


def test_one_that_was_left_behind_is_read_by_itself() -> None:
    assert passes({0: 100_000, 1: 3, 2: 99_000}) == [{1: 3}, {2: 99_000, 0: 100_000}]


@given(st.dictionaries(st.integers(0, 100), st.integers(0, 10_000)), st.integers(0, 100))
def test_every_partition_is_in_one_pass_and_none_is_far_from_another_of_it(
    positions: dict[int, int], near: int
) -> None:
    groups = passes(positions, near=near)
    assert sorted(pair for group in groups for pair in group.items()) == sorted(positions.items())
    assert all(max(group.values()) - min(group.values()) <= near for group in groups)


@given(st.lists(st.integers(0, 3), min_size=2))
def test_the_halves_of_a_batch_hold_all_and_the_first_goes_no_further_than_its_events(partitions: list[int]) -> None:
    events = [Read(at, number, events_pb2.Event(), b"") for number, at in enumerate(partitions, start=10)]
    batch = Batch(events, dict.fromkeys(range(4), 99), poison=2)
    first, second = batch.halves()
    assert first.events + second.events == events
    assert (first.poison, second.poison) == (0, 2)
    assert second.positions == batch.positions
    for at, position in first.positions.items():
        assert position == max(one.sequence for one in first.events if one.partition == at)
    assert first.positions.keys() == {one.partition for one in first.events}
