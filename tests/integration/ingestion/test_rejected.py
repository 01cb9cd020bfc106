from __future__ import annotations

import asyncio
import json
import math
import sys

import grpc
import pytest
from nats.js import JetStreamContext
from tests.support.events import an_event

from wayline.v1.events_pb2 import Event
from wayline.v1.ingestion_pb2 import CollectRequest, ListRejectedRequest, RedriveRejectedRequest
from wayline.v1.ingestion_pb2_grpc import IngestionServiceStub


def looked_at_for(seconds: float) -> Event:
    event = an_event()
    event.properties.update({"seconds": seconds})
    return event


async def test_refused_events_are_listed_oldest_first_with_their_reasons(ingestion: IngestionServiceStub):
    events = [an_event(name=""), looked_at_for(math.nan), an_event(source="s" * 65)]
    await ingestion.Collect(CollectRequest(events=events))

    response = await ingestion.ListRejected(ListRejectedRequest())

    assert response.total == 3
    assert [one.sequence for one in response.rejected] == [1, 2, 3]
    assert [one.rejection.reason for one in response.rejected] == ["missing", "not_finite", "too_long"]
    assert [one.rejection.field for one in response.rejected] == [
        "events[0].name",
        "events[1].properties.seconds",
        "events[2].source",
    ]
    assert [one.event.message_id for one in response.rejected] == [event.message_id for event in events]
    assert response.rejected[0].rejected_at.seconds > 1_700_000_000


async def test_a_list_goes_on_where_the_last_one_ended(ingestion: IngestionServiceStub):
    await ingestion.Collect(CollectRequest(events=[an_event(name="") for _ in range(250)]))

    seen: list[int] = []
    while page := (await ingestion.ListRejected(ListRejectedRequest(after_sequence=max(seen, default=0)))).rejected:
        assert len(page) <= 100
        seen += [one.sequence for one in page]

    assert seen == list(range(1, 251))


async def test_a_list_can_be_of_one_reason(ingestion: IngestionServiceStub):
    await ingestion.Collect(CollectRequest(events=[an_event(name=""), an_event(source="s" * 65), an_event(name="")]))

    response = await ingestion.ListRejected(ListRejectedRequest(reason="missing", limit=1_000))

    assert [one.sequence for one in response.rejected] == [1, 3]
    assert response.total == 3


async def test_a_list_of_large_events_fits_into_what_clients_take(ingestion: IngestionServiceStub):
    def refused() -> Event:
        event = an_event(name="")
        event.properties.update({f"k{i}": "x" * 8_000 for i in range(8)})
        return event

    await ingestion.Collect(CollectRequest(events=[refused() for _ in range(100)]))

    response = await ingestion.ListRejected(ListRejectedRequest())

    assert 0 < len(response.rejected) < 100
    assert response.ByteSize() < 4 << 20


async def test_there_may_be_nothing_to_list_or_to_redrive(ingestion: IngestionServiceStub):
    listed = await ingestion.ListRejected(ListRejectedRequest())
    redriven = await ingestion.RedriveRejected(RedriveRejectedRequest())

    assert (listed.total, len(listed.rejected)) == (0, 0)
    assert (redriven.accepted, redriven.rejected) == (0, 0)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ListRejectedRequest(limit=1_001), "limit"),
        (ListRejectedRequest(limit=-1), "limit"),
        (ListRejectedRequest(after_sequence=-1), "after_sequence"),
        (ListRejectedRequest(reason="*.>"), "reason"),
    ],
)
async def test_an_argument_out_of_range_is_named(
    ingestion: IngestionServiceStub, request_: ListRejectedRequest, field: str
):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ingestion.ListRejected(request_)

    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.value.details().startswith(f"{field}: expected")


