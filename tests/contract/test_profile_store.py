"""What every profile store must do. A new adapter is done when it passes this suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.events import DAY_MS, NOON_MS, track

from wayline.errors import Retryable
from wayline.identity import identity_key
from wayline.v1 import profile_pb2
from wayline_profile.core.changes import Commit, TimelineRow
from wayline_profile.store import Counters, PositionMoved, ProfileStore
from wayline_profile.store.postgres import PostgresProfileStore
from wayline_profile.store.rocksdb import RocksProfileStore

Open = Callable[[], ProfileStore]
ADA = identity_key("user_id", "ada")
BOB = identity_key("user_id", "bob")


@pytest.fixture(params=["rocksdb", "postgresql"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same store each time."""
    if request.param == "rocksdb":
        return lambda: RocksProfileStore(tmp_path / "store")
    url = request.getfixturevalue("postgres_server").new_database()
    return lambda: PostgresProfileStore(url)


@pytest.fixture
def open_store(connect: Open) -> Iterator[Open]:
    """Opens the same store each time; the former one is closed first."""
    stores: list[ProfileStore] = []

    def open_() -> ProfileStore:
        for former in stores:
            former.close()
        stores.append(connect())
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


def test_an_identifier_that_leads_nowhere_any_more_is_unknown(open_store: Open) -> None:
    store = open_store()
    store.commit(a_commit(1))
    store.commit(Commit(identities={ADA: None, BOB: ADA.hex()}, positions={0: 2}))
    assert store.resolve([ADA, BOB]) == {BOB: ADA.hex()}


def test_profiles_come_in_the_order_of_their_ids(open_store: Open) -> None:
    store = open_store()
    store.commit(a_commit(1, BOB, "m1"))
    store.commit(a_commit(2, ADA, "m2"))
    ids = [one.profile_id for one in store.profiles()]
    assert ids == sorted([ADA.hex(), BOB.hex()])
    assert [one.profile_id for one in store.profiles(after=ids[0])] == ids[1:]
    assert list(store.profiles(after=ids[1])) == []
    assert [one.profile_id for one in store.profiles(after="00" * 16)] == ids


def test_a_commit_that_goes_back_is_refused_whole(open_store: Open) -> None:
    store = open_store()
    store.commit(a_commit(5))
    with pytest.raises(PositionMoved):
        store.commit(a_commit(5, BOB, "m2"))
    assert store.resolve([BOB]) == {}
    assert store.seen(["m2"]) == set()


def test_of_two_owners_one_is_refused_and_the_other_goes_on(connect: Open) -> None:
    def both_write() -> None:
        with closing(connect()) as second:  # RocksDB does not even let it in
            first.commit(a_commit(5))
            second.commit(a_commit(9, BOB, "m2"))

    with closing(connect()) as first:
        with pytest.raises(Exception, match=r"lock|someone else has committed"):
            both_write()
        assert first.resolve([BOB]) == {}
        assert first.seen(["m2"]) == set()
        first.commit(a_commit(10, ADA, "m3"))
    with closing(connect()) as later:
        assert later.positions() == {0: 10, 1: 10}


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


def test_more_profiles_than_fit_on_a_page_are_all_found(open_store: Open) -> None:
    store = open_store()
    keys = [identity_key("user_id", f"customer-{number}") for number in range(1_100)]
    profiles = {key.hex(): profile_of(key) for key in keys}
    store.commit(Commit(profiles=dict(profiles), identities={key: key.hex() for key in keys}, positions={0: 1}))
    assert [one.profile_id for one in store.profiles()] == sorted(profiles)
    assert store.get_many(list(profiles)) == profiles
    assert store.resolve(keys) == {key: key.hex() for key in keys}


def test_an_event_that_is_filed_again_stands_in_the_timeline_once(open_store: Open) -> None:
    store = open_store()
    store.commit(Commit(timeline=[a_row(ADA, NOON_MS, "m1", 1)], message_ids={"m1": NOON_MS}, positions={0: 1}))
    store.commit(Commit(timeline=[a_row(ADA, NOON_MS, "m1", 2)], message_ids={"m1": NOON_MS + 1}, positions={0: 2}))
    assert [one.token.sequence for one in store.timeline([ADA], limit=9)] == [2]


def test_counters_add_up_and_may_go_down(open_store: Open) -> None:
    store = open_store()
    store.commit(Commit(positions={0: 1}, created=3, folded=5, duplicates=2, poison=1))
    store.commit(Commit(positions={0: 2}, created=-1, folded=1))
    assert store.counters() == Counters(profiles=2, folded=6, duplicates=2, poison=1)
    assert open_store().counters() == Counters(profiles=2, folded=6, duplicates=2, poison=1)


