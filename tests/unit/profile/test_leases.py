"""Partitions are shared out evenly, and whoever falls silent holds nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from wayline.errors import Retryable
from wayline_profile.leases import SharedLeases, SoleOwner, share

NAMES = [f"partition/{number}" for number in range(5)]


def after_turns(names: Sequence[str], held: dict[str, str], workers: Sequence[str], turns: Sequence[str]) -> None:
    """Let workers take their turns on `held`, one after the other."""
    for me in turns:
        change = share(names, held, workers, me)
        for name in change.give_up:
            del held[name]
        held |= dict.fromkeys(change.take, me)


def test_whoever_is_alone_takes_everything() -> None:
    assert share(NAMES, {}, ["a"], "a").take == tuple(NAMES)


def test_whoever_comes_second_waits_until_the_first_has_given_up_what_is_over_its_share() -> None:
    held = dict.fromkeys(NAMES, "a")
    assert share(NAMES, held, ["a", "b"], "b").take == ()
    assert share(NAMES, held, ["a", "b"], "a").give_up == ("partition/3", "partition/4")


def test_what_a_dead_worker_held_is_free() -> None:
    held = {"partition/0": "dead", "partition/1": "a"}
    assert share(NAMES[:2], held, ["a"], "a").take == ("partition/0",)


@given(
    st.integers(1, 40),
    st.integers(1, 9),
    st.lists(st.sampled_from(["dead", *map(str, range(9))]), max_size=40),
    st.randoms(),
)
def test_two_rounds_of_turns_in_any_order_share_evenly_and_then_nothing_moves(
    partitions: int, alive: int, holders: list[str], chance: object
) -> None:
    names = [f"partition/{number}" for number in range(partitions)]
    workers = [str(number) for number in range(alive)]
    held = dict(zip(names, holders, strict=False))
    for _ in range(2):
        turns = list(workers)
        chance.shuffle(turns)  # type: ignore[attr-defined]
        after_turns(names, held, workers, turns)
    shares = [sum(1 for worker in held.values() if worker == one) for one in workers]
    assert sum(shares) == partitions
    assert max(shares) - min(shares) <= 1
    settled = dict(held)
    after_turns(names, held, workers, workers)
    assert held == settled


class Table:
    """A table that gives what it is told to, or cannot be reached."""

    def __init__(self) -> None:
        self.gives: frozenset[str] | None = frozenset()

    def turn(self, partitions: Sequence[str], duties: Sequence[str], *, seconds: float) -> frozenset[str]:
        if self.gives is None:
            raise Retryable("away")
        return self.gives.intersection([*partitions, *duties])

    def release(self) -> None:
        if self.gives is None:
            raise Retryable("away")

    def close(self) -> None:
        pass


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_duty_is_asked_for_and_held_from_the_next_turn_until_its_time_is_over() -> None:
    table, clock = Table(), Clock()
    table.gives = frozenset({"duty/sweep", "partition/1"})
    leases = SharedLeases(table, 4, seconds=6.0, clock=clock)
    await leases.turn()
    assert not leases.holds("sweep")
    await leases.turn()
    assert leases.holds("sweep")
    assert not leases.holds("other")
    table.gives = None
    clock.now += 5.9
    await leases.turn()
    assert leases.holds("sweep")
    clock.now += 0.2
    assert not leases.holds("sweep")
    assert leases.partitions == {1}, "whether somebody else reads on, the store tells"


async def test_other_partitions_are_told_once() -> None:
    table = Table()
    leases = SharedLeases(table, 4, seconds=6.0)
    for gives, told in [({"partition/2"}, True), ({"partition/2"}, False), (set(), True)]:
        table.gives = frozenset(gives)
        await leases.turn()
        assert leases.changed.is_set() is told
        leases.changed.clear()


async def test_a_table_that_is_away_at_the_end_is_no_failure() -> None:
    table = Table()
    leases = SharedLeases(table, 4, seconds=6.0)
    table.gives = None
    await asyncio.wait_for(leases.release(), 20)
    assert leases.partitions == frozenset()


def test_a_sole_owner_owns_all_and_does_every_duty() -> None:
    owner = SoleOwner(3)
    assert owner.partitions == {0, 1, 2}
    assert owner.holds("sweep")
    assert owner.changed.is_set()
