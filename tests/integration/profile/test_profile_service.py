"""The profile service on a real event stream."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import nats.errors
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError
from tests.support.events import NOON_MS, identify, track
from tests.support.nats import NatsServer
from tests.support.profile import make_event_stream, publish, read_up_to, running_profile

from wayline import bus
from wayline.bus import EVENTS, VIEW_SUBJECT
from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.identity import identity_key
from wayline.v1 import events_pb2, profile_pb2

CATALOG = Catalog.model_validate(
    {"traits": {"views": {"kind": "count", "event": "Viewed"}, "city": {"kind": "attribute", "default": "unknown"}}}
)


async def reachable(client: Client) -> None:
    """Until JetStream answers again. A request on a connection that is about to break is never answered."""
    async with asyncio.timeout(20):
        while True:
            try:
                await client.jetstream(timeout=0.5).stream_info(EVENTS)
            except (nats.errors.Error, APIError):
                await asyncio.sleep(0.01)
            else:
                return


def user(name: str) -> events_pb2.Identifier:
    return events_pb2.Identifier(kind="user_id", value=name)


@pytest.fixture
async def stream(js: JetStreamContext) -> JetStreamContext:
    """An event stream and a catalogue."""
    await make_event_stream(js)
    await (await open_store(js)).apply(CATALOG)
    return js


async def test_events_become_a_profile_with_values_and_a_timeline(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    async with running_profile(nats_url, tmp_path) as stub:
        events = [track("Viewed", browser="b", at_ms=NOON_MS), identify({"city": "Rome"}, user="ada", browser="b")]
        await read_up_to(stub, await publish(stream, events))
        found = await stub.GetProfile(profile_pb2.GetProfileRequest(customer=user("ada")))
        assert dict(found.values) == {"views": 1, "city": "Rome"}
        timeline = await stub.GetTimeline(profile_pb2.GetTimelineRequest(customer=user("ada")))
        assert {one.event.message_id for one in timeline.entries} == {one.message_id for one in events}


async def test_a_duplicate_in_the_stream_counts_once(stream: JetStreamContext, nats_url: str, tmp_path: Path) -> None:
    async with running_profile(nats_url, tmp_path) as stub:
        event = track("Viewed", user="ada")
        statistics = await read_up_to(stub, await publish(stream, [event, event, event]))
        assert (statistics.events_folded, statistics.duplicates, statistics.profiles) == (1, 2, 1)


async def test_a_second_start_goes_on_where_the_first_stopped(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    async with running_profile(nats_url, tmp_path) as stub:
        await read_up_to(stub, await publish(stream, [track("Viewed", user="ada")]))
    last = await publish(stream, [track("Viewed", user="ada")])
    async with running_profile(nats_url, tmp_path) as stub:
        statistics = await read_up_to(stub, last)
        assert (statistics.events_folded, statistics.lag) == (2, 0)


async def test_events_wait_for_the_first_catalogue(js: JetStreamContext, nats_url: str, tmp_path: Path) -> None:
    await make_event_stream(js)
    async with running_profile(nats_url, tmp_path) as stub:
        last = await publish(js, [track("Viewed", user="ada")])
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetProfile(profile_pb2.GetProfileRequest(customer=user("ada")))
        assert refused.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND)
        await (await open_store(js)).apply(CATALOG)
        await read_up_to(stub, last)
        found = await stub.GetProfile(profile_pb2.GetProfileRequest(customer=user("ada")))
        assert found.values["views"] == 1


async def test_what_is_no_event_is_left_out_and_counted(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    async with running_profile(nats_url, tmp_path) as stub:
        await stream.publish("events.0", b"\xff\xff\xff")
        statistics = await read_up_to(stub, await publish(stream, [track("Viewed", user="ada")]))
        assert (statistics.poison, statistics.events_folded) == (1, 1)


async def test_the_feed_brings_views_and_then_the_watermark(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    async with bus.connect(nats_url, "follower") as client:
        feed = await client.subscribe(VIEW_SUBJECT)
        await client.flush()
        async with running_profile(nats_url, tmp_path) as stub:
            await read_up_to(stub, await publish(stream, [track("Viewed", user="ada")]))
            last = await publish(stream, [track("Viewed", user="ada")])
            await read_up_to(stub, last)
            updates: list[profile_pb2.ViewUpdate] = []
            while not updates or not any(one.sequence >= last for one in updates[-1].watermarks):
                updates.append(profile_pb2.ViewUpdate.FromString((await feed.next_msg(5)).data))
    views = [view for update in updates for view in update.views]
    assert [list(view.identity_keys) for view in views] == [[identity_key("user_id", "ada")]] * 2
    assert 0 < views[0].version < views[1].version
    numbers = [update.number for update in updates if update.feed_id == updates[-1].feed_id]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_views_are_asked_for_by_identity_key_and_unknown_ones_left_out(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    async with running_profile(nats_url, tmp_path) as stub:
        last = await publish(stream, [track("Viewed", user="ada", consent={"personalisation": True})])
        await read_up_to(stub, last)
        keys = [identity_key("user_id", name) for name in ("ada", "nobody")]
        response = await stub.BatchGetViews(profile_pb2.BatchGetViewsRequest(identity_keys=keys))
        assert [view.consents for view in response.views] == [{"personalisation": True}]
        assert {one.sequence for one in response.watermarks} == {last}


async def test_an_outcome_is_in_the_profile_and_in_the_view_with_the_customers_time_zone(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    first = track("Viewed", browser="b", at_ms=NOON_MS)
    first.context.timezone = "Europe/Paris"
    clicked = track("Click", {"action": "shoes", "channel": "web", "decision_id": "d1"}, user="ada", at_ms=NOON_MS + 1)
    async with running_profile(nats_url, tmp_path) as stub:
        signed_in = identify(user="ada", browser="b", at_ms=NOON_MS + 2)
        await read_up_to(stub, await publish(stream, [first, clicked, signed_in]))
        profile = (await stub.GetProfile(profile_pb2.GetProfileRequest(customer=user("ada")))).profile
        keys = [identity_key("user_id", "ada")]
        (view,) = (await stub.BatchGetViews(profile_pb2.BatchGetViewsRequest(identity_keys=keys))).views
    assert [one.message_id for one in profile.contacts] == [clicked.message_id]
    assert [(one.outcome, one.action, one.channel, one.decision_id) for one in view.contacts] == [
        ("click", "shoes", "web", "d1")
    ]
    assert (view.timezone, view.lot) == ("Europe/Paris", identity_key("anonymous_id", "b"))


async def test_reading_goes_on_when_nats_was_killed_and_came_back(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats") as server:
        async with bus.connect(server.url, "test") as client:
            js = client.jetstream()
            await make_event_stream(js)
            await (await open_store(js)).apply(CATALOG)
            async with running_profile(server.url, tmp_path / "profile") as stub:
                await read_up_to(stub, await publish(js, [track("Viewed", user="ada") for _ in range(50)]))
                server.kill()
                server.start()
                await reachable(client)
                statistics = await read_up_to(stub, await publish(js, [track("Viewed", user="ada") for _ in range(50)]))
                assert (statistics.events_folded, statistics.duplicates) == (100, 0)


@pytest.mark.parametrize(
    ("method", "request_", "code", "words"),
    [
        ("GetProfile", profile_pb2.GetProfileRequest(), "INVALID_ARGUMENT", "customer: an identifier"),
        (
            "GetProfile",
            profile_pb2.GetProfileRequest(customer=events_pb2.Identifier(kind="name", value="x")),
            "INVALID_ARGUMENT",
            "customer.kind: expected one of",
        ),
        ("GetProfile", profile_pb2.GetProfileRequest(customer=user("nobody")), "NOT_FOUND", "no profile"),
        (
            "GetTimeline",
            profile_pb2.GetTimelineRequest(customer=user("x"), limit=5_000),
            "INVALID_ARGUMENT",
            "limit: expected 0 to 1000",
        ),
        (
            "BatchGetViews",
            profile_pb2.BatchGetViewsRequest(identity_keys=[b"short"]),
            "INVALID_ARGUMENT",
            "identity_keys: expected 16 bytes",
        ),
        (
            "BatchGetViews",
            profile_pb2.BatchGetViewsRequest(identity_keys=[bytes(16)] * 2_001),
            "RESOURCE_EXHAUSTED",
            "identity_keys: at most 2000",
        ),
    ],
)
async def test_bad_questions_name_the_field_and_what_was_expected(
    stream: JetStreamContext, nats_url: str, tmp_path: Path, method: str, request_: object, code: str, words: str
) -> None:
    async with running_profile(nats_url, tmp_path) as stub:
        await read_up_to(stub, await publish(stream, [track("Viewed", user="ada")]))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(stub, method)(request_)
    assert refused.value.code().name == code
    assert words in (refused.value.details() or "")
