"""Several profile processes on one PostgreSQL share the partitions, and end as one process on RocksDB does."""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import closing
from functools import partial
from pathlib import Path

import grpc
import psycopg
import pytest
from nats.js import JetStreamContext
from tests.support import profile_process
from tests.support.busy_day import CATALOG, a_busy_day
from tests.support.events import track
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.profile import PARTITIONS, make_event_stream, publish, read_up_to, running_profile
from tests.support.profile_process import shared_by, until

from wayline import bus
from wayline.bus import VIEW_SUBJECT
from wayline.catalog.store import open_store
from wayline.identity import identity_key
from wayline.v1 import events_pb2, profile_pb2, profile_pb2_grpc
from wayline_profile.core.records import CLUSTER, CLUSTER_OF, STRAND
from wayline_profile.reader import unread
from wayline_profile.store import ProfileStore
from wayline_profile.store.postgres import PostgresProfileStore
from wayline_profile.store.records import BACKFILL
from wayline_profile.store.rocksdb import RocksProfileStore

EVENTS = 2_000
a_process = partial(profile_process.a_process, WAYLINE_PROFILE_BATCH="16")
"""With batches so small that processes meet at nearly every commit."""


@pytest.fixture
async def events(js: JetStreamContext) -> list[events_pb2.Event]:
    """Events that are in the stream, without a catalogue yet: nobody folds."""
    await make_event_stream(js)
    events = list(a_busy_day(random.Random(4), events=EVENTS, people=200))
    assert await publish(js, events) == len(events)
    return events


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    url = postgres_server.new_database()
    PostgresProfileStore(url).close()  # makes the tables
    return url


async def folded(url: str, events: int, *processes: asyncio.subprocess.Process) -> None:
    """Wait until so many events were read."""
    query = "SELECT folded + duplicates + poison FROM counters"
    await until(url, query, lambda rows: rows[0][0] >= events, *processes)


def all_of(store: ProfileStore, events: list[events_pb2.Event]) -> dict[str, object]:
    """Whatever a store holds of customers, byte for byte. Which of two copies of an event was read first may differ."""
    with closing(store):
        pairs = {("user_id", one.user_id) for one in events} | {("user_id", one.previous_id) for one in events}
        pairs |= {("anonymous_id", one.anonymous_id) for one in events}
        keys = sorted(identity_key(*pair) for pair in pairs if pair[1])
        return {
            "profiles": [one.SerializeToString(deterministic=True) for one in store.profiles()],
            "identities": store.resolve(keys),
            "records": {kind: store.scan(kind, at_most=10_000) for kind in (STRAND, CLUSTER, CLUSTER_OF)},
            "timelines": [[one.event.message_id for one in store.timeline([key], limit=1_000)] for key in keys],
            "seen": store.seen({one.message_id for one in events}),
            "counters": store.counters(),
        }


async def a_clean_run(nats_url: str, data: Path, events: list[events_pb2.Event]) -> dict[str, object]:
    """What RocksDB holds when nothing went wrong."""
    async with running_profile(nats_url, data) as stub:
        await read_up_to(stub, len(events))
    return all_of(RocksProfileStore(data), events)


async def test_two_processes_share_the_partitions_and_end_as_one_on_rocksdb(
    js: JetStreamContext, nats_url: str, url: str, tmp_path: Path, events: list[events_pb2.Event]
) -> None:
    logs = tmp_path / "one", tmp_path / "two"
    async with a_process(nats_url, url, logs[0]) as one, a_process(nats_url, url, logs[1]) as two:
        await shared_by(url, 2, PARTITIONS, one, two)
        await (await open_store(js)).apply(CATALOG)
        await folded(url, len(events), one, two)
        for process in (one, two):
            process.terminate()
            assert await process.wait() == 0
        await until(url, "SELECT count(*) FROM workers", lambda rows: rows[0][0] == 0)
    found = all_of(PostgresProfileStore(url), events)
    clean = await a_clean_run(nats_url, tmp_path / "clean", events)
    assert found == clean
    strands = found["records"]
    assert isinstance(strands, dict)
    assert strands[STRAND], "profiles were merged"