async def test_what_passes_now_leaves_the_dead_letters_and_the_rest_stays(
    ingestion: IngestionServiceStub, js: JetStreamContext
):
    ahead = an_event(name="from a fast clock")
    ahead.timestamp.GetCurrentTime()
    ahead.timestamp.seconds += 86_402  # two seconds too far ahead
    await ingestion.Collect(CollectRequest(events=[an_event(name=""), ahead, an_event(name="")]))

    async def redriven() -> tuple[int, int]:
        answer = await ingestion.RedriveRejected(RedriveRejectedRequest())
        return answer.accepted, answer.rejected

    answer = (0, 3)
    async with asyncio.timeout(20):
        while answer == (0, 3):
            await asyncio.sleep(0.1)
            answer = await redriven()

    left = await ingestion.ListRejected(ListRejectedRequest())
    assert answer == (1, 2)
    assert [one.rejection.reason for one in left.rejected] == ["missing", "missing"]
    stored = await js.get_last_msg("EVENTS", "events.*")
    assert Event.FromString(stored.data or b"").name == "from a fast clock"


async def test_named_dead_letters_are_redriven_and_no_others(ingestion: IngestionServiceStub):
    await ingestion.Collect(CollectRequest(events=[an_event(name=""), an_event(source="s" * 65), an_event(name="")]))

    both = await ingestion.RedriveRejected(RedriveRejectedRequest(sequences=[1, 2, 1]))
    one = await ingestion.RedriveRejected(RedriveRejectedRequest(sequences=[1, 2], reason="too_long"))

    assert (both.accepted, both.rejected) == (0, 2)
    assert (one.accepted, one.rejected) == (0, 1)


async def test_a_dead_letter_that_is_not_held_is_not_found(ingestion: IngestionServiceStub):
    await ingestion.Collect(CollectRequest(events=[an_event(name="")]))

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ingestion.RedriveRejected(RedriveRejectedRequest(sequences=[1, 17]))

    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert error.value.details() == "sequences[1]: no dead letter 17 is held"


async def test_an_event_that_lost_its_body_is_never_redriven(ingestion: IngestionServiceStub, js: JetStreamContext):
    large = an_event()
    large.properties.update({f"k{i}": "x" * 8_000 for i in range(10)})
    await ingestion.Collect(CollectRequest(events=[large]))

    response = await ingestion.RedriveRejected(RedriveRejectedRequest())

    assert (response.accepted, response.rejected) == (0, 1)
    assert (await js.stream_info("EVENTS")).state.messages == 0


async def test_the_same_refused_event_is_kept_once_when_a_client_sends_it_again(ingestion: IngestionServiceStub):
    call = CollectRequest(events=[an_event(name="")])

    for _ in range(3):
        await ingestion.Collect(call)

    assert (await ingestion.ListRejected(ListRejectedRequest())).total == 1


async def wayline(address: str, *arguments: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-c", "from wayline.cli import main; main()", "rejected", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, "--ingestion", address, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_the_command_lists_and_redrives(channel: grpc.aio.Channel, ingestion: IngestionServiceStub, address: str):
    hostile = an_event(name="", message_id="[red]esc\x1b[2J")
    await ingestion.Collect(CollectRequest(events=[hostile, looked_at_for(math.inf)]))

    table = await wayline(address, "list")
    listed = json.loads(await wayline(address, "list", "--json"))
    redriven = json.loads(await wayline(address, "redrive", "1", "2", "--json"))

    assert "2 shown of 2 held" in table
    assert "\x1b[2J" not in table
    assert listed["total"] == 2
    assert [one["sequence"] for one in listed["rejected"]] == [1, 2]
    assert listed["rejected"][1]["rejection"]["reason"] == "not_finite"
    assert redriven == {"accepted": 0, "rejected": 2}


async def test_a_reason_that_no_event_was_refused_for_is_answered_with_those_that_there_are(
    ingestion: IngestionServiceStub, address: str
) -> None:
    await ingestion.Collect(CollectRequest(events=[an_event(name=""), an_event(source="s" * 65), an_event(name="")]))

    said = " ".join((await wayline(address, "list", "--reason", "mising")).split())

    assert said == "None of the 3 held was refused for 'mising'; there are: missing (2), too_long (1)"
