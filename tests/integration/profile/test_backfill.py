"""Traits that are added while a store is in use are as if they had been there from its first event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.backfills import backfill_of, catalogue
from tests.support.events import NOON_MS, Event, track
from tests.support.folding import held_in, rocks_store, step, take, walk
from tests.support.histories import history
from tests.support.postgres import PostgresServer

from wayline.identity import identity_key
from wayline_profile.backfill import noted_in
from wayline_profile.core.changes import Commit
from wayline_profile.core.fold import Definitions
from wayline_profile.store import Conflict, ProfileStore
from wayline_profile.store.postgres import PostgresProfileStore
from wayline_profile.store.rocksdb import RocksProfileStore

Open = Callable[[], ProfileStore]
CUSTOMERS = 40
NEW = ("views", "spend", "basket", "brands", "usual", "latest", "since", "colours")
BEFORE = catalogue("orders", "visits", "dearest")
AFTER = catalogue("orders", "visits", *NEW)


def from_scratch(path: Path, definitions: Definitions, events: list[Event]) -> dict[bytes | str, bytes]:
    with rocks_store(path) as store:
        assert not backfill_of(store, definitions).running
        take(store, definitions, events)
        return held_in(store)


@pytest.fixture(params=["rocksdb", "postgresql"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same store each time; the former one is closed first."""
    url = request.getfixturevalue("postgres_server").new_database() if request.param == "postgresql" else ""
    stores: list[ProfileStore] = []

    def open_() -> ProfileStore:
        for former in stores:
            former.close()
        stores.append(PostgresProfileStore(url) if url else RocksProfileStore(tmp_path / "store", cache_bytes=8 << 20))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


def test_a_trait_that_is_added_later_is_as_if_it_had_always_been_there(open_store: Open, tmp_path: Path) -> None:
    events = history(1, 8_000, customers=1_300, rulings=True)
    early, during, late = events[:6_000], events[6_000:7_500], events[7_500:]
    store = open_store()
    backfill_of(store, BEFORE)
    take(store, BEFORE, early)
    backfill = backfill_of(store, AFTER)
    while during:
        step(store, backfill)
        take(store, AFTER, during[:150])
        during = during[150:]
    assert backfill.running
    assert store.counters().profiles > 2_000
    store = open_store()
    backfill = backfill_of(store, AFTER)
    walk(store, backfill)
    take(store, AFTER, late)
    assert held_in(store) == from_scratch(tmp_path / "scratch", AFTER, events)


def test_a_customer_with_more_events_than_a_step_reads_is_filled_in_over_several(tmp_path: Path) -> None:
    def bought(number: int) -> Event:
        return track("Order Completed", {"total": number}, user="ada", at_ms=NOON_MS + number)

    events = [bought(number) for number in range(60)]
    with rocks_store(tmp_path / "store") as store:
        backfill_of(store, BEFORE)
        take(store, BEFORE, events[:40])
        backfill = backfill_of(store, AFTER, max_events=7)
        for one in events[40:]:
            step(store, backfill)
            take(store, AFTER, [one])
            backfill = backfill if one.message_id != events[43].message_id else backfill_of(store, AFTER, max_events=7)
        assert not backfill.running
        assert held_in(store) == from_scratch(tmp_path / "scratch", AFTER, events)


def test_a_trait_that_was_taken_away_for_a_while_knows_what_happened_meanwhile(tmp_path: Path) -> None:
    events = history(3, 300, customers=CUSTOMERS)
    with rocks_store(tmp_path / "store") as store:
        backfill_of(store, AFTER)
        take(store, AFTER, events[:100])
        backfill = backfill_of(store, BEFORE)
        take(store, BEFORE, events[100:200])
        step(store, backfill)
        backfill.use(AFTER)
        take(store, AFTER, events[200:])
        walk(store, backfill)
        assert held_in(store) == from_scratch(tmp_path / "scratch", AFTER, events)


def test_a_changed_definition_begins_anew_and_leaves_nothing_of_the_former(tmp_path: Path) -> None:
    events = history(4, 300, customers=CUSTOMERS)
    changed = catalogue(orders={"kind": "count", "event": "Order Completed", "window": "7d"})
    with rocks_store(tmp_path / "store") as store:
        backfill_of(store, BEFORE)
        take(store, BEFORE, events)
        walk(store, backfill_of(store, changed))
        assert {key for one in store.profiles() for key in one.states} == set(changed.keys.values())
        assert held_in(store) == from_scratch(tmp_path / "scratch", changed, events)


def test_a_trait_that_is_taken_away_is_taken_out_without_reading_an_event(tmp_path: Path) -> None:
    events = history(10, 200, customers=CUSTOMERS)
    with rocks_store(tmp_path / "store") as store:
        backfill_of(store, AFTER)
        take(store, AFTER, events)
        walk(store, backfill_of(store, catalogue("orders", "visits")))
        noted = noted_in(store).walk
        assert noted is not None
        assert (noted.events, noted.strands > CUSTOMERS) == (0, True)
        assert held_in(store) == from_scratch(tmp_path / "scratch", catalogue("orders", "visits"), events)