def test_partitions_go_on_one_by_one(open_store: Open) -> None:
    store = open_store()
    store.commit(Commit(positions={0: 5}))
    store.commit(Commit(positions={1: 3}))
    store.commit(Commit(positions={0: 6}))
    assert store.positions() == {0: 6, 1: 3}
    assert open_store().positions() == {0: 6, 1: 3}


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


def test_records_of_other_kinds_come_with_the_commit_and_go_with_it(open_store: Open) -> None:
    store = open_store()
    store.commit(
        Commit(records={("strand", b"a"): b"1", ("strand", b"b"): b"", ("link", b"a"): b"3"}, positions={0: 1})
    )
    assert store.records("strand", [b"a", b"b", b"c"]) == {b"a": b"1", b"b": b""}
    store.commit(Commit(records={("strand", b"a"): None, ("strand", b"b"): b"2", ("strand", b"z"): None}))
    store = open_store()
    assert store.records("strand", [b"a", b"b", b"c"]) == {b"b": b"2"}
    assert store.records("link", [b"a"]) == {b"a": b"3"}
    assert store.records("link", []) == {}
    assert store.positions() == {0: 1}


def test_records_are_scanned_by_key_within_their_kind(open_store: Open) -> None:
    store = open_store()
    keys = [b"\0", b"\0\0", b"a", b"a\0", b"b", b"\xff", b"\xff\xff"]
    store.commit(Commit(records={**{("m", key): key for key in keys}, ("l", b"x"): b"x", ("n", b"a"): b"y"}))
    assert store.scan("m", at_most=100) == [(key, key) for key in keys]
    assert store.scan("m", after=b"a", at_most=2) == [(b"a\0", b"a\0"), (b"b", b"b")]
    assert store.scan("m", after=b"\xff\xff", at_most=5) == []
    assert store.scan("n", at_most=5) == [(b"a", b"y")]
    assert store.scan("o", at_most=5) == []


def test_a_commit_of_records_alone_moves_no_position(open_store: Open) -> None:
    store = open_store()
    store.commit(a_commit(5))
    store.commit(Commit(records={("strand", b"a"): b"1"}))
    assert store.positions() == {0: 5, 1: 5}
    store.commit(a_commit(6, message_id="m2"))
    assert open_store().positions() == {0: 6, 1: 6}


def test_the_timelines_of_erased_keys_go_and_no_others(open_store: Open) -> None:
    store = open_store()
    rows = [a_row(key, NOON_MS + at, f"m{at}", at) for at, key in enumerate([ADA, BOB, ADA, BOB], start=1)]
    store.commit(Commit(timeline=rows, identities={ADA: ADA.hex(), BOB: BOB.hex()}, positions={0: 4}))
    store.commit(Commit(erased={ADA}, identities={ADA: None}, timeline=[a_row(ADA, NOON_MS, "m9", 9)]))
    store = open_store()
    assert [one.event.message_id for one in store.timeline([ADA, BOB], limit=9)] == ["m4", "m2", "m9"]
    assert store.resolve([ADA, BOB]) == {BOB: BOB.hex()}


def test_single_lines_go_from_a_timeline(open_store: Open) -> None:
    store = open_store()
    store.commit(Commit(timeline=[a_row(ADA, NOON_MS, "m1", 1), a_row(ADA, NOON_MS, "m2", 2)], positions={0: 2}))
    store.commit(Commit(unfiled=[a_row(ADA, NOON_MS, "m1"), a_row(BOB, NOON_MS, "m2"), a_row(ADA, NOON_MS, "m3")]))
    assert [one.event.message_id for one in open_store().timeline([ADA], limit=9)] == ["m2"]


def test_compaction_keeps_what_was_not_deleted(open_store: Open) -> None:
    store = open_store()
    store.commit(a_commit(1))
    store.commit(a_commit(2, BOB, "m2"))
    store.commit(Commit(profiles={ADA.hex(): None}, erased={ADA}))
    store.compact()
    assert [one.event.message_id for one in store.timeline([ADA, BOB], limit=9)] == ["m2"]
    assert list(store.get_many([ADA.hex(), BOB.hex()])) == [BOB.hex()]