async def test_what_a_killed_process_owned_is_taken_over_and_nothing_is_lost_or_counted_twice(
    js: JetStreamContext, nats_url: str, url: str, tmp_path: Path, events: list[events_pb2.Event]
) -> None:
    await (await open_store(js)).apply(CATALOG)
    async with bus.connect(nats_url, "follower") as client:
        feed = await client.subscribe(VIEW_SUBJECT, pending_msgs_limit=-1, pending_bytes_limit=-1)
        await client.flush()
        async with a_process(nats_url, url, tmp_path / "one") as survivor:
            async with a_process(nats_url, url, tmp_path / "two") as killed:
                await shared_by(url, 2, PARTITIONS, survivor, killed)
                await folded(url, len(events) // 3, survivor, killed)
            await shared_by(url, 1, PARTITIONS, survivor)
            await publish(js, late := [track("Viewed", user="ada") for _ in range(PARTITIONS)])
            await folded(url, len(events) + len(late), survivor)
            survivor.terminate()
            await survivor.wait()
        await client.flush()
        heard = [profile_pb2.ViewUpdate.FromString((await feed.next_msg(5)).data) for _ in range(feed.pending_msgs)]
    every = [*events, *late]
    assert all_of(PostgresProfileStore(url), every) == await a_clean_run(nats_url, tmp_path / "clean", every)
    assert_a_feed_is_begun_anew_whenever_partitions_are_taken_over(heard)
    versions = [view.version for update in heard for view in update.views]
    assert len(set(versions)) > 100


def assert_a_feed_is_begun_anew_whenever_partitions_are_taken_over(heard: list[profile_pb2.ViewUpdate]) -> None:
    owned: dict[str, set[int]] = {}
    numbers: dict[str, int] = {}
    for update in heard:
        told = {one.partition for one in update.watermarks}
        begins = update.number == 1
        assert begins == (update.feed_id not in owned)
        assert not (begins and update.views), "first it is told how far was read"
        assert update.number == numbers.get(update.feed_id, 0) + 1
        assert told <= owned.setdefault(update.feed_id, told)
        numbers[update.feed_id] = update.number
    assert {frozenset(partitions) for partitions in owned.values()} >= {frozenset(range(PARTITIONS))}


async def test_a_process_that_stood_still_goes_on_with_its_share_and_does_no_harm(
    js: JetStreamContext, nats_url: str, url: str, tmp_path: Path, events: list[events_pb2.Event]
) -> None:
    await (await open_store(js)).apply(CATALOG)
    async with a_process(nats_url, url, tmp_path / "one") as one, a_process(nats_url, url, tmp_path / "two") as two:
        await shared_by(url, 2, PARTITIONS, one, two)
        two.send_signal(signal.SIGSTOP)
        await shared_by(url, 1, PARTITIONS, one)
        await folded(url, len(events), one)
        two.send_signal(signal.SIGCONT)
        await shared_by(url, 2, PARTITIONS, one, two)
        await publish(js, late := [track("Viewed", user="ada") for _ in range(2 * PARTITIONS)])
        await folded(url, len(events) + len(late), one, two)
    every = [*events, *late]
    assert all_of(PostgresProfileStore(url), every) == await a_clean_run(nats_url, tmp_path / "clean", every)


async def test_every_process_answers_for_all_customers(
    js: JetStreamContext, nats_url: str, url: str, tmp_path: Path
) -> None:
    await make_event_stream(js)
    await (await open_store(js)).apply(CATALOG)
    ports = [free_port(), free_port()]
    async with (
        a_process(nats_url, url, tmp_path / "one", WAYLINE_PROFILE_PORT=str(ports[0])) as one,
        a_process(nats_url, url, tmp_path / "two", WAYLINE_PROFILE_PORT=str(ports[1])) as two,
    ):
        await shared_by(url, 2, PARTITIONS, one, two)
        seen = [track("Viewed", user=f"user-{number}") for number in range(20)]
        await publish(js, seen)
        await folded(url, len(seen), one, two)
        keys = [identity_key("user_id", f"user-{number}") for number in range(20)]
        for port in ports:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = profile_pb2_grpc.ProfileServiceStub(channel)
                views = (await stub.BatchGetViews(profile_pb2.BatchGetViewsRequest(identity_keys=keys))).views
                assert {view.profile_id for view in views} == {key.hex() for key in keys}
                statistics = await stub.GetStatistics(profile_pb2.GetStatisticsRequest())
                assert (statistics.events_folded, statistics.lag) == (20, 0)
                customer = events_pb2.Identifier(kind="user_id", value="user-7")
                found = await stub.GetProfile(profile_pb2.GetProfileRequest(customer=customer))
                assert found.values["views"] == 1


async def test_events_that_nobody_has_read_yet_are_counted_by_partition(js: JetStreamContext, nats_url: str) -> None:
    await make_event_stream(js)
    last = await publish(js, [track("Viewed", user="ada") for _ in range(3 * PARTITIONS)])
    assert await unread(js, dict.fromkeys(range(PARTITIONS), 0)) == last
    assert await unread(js, {0: 0, 1: last, 2: last, 3: last}) == 3
    assert await unread(js, {0: 1, 1: 2, 2: 3, 3: 8}) == 2 + 2 + 2 + 1
    assert await unread(js, dict.fromkeys(range(PARTITIONS), last)) == 0


async def test_a_store_that_lost_its_last_commits_while_nobody_wrote_is_folded_anew(
    js: JetStreamContext, nats_url: str, url: str, tmp_path: Path, events: list[events_pb2.Event]
) -> None:
    await (await open_store(js)).apply(CATALOG)
    async with a_process(nats_url, url, tmp_path / "one") as one:
        await folded(url, len(events), one)
        with psycopg.connect(url, options="-c search_path=wayline_profile") as connection:
            connection.execute("TRUNCATE profiles, identities, message_ids, timeline, positions")
            connection.execute("DELETE FROM records WHERE kind <> %s", (BACKFILL,))
            connection.execute("UPDATE counters SET profiles = 0, folded = 0, duplicates = 0, poison = 0")
        await folded(url, len(events), one)
    assert all_of(PostgresProfileStore(url), events) == await a_clean_run(nats_url, tmp_path / "clean", events)
