from __future__ import annotations

import asyncio

import grpc
import pytest
from nats.js import JetStreamContext
from tests.support.events import an_event
from tests.support.ingestion import running_ingestion

from wayline.v1.events_pb2 import Event
from wayline.v1.ingestion_pb2 import (
    EVENT_STATUS_ACCEPTED,
    EVENT_STATUS_REJECTED,
    CollectRequest,
    CollectStreamRequest,
    ListRejectedRequest,
)
from wayline.v1.ingestion_pb2_grpc import IngestionServiceStub


def large(properties_bytes: int) -> Event:
    event = an_event()
    event.properties.update({f"k{i}": "x" * 8_000 for i in range(properties_bytes // 8_000)})
    return event


async def messages(js: JetStreamContext, stream: str = "EVENTS") -> int:
    return (await js.stream_info(stream)).state.messages


async def test_an_event_of_10_mib_is_refused_and_kept_without_its_body(
    ingestion: IngestionServiceStub, js: JetStreamContext
):
    huge = large(10 << 20)

    response = await ingestion.Collect(CollectRequest(events=[an_event(), huge, an_event()]))

    statuses = [result.status for result in response.results]
    assert statuses == [EVENT_STATUS_ACCEPTED, EVENT_STATUS_REJECTED, EVENT_STATUS_ACCEPTED]
    rejection = response.results[1].rejection
    assert (rejection.reason, rejection.field) == ("too_large", "events[1]")
    assert "65536 bytes" in rejection.expected
    (kept,) = (await ingestion.ListRejected(ListRejectedRequest())).rejected
    assert kept.event.message_id == huge.message_id
    assert not kept.event.HasField("properties")
    assert await messages(js) == 2


async def test_an_event_of_10_mib_that_is_all_message_id_gets_a_small_answer(ingestion: IngestionServiceStub):
    response = await ingestion.Collect(CollectRequest(events=[an_event(message_id="m" * (10 << 20))]))

    assert response.results[0].rejection.reason == "too_large"
    assert response.ByteSize() < 1_000


async def test_a_call_of_more_than_1000_events_is_refused_whole(ingestion: IngestionServiceStub, js: JetStreamContext):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ingestion.Collect(CollectRequest(events=[an_event() for _ in range(1_001)]))

    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "at most 1,000 in one call" in error.value.details()
    assert await messages(js) == 0


@pytest.mark.parametrize("blanks", [0, 200])
async def test_a_call_of_100000_events_is_refused_whole(
    ingestion: IngestionServiceStub, js: JetStreamContext, blanks: int
):
    """Small ones are counted; with more bytes than a call may have, gRPC refuses it before that."""
    request = CollectRequest(events=[an_event(name="n" + " " * blanks)] * 100_000)

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ingestion.Collect(request)

    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ("at most 1,000 in one call" if blanks == 0 else "larger than max") in error.value.details()
    assert await messages(js) == 0
    assert (await ingestion.Collect(CollectRequest(events=[an_event()]))).results[0].status == EVENT_STATUS_ACCEPTED


async def test_a_full_batch_of_the_largest_events_that_fit_into_a_call_is_accepted(
    ingestion: IngestionServiceStub, js: JetStreamContext
):
    response = await ingestion.Collect(CollectRequest(events=[large(64_000) for _ in range(250)]))

    assert {result.status for result in response.results} == {EVENT_STATUS_ACCEPTED}
    assert await messages(js) == 250


async def test_a_batch_over_the_limit_ends_its_stream_and_keeps_what_came_before(
    ingestion: IngestionServiceStub, js: JetStreamContext
):
    call = ingestion.CollectStream()
    await call.write(CollectStreamRequest(events=[an_event()]))
    await call.read()
    await call.write(CollectStreamRequest(events=[an_event()] * 1_001))

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call.read()

    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await messages(js) == 1


async def test_a_full_stream_forgets_nothing_and_names_the_setting(nats_url: str, js: JetStreamContext):
    async with running_ingestion(nats_url, events_max_bytes=1 << 20) as channel:
        ingestion = IngestionServiceStub(channel)
        accepted = 0

        async def fill() -> None:
            nonlocal accepted
            while True:
                response = await ingestion.Collect(CollectRequest(events=[large(16_000)]))
                accepted += response.results[0].status == EVENT_STATUS_ACCEPTED

        with pytest.raises(grpc.aio.AioRpcError) as error:
            await fill()

        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "WAYLINE_EVENTS_MAX_BYTES" in error.value.details()
        assert await messages(js) == accepted > 50


async def test_a_call_beyond_the_bytes_in_work_is_refused_and_succeeds_later(nats_url: str, js: JetStreamContext):
    async with running_ingestion(nats_url, max_in_flight_bytes=1 << 20) as channel:
        ingestion = IngestionServiceStub(channel)
        calls = [CollectRequest(events=[large(60_000) for _ in range(12)]) for _ in range(20)]

        answers = await asyncio.gather(*(ingestion.Collect(call) for call in calls), return_exceptions=True)

        refused = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
        assert 0 < len(refused) < len(calls)
        assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert "WAYLINE_MAX_IN_FLIGHT_BYTES" in refused[0].details()
        assert await messages(js) == 12 * (len(calls) - len(refused))
        for call in calls:
            await ingestion.Collect(call)
        assert await messages(js) == 12 * len(calls)


async def test_settings_decide_how_many_events_a_call_may_hold(nats_url: str, js: JetStreamContext):
    async with running_ingestion(nats_url, max_events=2, max_event_bytes=2_048) as channel:
        ingestion = IngestionServiceStub(channel)

        response = await ingestion.Collect(CollectRequest(events=[an_event(), large(8_000)]))
        with pytest.raises(grpc.aio.AioRpcError, match="at most 2 in one call"):
            await ingestion.Collect(CollectRequest(events=[an_event(), an_event(), an_event()]))

    assert response.results[1].rejection.expected.startswith("expected at most 2048 bytes")