def test_closing_waits_for_a_compaction_and_none_begins_after_it(open_store: Open) -> None:
    store = open_store()
    for number in range(1, 21):
        store.commit(a_commit(number, message_id=f"m{number}"))
    with ThreadPoolExecutor(4) as threads:
        under_way = [threads.submit(store.compact) for _ in range(4)]
        store.close()
        for one in under_way:  # each was either done before, or refused
            if (error := one.exception()) is not None:
                assert isinstance(error, Retryable)
                assert "was closed" in str(error)
    with pytest.raises(Retryable, match="was closed before it was compacted"):
        store.compact()


def test_events_are_read_by_key_and_oldest_first_a_page_at_a_time(open_store: Open) -> None:
    store = open_store()
    one, two = sorted([ADA, BOB])
    places = [(two, 5, "e"), (one, -7, "a"), (two, -1, "c"), (one, 3, "b"), (two, 2, "d")]
    rows = [a_row(key, at_ms, message_id, sequence) for sequence, (key, at_ms, message_id) in enumerate(places)]
    store.commit(Commit(timeline=[*rows, a_row(identity_key("user_id", "eve"), 1, "z")], positions={0: 9}))
    found = store.filed([two, one, two], at_most=100)
    assert [(row.key, row.sequence) for row in found] == [(one, 1), (one, 3), (two, 2), (two, 4), (two, 0)]
    assert [row.data for row in found[:2]] == [rows[1].data, rows[3].data]
    paged, after = [], b""
    while page := store.filed([one, two], after=after, at_most=2):
        paged += page
        after = page[-1].place
    assert paged == found
    assert store.filed([one], after=found[1].place, at_most=9) == []
    assert store.filed([], at_most=9) == []


def test_identity_keys_come_in_their_order_a_page_at_a_time(open_store: Open) -> None:
    store = open_store()
    keys = [b"\0" * 16, *sorted([ADA, BOB]), b"\xff" * 16]
    store.commit(Commit(identities=dict.fromkeys(keys, ADA.hex()), positions={0: 1}))
    assert store.identities(at_most=100) == [(key, ADA.hex()) for key in keys]
    assert [key for key, _ in store.identities(after=keys[0], at_most=2)] == keys[1:3]
    assert store.identities(after=keys[-1], at_most=2) == []


def test_every_commit_has_a_greater_number_than_the_one_before_it(open_store: Open) -> None:
    store = open_store()
    first = store.commit(a_commit(1))
    second = store.commit(Commit(records={("strand", b"a"): b"1"}))
    assert 0 < first < second == store.version()
    store = open_store()
    assert store.version() == second
    assert store.commit(a_commit(2, message_id="m2")) > second


def test_profiles_are_found_by_any_of_their_identifiers(open_store: Open) -> None:
    store = open_store()
    store.commit(Commit(profiles={ADA.hex(): profile_of(ADA)}, identities={ADA: ADA.hex(), BOB: ADA.hex()}))
    for keys in ([ADA], [BOB], [ADA, BOB, bytes(16)]):
        assert store.profiles_of(keys) == {ADA.hex(): profile_of(ADA)}
    assert store.profiles_of([bytes(16)]) == store.profiles_of([]) == {}


def test_a_unit_of_work_reads_what_is_stored_and_writes_what_is_made_of_it(open_store: Open) -> None:
    store = open_store()
    store.commit(a_commit(1))
    with store.begin() as unit:
        assert unit.seen(["m1", "m2"]) == {"m1"}
        assert unit.resolve([ADA, BOB]) == {ADA: ADA.hex()}
        assert unit.records("strand", [b"a"]) == {}
        profile = unit.get_many([ADA.hex(), BOB.hex()])[ADA.hex()]
        profile.event_count += 1
        assert unit.commit(Commit(profiles={ADA.hex(): profile}, positions={0: 2, 1: 2}, folded=1)) == store.version()
    assert open_store().get_many([ADA.hex()])[ADA.hex()].event_count == 2


def test_a_unit_of_work_that_is_given_up_changes_nothing(open_store: Open) -> None:
    store = open_store()
    with store.begin() as unit:
        unit.resolve([ADA])
    assert store.version() == 0
    store.commit(a_commit(1))


def test_partitions_that_are_taken_over_go_on_where_they_stand(open_store: Open) -> None:
    store = open_store()
    store.commit(a_commit(5))
    store = open_store()
    assert store.take_over([1, 2]) == {1: 5, 2: 0}
    store.commit(Commit(positions={1: 6, 2: 6}))
    assert store.positions() == {0: 5, 1: 6, 2: 6}
