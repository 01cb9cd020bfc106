"""Reading a backlog on a real NATS server: everything once and in order, however large, and never too much at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from structlog.testing import capture_logs
from tests.support.profile import PARTITIONS, make_event_stream

from wayline import bus
from wayline.bus import event_subject
from wayline.v1 import events_pb2
from wayline_profile.reader import EventReader

PATIENCE_SECONDS = 20.0
LARGE_BYTES = 600_000


@pytest.fixture
async def nc(nats_url: str) -> AsyncIterator[Client]:
    """The reader's connection."""
    async with bus.connect(nats_url, "reader") as client:
        yield client


@pytest.fixture
async def reader(js: JetStreamContext, nc: Client) -> AsyncIterator[EventReader]:
    """Of all partitions, from the beginning."""
    await make_event_stream(js)
    one = EventReader(nc, nc.jetstream(), dict.fromkeys(range(PARTITIONS), 0), whole=True)
    yield one
    await one.close()


async def store(js: JetStreamContext, *, number: int, padding: int = 0) -> None:
    for first in range(0, number, 500):
        await asyncio.gather(
            *(
                js.publish(
                    event_subject(at % PARTITIONS),
                    events_pb2.Event(message_id=str(at), name="x" * padding).SerializeToString(),
                )
                for at in range(first, min(number, first + 500))
            )
        )


async def read_all(reader: EventReader, number: int, *, at_most: int, after: int = 0) -> list[int]:
    """Reads until so many events have come; the sizes of the batches."""
    sizes: list[int] = []
    sequences: list[int] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(sequences) < number - after:
            batch = await reader.read(at_most)
            sizes.append(len(batch.events))
            sequences += [one.sequence for one in batch.events]
    assert sequences == list(range(after + 1, number + 1))
    return sizes


async def test_a_backlog_longer_than_what_is_asked_for_at_once_is_read_in_order(
    js: JetStreamContext, reader: EventReader
) -> None:
    await store(js, number=9_000)
    with capture_logs() as logs:
        sizes = await read_all(reader, 9_000, at_most=2_000)
    assert max(sizes) <= 2_000
    assert [one["event"] for one in logs] == ["event_reader_started"]  # nothing was read twice


async def test_large_events_come_a_few_at_a_time(js: JetStreamContext, nc: Client, reader: EventReader) -> None:
    # More than is asked for at once: 100 times 600 kB.
    await store(js, number=100, padding=LARGE_BYTES)
    with capture_logs() as logs:
        await read_all(reader, 1, at_most=1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while nc.stats["in_bytes"] < 20 * LARGE_BYTES:  # many wait here
                await asyncio.sleep(0.01)
        sizes = await read_all(reader, 100, at_most=2_000, after=1)
    assert max(sizes) == 7  # 4 MiB, and the event that goes beyond
    assert [one["event"] for one in logs] == ["event_reader_started"]


async def test_after_a_backlog_what_comes_singly_is_read_at_once(js: JetStreamContext, reader: EventReader) -> None:
    await store(js, number=5_000)
    await read_all(reader, 5_000, at_most=2_000)
    reading = asyncio.create_task(reader.read(2_000))
    await js.publish(event_subject(0), events_pb2.Event(message_id="one more").SerializeToString())
    async with asyncio.timeout(PATIENCE_SECONDS):
        batch = await reading
    assert [one.event.message_id for one in batch.events] == ["one more"]