def test_states_of_an_earlier_version_are_made_anew(tmp_path: Path) -> None:
    events = history(5, 200, customers=CUSTOMERS)
    with rocks_store(tmp_path / "store") as store:
        take(store, BEFORE, events)  # without a note of what is filled in, as it used to be
        backfill = backfill_of(store, AFTER)
        assert backfill.running
        walk(store, backfill)
        assert held_in(store) == from_scratch(tmp_path / "scratch", AFTER, events)


def test_events_that_tell_outcomes_from_now_on_have_told_contacts_all_along(tmp_path: Path) -> None:
    events = history(6, 300, customers=CUSTOMERS)
    shown = catalogue("orders", outcomes={"impression": "Offer Shown", "click": "Product Added"})
    with rocks_store(tmp_path / "store") as store:
        backfill_of(store, catalogue("orders"))
        take(store, catalogue("orders"), events)
        walk(store, backfill_of(store, shown, max_events=5))
        assert held_in(store) == from_scratch(tmp_path / "scratch", shown, events)


def test_a_contact_outlives_its_event_in_the_timeline(tmp_path: Path) -> None:
    told = track("Click", {"action": "boots"}, user="ada", at_ms=NOON_MS)
    with rocks_store(tmp_path / "store") as store:
        backfill_of(store, BEFORE)
        take(store, BEFORE, [told])
        store.sweep(message_ids_before_ms=0, timeline_before_ms=NOON_MS + 1, at_most=10)
        walk(store, backfill_of(store, catalogue(outcomes={"click": "Product Clicked"})))
        [ada] = store.profiles()
        assert [one.contact.action for one in ada.contacts] == ["boots"]


def test_the_same_catalogue_again_makes_nothing_to_do(tmp_path: Path) -> None:
    with rocks_store(tmp_path / "store") as store:
        backfill_of(store, BEFORE)
        take(store, BEFORE, history(7, 50, customers=CUSTOMERS))
        before = store.version()
        assert not backfill_of(store, BEFORE).running
        assert store.version() == before


def test_a_customer_that_was_erased_in_the_middle_of_its_steps_stays_erased(tmp_path: Path) -> None:
    key = identity_key("user_id", "ada")
    with rocks_store(tmp_path / "store") as store:
        backfill_of(store, BEFORE)
        take(store, BEFORE, [track("Order Completed", {"total": 5}, user="ada") for _ in range(20)])
        backfill = backfill_of(store, AFTER, max_events=3)
        step(store, backfill)
        step(store, backfill)
        store.commit(Commit(profiles={key.hex(): None}, identities={key: None}, erased={key}, created=-1))
        take(store, AFTER, [track("Order Completed", {"total": 1}, user="ada")])
        walk(store, backfill)
        [ada] = store.profiles()
        assert ada.states[AFTER.keys["spend"]].total.sum == 1


def test_a_process_with_another_catalogue_learns_that_it_must_not_fold(open_store: Open) -> None:
    store = open_store()
    one, other = backfill_of(store, BEFORE), backfill_of(store, AFTER)

    def in_use() -> tuple[bool, bool]:
        with store.begin() as unit:
            return one.is_in_use(unit), other.is_in_use(unit)

    assert in_use() == (False, True)
    one.use(BEFORE)
    assert in_use() == (True, False)
    one.use(AFTER)
    assert in_use() == (True, True)


def test_only_a_process_that_has_the_catalogue_goes_on_with_its_walk(tmp_path: Path) -> None:
    with rocks_store(tmp_path / "store") as store:
        behind = backfill_of(store, BEFORE)
        take(store, BEFORE, history(8, 100, customers=CUSTOMERS))
        ahead = backfill_of(store, AFTER)
        step(store, behind)
        assert not behind.running
        assert held_in(store) != from_scratch(tmp_path / "scratch", AFTER, history(8, 100, customers=CUSTOMERS))
        walk(store, ahead)
        assert held_in(store) == from_scratch(tmp_path / "again", AFTER, history(8, 100, customers=CUSTOMERS))


@pytest.mark.parametrize("max_events", [4, 100])
def test_another_process_may_fold_in_the_middle_of_a_step(
    postgres_server: PostgresServer, tmp_path: Path, max_events: int
) -> None:
    url, events = postgres_server.new_database(), history(9, 700, customers=12, rulings=True)
    conflicts = 0
    with closing(PostgresProfileStore(url)) as folding, closing(PostgresProfileStore(url)) as filling:
        backfill_of(folding, BEFORE)
        take(folding, BEFORE, events[:400])
        backfill = backfill_of(filling, AFTER, max_events=max_events, max_strands=5)
        rest = events[400:]
        while backfill.running:
            with filling.begin() as unit:
                commit = backfill.step(unit)
                take(folding, AFTER, rest[:3])
                rest = rest[3:]
                try:
                    unit.commit(commit)
                except Conflict:
                    conflicts += 1
        take(folding, AFTER, rest)
        assert conflicts
        assert held_in(filling) == from_scratch(tmp_path / "scratch", AFTER, events)
