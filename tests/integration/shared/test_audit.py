"""The audit log on a real server: it holds in order, and shows when it was tampered with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError
from tests.support.nats import NatsServer

from wayline import bus, streams
from wayline.audit import UNKNOWN, AuditLog, Line, actor_of, anchor, audit_stream, entries
from wayline.errors import LimitExceeded, Retryable
from wayline.v1.privacy_pb2 import AuditEntry

AT = datetime(2026, 9, 21, 12, tzinfo=UTC)


@pytest.fixture
async def client(js: JetStreamContext, nats_url: str) -> AsyncIterator[Client]:
    await bus.ensure_stream(js, audit_stream(max_bytes=1 << 20, max_age_seconds=3_600), 1)
    client = await nats.connect(nats_url)
    yield client
    await client.close()


def a_log(client: Client) -> AuditLog:
    return AuditLog(client, now=lambda: AT)


async def all_of(client: Client) -> list[Line]:
    return [line async for line in entries(client)]


async def test_entries_are_read_in_order_and_the_chain_holds(client: Client):
    log = a_log(client)
    for number in range(3):
        await log.append("profile.read", actor="ann", subject=f"p{number}", reason="a question", facts={"n": "1"})
    lines = await all_of(client)
    assert [line.entry.subject for line in lines] == ["p0", "p1", "p2"]
    assert all(line.intact for line in lines)
    assert lines[0].entry.time.ToDatetime(UTC) == AT
    assert not lines[0].entry.previous


async def test_many_writers_make_one_chain(client: Client):
    logs = [a_log(client) for _ in range(4)]
    await asyncio.gather(*(log.append("profile.read", subject=f"p{number}") for number in range(10) for log in logs))
    lines = await all_of(client)
    assert len(lines) == 40
    assert all(line.intact for line in lines)


async def test_nobody_deletes_from_it(client: Client):
    stored = await a_log(client).append("customer.erase")
    with pytest.raises(APIError):
        await streams.delete(client, bus.AUDIT, stored.sequence)
    with pytest.raises(APIError):
        await client.jetstream().purge_stream(bus.AUDIT)
    assert len(await all_of(client)) == 1


async def test_an_entry_that_nobody_chained_breaks_the_chain(client: Client):
    log = a_log(client)
    await log.append("customer.erase", subject="p1")
    await client.jetstream().publish(bus.AUDIT_SUBJECT, AuditEntry(action="forged").SerializeToString())
    await log.append("customer.erase", subject="p2")
    assert [line.intact for line in await all_of(client)] == [True, False, True]


async def test_a_changed_entry_breaks_the_chain_behind_it(
    client: Client, js: JetStreamContext, nats_server: NatsServer
):
    log = a_log(client)
    for number in range(3):
        await log.append("customer.erase", subject=f"p{number}")
    kept = [message.data for message in await streams.page(client, bus.AUDIT, after=0)]
    await js.delete_stream(bus.AUDIT)  # what an intruder with all rights could do
    nats_server.forget(bus.AUDIT)
    await bus.ensure_stream(js, audit_stream(max_bytes=1 << 20, max_age_seconds=3_600), 1)
    changed = AuditEntry.FromString(kept[1])
    changed.subject = "somebody else"
    for data in (kept[0], changed.SerializeToString(), kept[2]):
        await js.publish(bus.AUDIT_SUBJECT, data)
    assert [line.intact for line in await all_of(client)] == [True, True, False]


async def test_an_anchor_names_what_is_stored(client: Client):
    log = a_log(client)
    first = await log.append("customer.erase")
    second = await log.append("customer.erased")
    assert await anchor(client, first.sequence) == first
    assert await anchor(client, second.sequence) == second
    assert await anchor(client, 99) is None


async def test_a_full_log_refuses(js: JetStreamContext, client: Client):
    config = (await js.stream_info(bus.AUDIT)).config
    config.max_bytes = 400
    await js.update_stream(config)
    with pytest.raises(LimitExceeded, match="WAYLINE_AUDIT_MAX_BYTES"):
        await asyncio.gather(*(a_log(client).append("profile.read", subject="p") for _ in range(5)))


async def test_without_a_log_nothing_is_said_to_be_done(js: JetStreamContext, nats_url: str):
    client = await nats.connect(nats_url)
    with pytest.raises(Retryable, match="audit log does not exist"):
        await a_log(client).append("profile.read")
    with pytest.raises(Retryable, match="audit log does not exist"):
        await all_of(client)
    await client.close()


async def test_nothing_is_chained_to_an_entry_that_cannot_be_read(js: JetStreamContext, nats_url: str):
    # What a lagging replica answers: it knows that there is an entry, and has none.
    await js.add_stream(name=bus.AUDIT, subjects=[bus.AUDIT_SUBJECT], allow_direct=True)
    client = await nats.connect(nats_url)
    stored = [await a_log(client).append("customer.erase") for _ in range(2)]
    await js.delete_msg(bus.AUDIT, stored[-1].sequence)
    with pytest.raises(Retryable, match="last entry, 2, cannot be read"):
        await a_log(client).append("customer.erased")
    assert len(await all_of(client)) == 1
    await client.close()


@pytest.mark.parametrize(
    ("said", "actor"),
    [("ann", "ann"), (" ann\x1b[2J", "ann[2J"), ("", UNKNOWN), ("wayline", UNKNOWN), ("x" * 500, "x" * 128)],
)
def test_an_actor_is_printable_short_and_never_the_system(said: str, actor: str):
    assert actor_of({"wayline-actor": said}) == actor
