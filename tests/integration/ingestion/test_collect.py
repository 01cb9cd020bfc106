from __future__ import annotations

import grpc
import pytest
from nats.js import JetStreamContext
from tests.support.events import an_event

from wayline.identity import partition_of
from wayline.v1 import events_pb2
from wayline.v1.events_pb2 import Event
from wayline.v1.ingestion_pb2 import (
    EVENT_STATUS_ACCEPTED,
    EVENT_STATUS_DUPLICATE,
    EVENT_STATUS_REJECTED,
    CollectRequest,
    CollectResponse,
    CollectStreamRequest,
    ListRejectedRequest,
)
from wayline.v1.ingestion_pb2_grpc import IngestionServiceStub


async def stored_events(js: JetStreamContext) -> list[Event]:
    """All events of the stream, in its order."""
    info = await js.stream_info("EVENTS")
    messages = [await js.get_msg("EVENTS", sequence + 1) for sequence in range(info.state.messages)]
    return [Event.FromString(message.data or b"") for message in messages]


async def test_an_accepted_event_is_in_the_stream_where_its_token_says(
    ingestion: IngestionServiceStub, js: JetStreamContext
):
    event = an_event(user_id="customer-7")

    response = await ingestion.Collect(CollectRequest(events=[event]))

    (result,) = response.results
    assert (result.status, result.message_id) == (EVENT_STATUS_ACCEPTED, event.message_id)
    assert result.token.partition == partition_of("customer-7", 16)
    message = await js.get_msg("EVENTS", result.token.sequence)
    assert message.subject == f"events.{result.token.partition}"
    stored = Event.FromString(message.data or b"")
    assert stored.HasField("received_at")
    stored.ClearField("received_at")
    assert stored == event


async def test_what_a_client_says_about_the_time_of_receipt_is_replaced(
    ingestion: IngestionServiceStub, js: JetStreamContext
):
    event = an_event()
    event.received_at.FromSeconds(1)

    await ingestion.Collect(CollectRequest(events=[event]))

    (stored,) = await stored_events(js)
    assert stored.received_at.seconds > 1_700_000_000


async def test_a_batch_keeps_its_order(ingestion: IngestionServiceStub, js: JetStreamContext):
    events = [an_event(user_id=f"customer-{i % 7}", name=f"step {i}") for i in range(500)]

    response = await ingestion.Collect(CollectRequest(events=events))

    assert [result.message_id for result in response.results] == [event.message_id for event in events]
    assert [stored.name for stored in await stored_events(js)] == [event.name for event in events]


async def test_the_events_of_one_customer_share_a_partition_whatever_blanks_surround_the_id(
    ingestion: IngestionServiceStub,
):
    response = await ingestion.Collect(CollectRequest(events=[an_event(user_id=" c1 "), an_event(user_id="c1")]))

    assert len({result.token.partition for result in response.results}) == 1


async def test_the_same_message_id_counts_once_and_keeps_its_token(
    ingestion: IngestionServiceStub, js: JetStreamContext
):
    event = an_event()

    first = await ingestion.Collect(CollectRequest(events=[event]))
    again = await ingestion.Collect(CollectRequest(events=[event, an_event()]))

    assert [result.status for result in again.results] == [EVENT_STATUS_DUPLICATE, EVENT_STATUS_ACCEPTED]
    assert again.results[0].token == first.results[0].token
    assert len(await stored_events(js)) == 2


async def test_a_message_id_that_is_repeated_within_a_batch_counts_once(
    ingestion: IngestionServiceStub, js: JetStreamContext
):
    event, other = an_event(), an_event()

    response = await ingestion.Collect(CollectRequest(events=[event, other, event]))

    statuses = [result.status for result in response.results]
    assert statuses == [EVENT_STATUS_ACCEPTED, EVENT_STATUS_ACCEPTED, EVENT_STATUS_DUPLICATE]
    assert response.results[2].token == response.results[0].token
    assert len(await stored_events(js)) == 2


