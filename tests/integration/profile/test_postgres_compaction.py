"""PostgreSQL writes its tables anew, and says what it was not allowed to do."""

from __future__ import annotations

from contextlib import closing

import psycopg
from tests.support.bytescan import found_in_files
from tests.support.events import NOON_MS
from tests.support.postgres import PostgresServer

from wayline.identity import identity_key
from wayline.v1 import profile_pb2
from wayline_profile.core.changes import Commit, TimelineRow
from wayline_profile.store.postgres import PostgresProfileStore

ADA, BOB = identity_key("user_id", "ada"), identity_key("user_id", "bob")


def fill(store: PostgresProfileStore) -> None:
    """Two customers, of whom one is deleted."""
    rows = [TimelineRow(key, NOON_MS, "m", 0, 1, b"") for key in (ADA, BOB)]
    for row, text in zip(rows, ("unmistakable-of-ada", "unmistakable-of-bob"), strict=True):
        profile = profile_pb2.Profile(profile_id=row.key.hex())
        profile.timezone.name = text
        store.commit(Commit(profiles={row.key.hex(): profile}, timeline=[row]))
    store.commit(Commit(profiles={ADA.hex(): None}, erased={ADA}))


def test_what_was_deleted_is_in_no_file_and_the_rest_is_there():
    with (
        PostgresServer("wal_recycle=off") as server,
        closing(PostgresProfileStore(server.new_database(), sync=True)) as store,
    ):
        fill(store)
        assert found_in_files(server.files, ["unmistakable-of-ada"])
        assert store.compact() == []
        assert found_in_files(server.files, ["unmistakable-of-ada"]) == []
        assert list(store.get_many([ADA.hex(), BOB.hex()])) == [BOB.hex()]


def test_it_says_what_is_left_to_do(postgres_server: PostgresServer):
    url = postgres_server.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS compactor")
        connection.execute("CREATE ROLE compactor LOGIN PASSWORD 'compactor'")
        connection.execute(f"GRANT CREATE ON DATABASE {url.rpartition('/')[2]} TO compactor")
    host = url.partition("@")[2]
    with closing(PostgresProfileStore(f"postgresql://compactor:compactor@{host}")) as store:
        fill(store)
        left = store.compact()
    assert [one.partition(":")[2].split(":")[0].strip() for one in left] == [
        "CHECKPOINT",
        "SELECT pg_switch_wal()",
        "wal_recycle is on",
    ]
