"""Processes that fold under different catalogues, for a moment or for longer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.events import NOON_MS
from tests.support.folding import rocks_store, take
from tests.support.histories import history
from tests.support.traits import a_reading

from wayline_profile.backfill import Backfill
from wayline_profile.filling import Filling, OtherCatalog
from wayline_profile.standings import Standings
from wayline_profile.store.rocksdb import RocksProfileStore
from wayline_profile.writes import Writer

OURS = a_reading(orders={"kind": "count", "event": "Order Completed"})
THEIRS = a_reading(views={"kind": "count", "event": "Product Viewed"})


class Clock:
    """Seconds, as a test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RocksProfileStore]:
    with rocks_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def filling(store: RocksProfileStore, clock: Clock) -> Filling:
    """Of this process, which has one catalogue; another process has noted another since."""
    made = Filling(
        store, Writer(store, None, chance=random.Random(1)), Standings(), now_ms=lambda: NOON_MS, clock=clock
    )
    await made.use(OURS)
    Backfill(store, now_ms=lambda: NOON_MS).use(THEIRS.definitions)
    return made


def is_admitted(store: RocksProfileStore, filling: Filling) -> bool:
    with store.begin() as unit:
        try:
            filling.admit(unit, OURS)
        except OtherCatalog:
            return False
    return True


async def test_nothing_is_folded_under_a_catalogue_while_another_is_noted(
    store: RocksProfileStore, filling: Filling
) -> None:
    assert not is_admitted(store, filling)
    await filling.settle()
    assert not is_admitted(store, filling)


async def test_whoever_waited_too_long_notes_its_own_again(
    store: RocksProfileStore, filling: Filling, clock: Clock
) -> None:
    await filling.settle()
    clock.now += 60
    await filling.settle()
    assert is_admitted(store, filling)


async def test_the_newer_catalogue_is_taken_up_when_it_comes(store: RocksProfileStore, filling: Filling) -> None:
    await filling.use(THEIRS)
    with store.begin() as unit:
        filling.admit(unit, THEIRS)
    assert not is_admitted(store, filling)


async def test_turns_fill_in_and_give_the_views_of_whom_they_changed(store: RocksProfileStore, clock: Clock) -> None:
    Backfill(store, now_ms=lambda: NOON_MS).use(OURS.definitions)
    take(store, OURS.definitions, history(1, 200, customers=20))
    filling = Filling(
        store, Writer(store, None, chance=random.Random(1)), Standings(), now_ms=lambda: NOON_MS, clock=clock
    )
    await filling.use(THEIRS)
    assert filling.is_under_way()
    shown: dict[str, bytes] = {}
    while (views := await filling.turn()) is not None:
        shown |= {view.profile_id: view.traits for view in views}
    assert not filling.is_under_way()
    viewed = {one.profile_id for one in store.profiles() if one.states[THEIRS.definitions.keys["views"]].total.count}
    assert viewed
    assert viewed <= shown.keys()
    counted = {name: THEIRS.schema.traits.FromString(traits) for name, traits in shown.items()}
    assert all(counted[name].ListFields() for name in viewed)