async def test_bad_events_harm_no_others(ingestion: IngestionServiceStub, js: JetStreamContext):
    good = [an_event(), an_event()]
    events = [an_event(name=""), good[0], an_event(anonymous_id=""), good[1], an_event(type=77)]

    response = await ingestion.Collect(CollectRequest(events=events))

    assert [result.status for result in response.results] == [
        EVENT_STATUS_REJECTED,
        EVENT_STATUS_ACCEPTED,
        EVENT_STATUS_REJECTED,
        EVENT_STATUS_ACCEPTED,
        EVENT_STATUS_REJECTED,
    ]
    assert [result.message_id for result in response.results] == [event.message_id for event in events]
    rejection = response.results[2].rejection
    assert (rejection.reason, rejection.field) == ("missing", "events[2].user_id")
    assert [stored.message_id for stored in await stored_events(js)] == [event.message_id for event in good]


async def test_an_unreadable_event_harms_no_others(channel: grpc.aio.Channel, ingestion: IngestionServiceStub):
    good = an_event().SerializeToString()
    no_utf_8 = b"\x0a\x02\xff\xfe"
    too_nested = an_event()
    deepest = too_nested.properties
    for _ in range(60):
        deepest = deepest.get_or_create_struct("a")
    nested = too_nested.SerializeToString()
    call = b"".join(
        b"\x0a" + bytes([len(piece) & 0x7F | 0x80, len(piece) >> 7]) + piece for piece in (no_utf_8, good, nested)
    )

    response = await send_bytes(channel, call)

    assert [result.status for result in response.results] == [
        EVENT_STATUS_REJECTED,
        EVENT_STATUS_ACCEPTED,
        EVENT_STATUS_REJECTED,
    ]
    assert {response.results[i].rejection.reason for i in (0, 2)} == {"unreadable"}
    assert (await ingestion.ListRejected(ListRejectedRequest())).total == 1  # of both nothing is left but the reason


async def test_a_stream_of_batches_is_answered_batch_by_batch(ingestion: IngestionServiceStub, js: JetStreamContext):
    batches = [[an_event(name=f"batch {i}"), an_event(name="") if i == 1 else an_event()] for i in range(4)]
    call = ingestion.CollectStream()
    accepted = 0
    for batch in batches:
        await call.write(CollectStreamRequest(events=batch))
        response = await call.read()
        assert [result.message_id for result in response.results] == [event.message_id for event in batch]
        accepted += sum(result.status == EVENT_STATUS_ACCEPTED for result in response.results)
    await call.done_writing()

    assert await call.read() is grpc.aio.EOF
    assert accepted == len(await stored_events(js)) == 7


async def test_all_six_calls_of_the_segment_spec_are_accepted(ingestion: IngestionServiceStub):
    events = [
        an_event(type=events_pb2.EVENT_TYPE_IDENTIFY, user_id="u", name=""),
        an_event(type=events_pb2.EVENT_TYPE_TRACK),
        an_event(type=events_pb2.EVENT_TYPE_PAGE, name=""),
        an_event(type=events_pb2.EVENT_TYPE_SCREEN, name="Home"),
        an_event(type=events_pb2.EVENT_TYPE_GROUP, group_id="family", name=""),
        an_event(type=events_pb2.EVENT_TYPE_ALIAS, user_id="u", previous_id="visitor-1", name=""),
    ]

    response = await ingestion.Collect(CollectRequest(events=events))

    assert {result.status for result in response.results} == {EVENT_STATUS_ACCEPTED}


@pytest.mark.parametrize("call", [b"", b"\x0a\x7fcut off", b"no protobuf at all"])
async def test_a_call_that_cannot_be_read_is_an_invalid_argument(channel: grpc.aio.Channel, call: bytes):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await send_bytes(channel, call)

    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "expected 1 to 1,000 events" in error.value.details() or "not a CollectRequest" in error.value.details()


async def send_bytes(channel: grpc.aio.Channel, call: bytes) -> CollectResponse:
    """`Collect` with bytes that no well-behaved client would send."""
    method = channel.unary_unary(
        "/wayline.v1.IngestionService/Collect", response_deserializer=CollectResponse.FromString
    )
    return await method(call)
