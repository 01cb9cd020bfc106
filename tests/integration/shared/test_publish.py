from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from wayline.bus import StreamSpec, ensure_stream
from wayline.errors import Retryable
from wayline.publish import Ack, AckedPublisher, Message, StreamFull

NOTES = StreamSpec(name="NOTES", subject="notes.*", max_bytes=1 << 20, max_age_seconds=3_600, discard_new=True)


@pytest.fixture
async def client(nats_url: str, js: JetStreamContext) -> AsyncIterator[Client]:
    client = await nats.connect(nats_url)
    await ensure_stream(js, NOTES, 1)
    yield client
    await client.close()


@pytest.fixture
async def publisher(client: Client) -> AckedPublisher:
    publisher = AckedPublisher(timeout_seconds=5)
    await publisher.attach(client)
    return publisher


def notes(number: int, start: int = 0, payload: bytes = b"note") -> list[Message]:
    return [Message("notes.a", payload, f"note-{start + i}") for i in range(number)]


async def test_each_message_gets_its_own_acknowledgement_in_order(publisher: AckedPublisher):
    assert await publisher.publish(notes(300)) == [Ack(sequence, False) for sequence in range(1, 301)]


async def test_a_known_message_is_acknowledged_as_a_duplicate_where_it_stands(publisher: AckedPublisher):
    await publisher.publish(notes(3))

    assert await publisher.publish(notes(3, start=1)) == [Ack(2, True), Ack(3, True), Ack(4, False)]


async def test_nothing_to_publish_is_nothing_to_wait_for(publisher: AckedPublisher):
    assert await publisher.publish([]) == []


async def test_publishers_at_the_same_time_get_their_own_acknowledgements(
    publisher: AckedPublisher, js: JetStreamContext
):
    batches = [[Message("notes.a", f"{i}".encode(), f"{batch}-{i}") for i in range(20)] for batch in range(10)]

    acks = await asyncio.gather(*(publisher.publish(batch) for batch in batches))

    for batch, batch_acks in zip(batches, acks, strict=True):
        for message, ack in zip(batch, batch_acks, strict=True):
            assert (await js.get_msg("NOTES", ack.sequence)).data == message.payload


async def test_more_than_one_chunk_keeps_its_order(publisher: AckedPublisher, js: JetStreamContext):
    await js.update_stream(name="NOTES", subjects=["notes.*"], max_bytes=16 << 20)

    acks = await publisher.publish(notes(30, payload=bytes(100_000)))

    assert [ack.sequence for ack in acks] == list(range(1, 31))


async def test_a_full_stream_is_told_from_one_that_is_away(publisher: AckedPublisher):
    with pytest.raises(StreamFull, match="maximum bytes exceeded"):
        await publisher.publish(notes(20, payload=bytes(100_000)))


async def test_a_subject_without_a_stream_is_told_at_once(publisher: AckedPublisher):
    with pytest.raises(Retryable, match="no stream listens"):
        await publisher.publish([Message("elsewhere", b"", "1")])


async def test_a_publisher_that_is_not_attached_says_so():
    with pytest.raises(Retryable, match="cannot be reached"):
        await AckedPublisher(timeout_seconds=5).publish(notes(1))


async def test_what_is_in_flight_is_given_up_when_the_connection_breaks(publisher: AckedPublisher):
    publishing = asyncio.ensure_future(publisher.publish(notes(1)))
    await asyncio.sleep(0)  # it has sent, and waits

    await publisher.disconnected()

    with pytest.raises(Retryable, match="broke before JetStream acknowledged"):
        await publishing
