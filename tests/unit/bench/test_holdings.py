"""What two stores hold is compared row by row, and no difference goes unseen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer

from wayline.v1 import events_pb2, profile_pb2
from wayline_bench.stress.holdings import Holdings, of_postgresql, of_rocksdb
from wayline_profile.core.changes import Commit, TimelineRow
from wayline_profile.store.postgres import PostgresProfileStore
from wayline_profile.store.records import STRAND
from wayline_profile.store.rocksdb import RocksProfileStore

KEY = bytes(range(16))


def a_commit(*, events: int = 3, sequence: int = 7, received_s: int = 100, strand: bytes = b"strand") -> Commit:
    """One customer with one event, a strand beside it."""
    event = events_pb2.Event(message_id="m", user_id="u")
    event.received_at.seconds = received_s
    return Commit(
        profiles={KEY.hex(): profile_pb2.Profile(profile_id=KEY.hex(), event_count=events)},
        identities={KEY: KEY.hex()},
        message_ids={"m": received_s},
        timeline=[TimelineRow(KEY, 5, "m", 1, sequence, event.SerializeToString())],
        records={(STRAND, KEY): strand},
        positions={1: sequence},
    )


@pytest.fixture(params=["rocksdb", "postgresql"])
def held(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer
) -> Callable[[Commit], Holdings]:
    """What a store of its own holds after a commit."""

    def of(commit: Commit) -> Holdings:
        if request.param == "postgresql":
            url = postgres_server.new_database()
            store = PostgresProfileStore(url)
            store.commit(commit)
            store.close()
            return of_postgresql(url)
        path = tmp_path / str(len(list(tmp_path.iterdir())))
        rocks = RocksProfileStore(path)
        rocks.commit(commit)
        rocks.close()
        return of_rocksdb(path)

    return of


def test_the_same_state_has_no_differences(held) -> None:
    assert held(a_commit()).sizes() == held(a_commit()).sizes()
    assert held(a_commit()).differences(held(a_commit())) == {}


def test_when_and_where_an_event_was_read_makes_no_difference(held) -> None:
    assert held(a_commit()).differences(held(a_commit(sequence=9, received_s=500))) == {}


@pytest.mark.parametrize(
    ("other", "table"),
    [(a_commit(events=4), "profiles"), (a_commit(strand=b"other"), STRAND)],
    ids=["a profile", "a strand"],
)
def test_another_byte_is_a_difference(held, other: Commit, table: str) -> None:
    assert held(a_commit()).differences(held(other)) == {table: [KEY]}


def test_a_row_too_many_is_a_difference_in_its_table(held) -> None:
    more = a_commit()
    more.identities[b"k" * 16] = KEY.hex()
    more.message_ids["n"] = 1
    found = held(a_commit()).differences(held(more))
    assert {name: len(keys) for name, keys in found.items()} == {"identities": 1, "messages": 1}


def test_the_digest_of_profiles_is_that_of_their_bytes(held) -> None:
    assert held(a_commit()).digest("profiles") == held(a_commit()).digest("profiles")
    assert held(a_commit()).digest("profiles") != held(a_commit(events=4)).digest("profiles")
