"""Exactly once on PostgreSQL: whatever kills the profile service, and whoever else writes, ends as a clean run does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from nats.js import JetStreamContext
from tests.support.busy_day import CATALOG, a_busy_day
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.profile import make_event_stream, publish, read_up_to, running_profile
from tests.support.profile_process import a_process

from wayline.catalog.store import open_store
from wayline.identity import identity_key
from wayline.v1 import events_pb2
from wayline_profile.store import Counters, ProfileStore
from wayline_profile.store.postgres import PostgresProfileStore
from wayline_profile.store.rocksdb import RocksProfileStore

EVENTS, KILLS = 4_000, 5
_SMALL_BATCHES = {"WAYLINE_PROFILE_BATCH": "8"}


@pytest.fixture
async def events(js: JetStreamContext) -> list[events_pb2.Event]:
    """Events that are in the stream, without a catalogue yet: nobody folds."""
    await make_event_stream(js)
    events = list(a_busy_day(random.Random(4), events=EVENTS, people=300))
    assert await publish(js, events) == len(events)
    return events


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.new_database()


async def folded_to(url: str, sequence: int, *processes: asyncio.subprocess.Process) -> int:
    """Wait until the database has come to a position, while one of the processes lives."""
    query = "SELECT coalesce(max(sequence), 0) FROM wayline_profile.positions"
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(made, url):
            await asyncio.sleep(0.01)
        with psycopg.connect(url, autocommit=True) as connection:
            while (reached := value_of(connection, query)) < sequence:
                assert any(one.returncode is None for one in processes), "the service has ended"
                await asyncio.sleep(0)
    return reached


def made(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return value_of(connection, "SELECT count(*) FROM pg_tables WHERE tablename = 'positions'") == 1


def value_of(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def all_of(store: ProfileStore, events: Iterable[events_pb2.Event]) -> tuple[object, ...]:
    """Whatever a store holds, byte for byte."""
    events = list(events)
    with closing(store):
        pairs = {("user_id", one.user_id) for one in events} | {("user_id", one.previous_id) for one in events}
        pairs |= {("anonymous_id", one.anonymous_id) for one in events}
        keys = sorted(identity_key(*pair) for pair in pairs if pair[1])
        return (
            [one.SerializeToString(deterministic=True) for one in store.profiles()],
            store.resolve(keys),
            [[one.SerializeToString(deterministic=True) for one in store.timeline([key], limit=1_000)] for key in keys],
            store.seen({one.message_id for one in events}),
            store.counters(),
            store.positions(),
        )


async def a_clean_run(nats_url: str, data: Path, events: list[events_pb2.Event]) -> tuple[object, ...]:
    """What RocksDB holds when nothing went wrong."""
    async with running_profile(nats_url, data) as stub:
        await read_up_to(stub, len(events))
    return all_of(RocksProfileStore(data), events)


async def test_a_service_that_is_killed_again_and_again_ends_as_a_clean_run_on_rocksdb(
    js: JetStreamContext, nats_url: str, url: str, tmp_path: Path, events: list[events_pb2.Event]
) -> None:
    await (await open_store(js)).apply(CATALOG)
    chance, reached, port = random.Random(7), 0, {"WAYLINE_PROFILE_PORT": str(free_port())}
    for _ in range(KILLS):
        async with a_process(nats_url, url, tmp_path / "log", **_SMALL_BATCHES, **port) as process:
            reached = await folded_to(url, reached + chance.randrange(1, EVENTS // (KILLS + 2)), process)
        assert reached < EVENTS, "killed in the middle"
    async with a_process(nats_url, url, tmp_path / "log", **port) as process:
        await folded_to(url, EVENTS, process)
        process.terminate()
        assert await process.wait() == 0
    found = all_of(PostgresProfileStore(url), events)
    assert found == await a_clean_run(nats_url, tmp_path / "clean", events)
    identities, counters = found[1], found[4]
    assert isinstance(identities, dict)
    assert isinstance(counters, Counters)
    assert counters.folded + counters.duplicates == EVENTS
    assert 0 < counters.profiles < len(identities), "profiles were merged"
    assert counters.duplicates > 0


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("rocks", "WAYLINE_PROFILE_STORE"),
        ("postgresql://wayline:geheim@@127.0.0.1/db", "WAYLINE_PROFILE_STORE"),
        ("postgresql://wayline:geheim@127.0.0.1:{port}/db", "cannot be reached"),
    ],
)
async def test_a_store_that_cannot_be_used_ends_the_start_with_one_line_and_no_password(
    store: str, words: str, nats_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    address = store.format(port=free_port())
    async with a_process(nats_url, address, log, WAYLINE_PROFILE_STORE_TIMEOUT_SECONDS="0.2") as process:
        assert await process.wait() == 1
    said = log.read_text()
    assert words in said.splitlines()[-1]
    assert "Traceback" not in said
    assert "geheim" not in said
