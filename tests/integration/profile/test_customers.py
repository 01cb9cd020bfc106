"""Merges on a real event stream: shown, taken back, and let happen again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from nats.js import JetStreamContext
from tests.support.events import NOON_MS, alias, identify, track
from tests.support.ports import free_port
from tests.support.profile import make_event_stream, publish, read_up_to
from typer.testing import CliRunner

from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.cli import app
from wayline.v1 import customers_pb2, customers_pb2_grpc, events_pb2, profile_pb2, profile_pb2_grpc
from wayline_profile.app import build
from wayline_profile.settings import ProfileSettings

CATALOG = Catalog.model_validate(
    {
        "traits": {"views": {"kind": "count", "event": "Viewed"}},
        "identifiers": {
            "anonymous_id": {"owners": 2},
            "email": {"blocked": "till@shop.example"},
            "loyalty_card": {"from": ["traits.card", "properties.card"]},
            "room": {"from": "properties.room"},
        },
    }
)
ADA = events_pb2.Identifier(kind="user_id", value="ada")
TABLET = events_pb2.Identifier(kind="anonymous_id", value="tablet")
JOINED, SHARED, APART = (
    customers_pb2.MERGE_STATUS_JOINED, customers_pb2.MERGE_STATUS_SHARED, customers_pb2.MERGE_STATUS_APART
)  # fmt: skip


class Service:
    """The profile service, and its clients."""

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self.address = address
        self.profiles = profile_pb2_grpc.ProfileServiceStub(channel)
        self.customers = customers_pb2_grpc.CustomerServiceStub(channel)

    async def views(self, kind: str, value: str) -> float:
        request = profile_pb2.GetProfileRequest(customer=events_pb2.Identifier(kind=kind, value=value))
        return float((await self.profiles.GetProfile(request)).values["views"])

    async def statuses(self, customer: events_pb2.Identifier) -> dict[tuple[str, str], customers_pb2.MergeStatus]:
        found = await self.customers.ListMerges(customers_pb2.ListMergesRequest(customer=customer))
        return {(one.one.value, one.other.value): one.status for one in found.merges}


@pytest.fixture
async def stream(js: JetStreamContext) -> JetStreamContext:
    """An event stream and a catalogue."""
    await make_event_stream(js)
    await (await open_store(js)).apply(CATALOG)
    return js


@asynccontextmanager
async def running(nats_url: str, data: Path) -> AsyncIterator[Service]:
    port = free_port()
    configured = ProfileSettings(nats_url=nats_url, profile_port=port, profile_data=data, shutdown_grace_seconds=0.5)
    async with build(configured), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Service(channel, f"127.0.0.1:{port}")


async def test_a_merge_is_shown_taken_back_and_let_happen_again(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    async with running(nats_url, tmp_path) as service:
        events = [
            track("Viewed", user="ada"),
            track("Viewed", browser="tablet"),
            track("Viewed", browser="phone"),
            identify(user="ada", browser="tablet", message_id="m-tablet"),
            identify(user="ada", browser="phone"),
        ]
        await read_up_to(service.profiles, await publish(stream, events))
        assert await service.views("anonymous_id", "tablet") == 3
        shown = await service.customers.ListMerges(customers_pb2.ListMergesRequest(customer=TABLET))
        tablet = next(one for one in shown.merges if one.other == TABLET)
        assert (tablet.one, tablet.message_id, tablet.status) == (ADA, "m-tablet", JOINED)
        assert tablet.time.ToMilliseconds() == NOON_MS

        done = await service.customers.Unmerge(customers_pb2.UnmergeRequest(customer=ADA, identifier=TABLET))
        assert (done.rulings, len(done.profiles)) == (1, 2)
        assert [await service.views("user_id", "ada"), await service.views("anonymous_id", "tablet")] == [2, 1]
        assert await service.statuses(ADA) == {("ada", "tablet"): APART, ("ada", "phone"): JOINED}
        # Another sign-in on the tablet changes nothing: staff have said so.
        again = identify(user="ada", browser="tablet")
        await read_up_to(service.profiles, await publish(stream, [again]))
        assert await service.views("anonymous_id", "tablet") == 1

        lifted = await service.customers.Join(customers_pb2.JoinRequest(customer=ADA, identifier=TABLET))
        assert (lifted.rulings, len(lifted.profiles)) == (1, 1)
        assert await service.views("anonymous_id", "tablet") == 3
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await service.customers.Join(customers_pb2.JoinRequest(customer=ADA, identifier=TABLET))
        assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_an_identifier_that_is_cut_from_all_it_was_linked_with_is_alone(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    async with running(nats_url, tmp_path) as service:
        events = [track("Viewed", browser="tablet"), identify({"email": "a@b.eu"}, user="ada", browser="tablet")]
        await read_up_to(service.profiles, await publish(stream, events))
        await service.customers.Unmerge(customers_pb2.UnmergeRequest(customer=TABLET, identifier=TABLET))
        assert await service.views("anonymous_id", "tablet") == 1
        assert await service.views("email", "a@b.eu") == 0


async def test_an_alias_that_was_taken_back_leaves_each_user_what_is_hers(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    new, old = (events_pb2.Identifier(kind="user_id", value=name) for name in ("new", "old"))
    async with running(nats_url, tmp_path) as service:
        events = [
            identify({"email": "old@b.eu"}, user="old", browser="b1"),
            track("Viewed", browser="b1"),
            track("Viewed", user="new"),
            alias("new", "old"),
        ]
        await read_up_to(service.profiles, await publish(stream, events))
        assert await service.views("email", "old@b.eu") == 2
        await service.customers.Unmerge(customers_pb2.UnmergeRequest(customer=new, identifier=old))
        assert await service.views("email", "old@b.eu") == await service.views("anonymous_id", "b1") == 1
        assert await service.views("user_id", "new") == 1


async def test_a_till_that_everybody_uses_joins_nobody(stream: JetStreamContext, nats_url: str, tmp_path: Path) -> None:
    async with running(nats_url, tmp_path) as service:
        events = [
            identify({"email": "till@shop.example"}, user=name, browser="till") for name in ("ada", "bob", "cleo")
        ]
        await read_up_to(service.profiles, await publish(stream, [*events, track("Viewed", browser="till")]))
        assert await service.statuses(ADA) == {("ada", "till"): SHARED}
        assert await service.views("anonymous_id", "till") == 1
        assert await service.views("user_id", "ada") == 0


async def test_a_customer_is_found_by_the_kinds_that_the_catalogue_declares(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    async with running(nats_url, tmp_path) as service:
        events = [
            identify({"card": 4711, "phone": "0049 (30) 12-34"}, user="ada"),
            track("Viewed", {"card": "4711"}, browser="till"),
            track("Viewed", {"room": "12"}, browser="till"),
        ]
        await read_up_to(service.profiles, await publish(stream, events))
        assert await service.views("loyalty_card", "4711") == await service.views("phone", "+49 30 1234") == 1
        assert await service.views("room", "12") == 1
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await service.views("rooms", "12")
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "room" in (refused.value.details() or "")


async def test_the_command_line_shows_takes_back_and_joins(
    stream: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    async with running(nats_url, tmp_path) as service:

        async def wayline(*arguments: str) -> str:
            command = ["customers", *arguments, "--profile", service.address]
            result = await asyncio.to_thread(CliRunner().invoke, app, command)
            assert result.exit_code == 0, result.output
            return result.output

        events = [track("Viewed", browser="tablet"), identify(user="ada", browser="tablet")]
        await read_up_to(service.profiles, await publish(stream, events))
        assert "views" in await wayline("show", "user_id:ada")
        assert "joined" in await wayline("merges", "user_id:ada")
        assert "rulings written: 1" in await wayline("unmerge", "user_id:ada", "anonymous_id:tablet")
        merges = json.loads(await wayline("merges", "user_id:ada", "--json"))["merges"]
        assert [one["status"] for one in merges] == ["MERGE_STATUS_APART"]
        assert "rulings lifted: 1" in await wayline("join", "user_id:ada", "anonymous_id:tablet")
        assert json.loads(await wayline("show", "anonymous_id:tablet", "--json"))["profile"]["strands"]
