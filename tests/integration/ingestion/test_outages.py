"""NATS goes away and comes back: nothing accepted is lost, and a call that is sent again counts once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import nats
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.events import an_event
from tests.support.ingestion import running_ingestion
from tests.support.nats import NatsServer

from wayline.v1.events_pb2 import Event
from wayline.v1.ingestion_pb2 import (
    EVENT_STATUS_ACCEPTED,
    EVENT_STATUS_DUPLICATE,
    EVENT_STATUS_REJECTED,
    CollectRequest,
    CollectResponse,
    ListRejectedRequest,
)
from wayline.v1.ingestion_pb2_grpc import IngestionServiceStub
from wayline_ingestion.handlers import SERVICE

PATIENCE_SECONDS = 30


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def channel(server: NatsServer) -> AsyncIterator[grpc.aio.Channel]:
    async with running_ingestion(server.url, publish_timeout_seconds=1.0) as channel:
        yield channel


@pytest.fixture
def ingestion(channel: grpc.aio.Channel) -> IngestionServiceStub:
    return IngestionServiceStub(channel)


async def until_taken(ingestion: IngestionServiceStub, request: CollectRequest) -> CollectResponse:
    """What a client does: send the same call again for as long as the service is unavailable."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await ingestion.Collect(request)
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
            await asyncio.sleep(0.05)


async def names_in_stream(server: NatsServer) -> list[str]:
    client = await nats.connect(server.url)
    js = client.jetstream()
    held = (await js.stream_info("EVENTS")).state.messages
    stored = [Event.FromString((await js.get_msg("EVENTS", place + 1)).data or b"") for place in range(held)]
    await client.close()
    return [event.name for event in stored]


async def test_while_nats_is_away_a_call_is_unavailable_and_says_that_it_may_be_sent_again(
    server: NatsServer, ingestion: IngestionServiceStub
):
    server.kill()

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ingestion.Collect(CollectRequest(events=[an_event()]))

    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "safe to send the same events again" in error.value.details()


async def test_when_nats_is_killed_and_comes_back_the_events_stand_once_and_in_order(
    server: NatsServer, ingestion: IngestionServiceStub
):
    batches = [
        CollectRequest(events=[an_event(user_id="c", name=f"{batch}-{step}") for step in range(200)])
        for batch in range(30)
    ]

    async def crash() -> None:
        for _ in range(2):
            await asyncio.sleep(0.05)
            server.kill()
            await asyncio.to_thread(server.start)

    crashes = asyncio.create_task(crash())
    responses = [await until_taken(ingestion, batch) for batch in batches]
    while not crashes.done():  # the crashes come in the middle, however fast the machine is
        extra = CollectRequest(events=[an_event(user_id="c", name=f"{len(batches)}-{step}") for step in range(200)])
        batches.append(extra)
        responses.append(await until_taken(ingestion, extra))
    await crashes

    statuses = {result.status for response in responses for result in response.results}
    assert statuses <= {EVENT_STATUS_ACCEPTED, EVENT_STATUS_DUPLICATE}
    assert await names_in_stream(server) == [event.name for batch in batches for event in batch.events]


async def test_when_nats_hangs_the_call_ends_in_time_and_counts_once_when_sent_again(
    server: NatsServer, ingestion: IngestionServiceStub
):
    request = CollectRequest(events=[an_event(name="a"), an_event(name="b")])
    server.pause()

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ingestion.Collect(request)
    server.resume()
    response = await until_taken(ingestion, request)

    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "did not acknowledge within 1 s" in error.value.details()
    assert {result.status for result in response.results} == {EVENT_STATUS_DUPLICATE}
    assert await names_in_stream(server) == ["a", "b"]


async def test_a_refused_event_is_answered_only_when_it_is_kept(server: NatsServer, ingestion: IngestionServiceStub):
    request = CollectRequest(events=[an_event(name="")])
    server.kill()

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ingestion.Collect(request)
    await asyncio.to_thread(server.start)
    response = await until_taken(ingestion, request)

    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert response.results[0].status == EVENT_STATUS_REJECTED
    assert (await ingestion.ListRejected(ListRejectedRequest())).total == 1


async def test_dead_letters_that_cannot_be_reached_are_unavailable(server: NatsServer, ingestion: IngestionServiceStub):
    server.kill()

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ingestion.ListRejected(ListRejectedRequest())

    assert error.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_probes_see_whether_nats_is_there(server: NatsServer, channel: grpc.aio.Channel):
    health = health_pb2_grpc.HealthStub(channel)

    async def until(expected: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for answer in health.Watch(health_pb2.HealthCheckRequest(service=SERVICE)):
                if answer.status == expected:
                    return

    await until(health_pb2.HealthCheckResponse.SERVING)
    server.kill()
    await until(health_pb2.HealthCheckResponse.NOT_SERVING)
    await asyncio.to_thread(server.start)
    await until(health_pb2.HealthCheckResponse.SERVING)


async def test_a_second_start_keeps_the_partitions_and_takes_the_new_limits(server: NatsServer):
    async with running_ingestion(server.url, partitions=4):
        pass
    async with running_ingestion(server.url, partitions=9, events_max_bytes=32 << 20) as channel:
        response = await IngestionServiceStub(channel).Collect(
            CollectRequest(events=[an_event(user_id=f"c{i}") for i in range(100)])
        )

    assert {result.token.partition for result in response.results} == {0, 1, 2, 3}
    client = await nats.connect(server.url)
    assert (await client.jetstream().stream_info("EVENTS")).config.max_bytes == 32 << 20
    await client.close()


async def test_streams_that_do_not_fit_on_the_disk_end_the_start_with_the_settings_to_change(server: NatsServer):
    with pytest.raises(SystemExit, match="WAYLINE_EVENTS_MAX_BYTES=1125899906842624"):
        async with running_ingestion(server.url, events_max_bytes=1 << 50):
            pass
