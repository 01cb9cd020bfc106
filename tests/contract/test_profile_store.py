"""What every profile store must do. A new adapter is done when it passes this suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.events import DAY_MS, NOON_MS, track

from wayline.identity import identity_key
from wayline.v1 import profile_pb2
from wayline_profile.core.projector import Commit, TimelineRow
from wayline_profile.store import PositionMoved, ProfileStore
from wayline_profile.store.rocksdb import RocksProfileStore

Open = Callable[[], ProfileStore]
ADA = identity_key("user_id", "ada")
BOB = identity_key("user_id", "bob")


@pytest.fixture(params=["rocksdb"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same store each time; the former one is closed first."""
    stores: list[ProfileStore] = []

    def open_() -> ProfileStore:
        for former in stores:
            former.close()
        stores.append({"rocksdb": RocksProfileStore}[request.param](tmp_path / "store"))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


def profile_of(key: bytes, events: int = 1) -> profile_pb2.Profile:
    return profile_pb2.Profile(profile_id=key.hex(), event_count=events)


def a_commit(sequence: int, key: bytes = ADA, message_id: str = "m1") -> Commit:
    return Commit(
        profiles={key.hex(): profile_of(key)},
        identities={key: key.hex()},
        message_ids={message_id: NOON_MS},
        timeline=[a_row(key, NOON_MS, message_id, sequence)],
        positions={0: sequence, 1: sequence},
        folded=1,
        created=1,
    )


def a_row(key: bytes, at_ms: int, message_id: str, sequence: int = 1) -> TimelineRow:
    event = track("Viewed", user="ada", at_ms=at_ms, message_id=message_id)
    return TimelineRow(key, at_ms, message_id, 0, sequence, event.SerializeToString())


def test_a_new_store_holds_nothing(open_store: Open) -> None:
    store = open_store()
    assert store.positions() == {}
    assert store.counters().profiles == 0
    assert store.resolve([ADA]) == {}
    assert store.get_many([ADA.hex()]) == {}
    assert store.seen(["m1"]) == set()
    assert list(store.profiles()) == []


def test_a_commit_is_there_after_the_store_was_opened_again(open_store: Open) -> None:
    open_store().commit(a_commit(7))
    store = open_store()
    assert store.positions() == {0: 7, 1: 7}
    assert store.resolve([ADA, BOB]) == {ADA: ADA.hex()}
    assert store.get_many([ADA.hex(), BOB.hex()]) == {ADA.hex(): profile_of(ADA)}
    assert store.seen(["m1", "m2"]) == {"m1"}
    assert (store.counters().profiles, store.counters().folded) == (1, 1)


def test_contacts_time_zone_and_origin_are_read_as_they_were_stored(open_store: Open) -> None:
    contact = profile_pb2.Contact(outcome="click", action="shoes", channel="web", timestamp_ms=NOON_MS)
    profile = profile_pb2.Profile(
        profile_id=ADA.hex(),
        contacts=[profile_pb2.ContactState(contact=contact, message_id=f"m{number}") for number in range(500)],
        timezone=profile_pb2.TimeZoneState(name="Europe/Paris", timestamp_ms=NOON_MS, message_id="m1"),
        origin=profile_pb2.Origin(timestamp_ms=NOON_MS, message_id="m1", identity_key=ADA),
    )
    open_store().commit(Commit(profiles={ADA.hex(): profile}, positions={0: 1}))
    assert open_store().get_many([ADA.hex()]) == {ADA.hex(): profile}


def test_a_profile_that_was_merged_away_is_gone(open_store: Open) -> None:
    store = open_store()
    store.commit(a_commit(1))
    store.commit(Commit(profiles={ADA.hex(): None, BOB.hex(): profile_of(BOB)}, positions={0: 2}))
    assert [one.profile_id for one in store.profiles()] == [BOB.hex()]


def test_profiles_come_in_the_order_of_their_ids(open_store: Open) -> None:
    store = open_store()
    store.commit(a_commit(1, BOB, "m1"))
    store.commit(a_commit(2, ADA, "m2"))
    ids = [one.profile_id for one in store.profiles()]
    assert ids == sorted([ADA.hex(), BOB.hex()])


def test_a_commit_that_goes_back_is_refused_whole(open_store: Open) -> None:
    store = open_store()
    store.commit(a_commit(5))
    with pytest.raises(PositionMoved):
        store.commit(a_commit(5, BOB, "m2"))
    assert store.resolve([BOB]) == {}
    assert store.seen(["m2"]) == set()


def test_changing_a_profile_that_was_read_changes_nothing_stored(open_store: Open) -> None:
    store = open_store()
    store.commit(a_commit(1))
    store.get_many([ADA.hex()])[ADA.hex()].event_count = 99
    assert store.get_many([ADA.hex()])[ADA.hex()].event_count == 1


def test_a_timeline_is_newest_first_over_all_identifiers(open_store: Open) -> None:
    store = open_store()
    rows = [a_row(key, NOON_MS + at, f"m{at}", at) for at, key in enumerate([ADA, BOB, ADA, BOB], start=1)]
    store.commit(Commit(timeline=rows, positions={0: 4}))
    assert [one.event.message_id for one in store.timeline([ADA, BOB], limit=3)] == ["m4", "m3", "m2"]
    assert [one.token.sequence for one in store.timeline([ADA], limit=10)] == [3, 1]


def test_a_timeline_goes_on_before_a_time(open_store: Open) -> None:
    store = open_store()
    store.commit(Commit(timeline=[a_row(ADA, NOON_MS + at, f"m{at}") for at in range(3)], positions={0: 1}))
    assert [one.event.message_id for one in store.timeline([ADA], limit=9, before_ms=NOON_MS + 2)] == ["m1", "m0"]


def test_events_before_1970_stand_at_the_end_of_the_timeline(open_store: Open) -> None:
    store = open_store()
    store.commit(Commit(timeline=[a_row(ADA, -5, "old"), a_row(ADA, 5, "new")], positions={0: 1}))
    assert [one.event.message_id for one in store.timeline([ADA], limit=9)] == ["new", "old"]


def test_a_sweep_forgets_what_is_old_and_nothing_else(open_store: Open) -> None:
    store = open_store()
    old = NOON_MS - 100 * DAY_MS
    store.commit(
        Commit(
            message_ids={"old": old, "new": NOON_MS},
            timeline=[a_row(ADA, old, "old"), a_row(ADA, NOON_MS, "new")],
            positions={0: 1},
        )
    )
    limit = NOON_MS - DAY_MS
    forgotten = sum(store.sweep(message_ids_before_ms=limit, timeline_before_ms=limit, at_most=1) for _ in range(6))
    assert forgotten == 2
    assert store.seen(["old", "new"]) == {"new"}
    assert [one.event.message_id for one in store.timeline([ADA], limit=9)] == ["new"]


def test_closing_twice_is_safe(open_store: Open) -> None:
    store = open_store()
    store.close()
    store.close()


def test_what_is_unknown_is_left_out(open_store: Open) -> None:
    store = open_store()
    assert store.timeline([ADA], limit=5) == []
    assert store.get_many([]) == {}
