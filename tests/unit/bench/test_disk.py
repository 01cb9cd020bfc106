"""What a store takes on disk is divided into what grows with customers, and what grows with events."""

from __future__ import annotations

from pathlib import Path

from tests.support.postgres import PostgresServer

from wayline.v1 import profile_pb2
from wayline_bench import disk
from wayline_profile.core.changes import Commit
from wayline_profile.store.postgres import PostgresProfileStore
from wayline_profile.store.rocksdb import RocksProfileStore


def test_timelines_and_message_ids_grow_with_events_all_else_with_customers() -> None:
    sizes = {"profiles": 700, "identities": 200, "records": 100, "timeline": 3_000, "messages": 1_000}
    assert disk.per_profile(sizes, 10) == 100
    assert disk.per_event(sizes, 100) == 40


def test_what_was_only_in_the_log_is_on_disk_after_it(tmp_path: Path) -> None:
    store = RocksProfileStore(tmp_path)
    store.commit(Commit(profiles={one * 16: a_profile(one) for one in ("01", "02")}))
    store.close()
    sizes = disk.of_rocksdb(tmp_path)
    assert sizes["profiles"] > 0
    assert sizes["timeline"] == 0


def test_every_table_of_a_database_is_weighed(postgres_server: PostgresServer) -> None:
    url = postgres_server.new_database()
    store = PostgresProfileStore(url)
    store.commit(Commit(profiles={one * 16: a_profile(one) for one in ("01", "02")}))
    store.close()
    sizes = disk.of_postgresql(url)
    assert {"profiles", "identities", "timeline", "message_ids", "records"} <= sizes.keys()
    assert sizes["profiles"] > 0


def a_profile(one: str) -> profile_pb2.Profile:
    return profile_pb2.Profile(profile_id=one * 16, event_count=1)
