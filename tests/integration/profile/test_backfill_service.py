"""A trait that is declared while the service runs, as its clients and the command line see it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from nats.js import JetStreamContext
from tests.support.events import NOON_MS, track
from tests.support.ports import free_port
from tests.support.profile import make_event_stream, publish, read_up_to
from typer.testing import CliRunner

from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.cli import app
from wayline.v1 import backfill_pb2, backfill_pb2_grpc, events_pb2, profile_pb2, profile_pb2_grpc
from wayline_profile.app import build
from wayline_profile.settings import ProfileSettings

VIEWS = {"kind": "count", "event": "Viewed"}
COLOURS = {"kind": "distinct", "event": "Viewed", "property": "color"}
CUSTOMERS = 30
ADA = events_pb2.Identifier(kind="user_id", value="user-7")


def catalogue(**traits: object) -> Catalog:
    return Catalog.model_validate({"traits": traits})


@contextmanager
def suppress_before_the_first_catalogue() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            raise


async def filled(stub: backfill_pb2_grpc.BackfillServiceStub, name: str) -> backfill_pb2.GetBackfillResponse:
    """Wait until a trait is declared, and filled in."""
    async with asyncio.timeout(20):
        while True:
            with suppress_before_the_first_catalogue():
                found: backfill_pb2.GetBackfillResponse = await stub.GetBackfill(backfill_pb2.GetBackfillRequest())
                if any(one.name == name and one.filled for one in found.traits):
                    return found
            await asyncio.sleep(0.02)


async def test_a_trait_that_is_declared_later_counts_the_events_before(
    js: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    await make_event_stream(js)
    catalogs = await open_store(js)
    await catalogs.apply(catalogue(views=VIEWS))
    settings = ProfileSettings(
        nats_url=nats_url, profile_port=free_port(), profile_data=tmp_path, shutdown_grace_seconds=0.5
    )
    address = f"127.0.0.1:{settings.profile_port}"
    async with build(settings), grpc.aio.insecure_channel(address) as channel:
        profiles, backfill = (
            profile_pb2_grpc.ProfileServiceStub(channel),
            backfill_pb2_grpc.BackfillServiceStub(channel),
        )
        before = await filled(backfill, "views")
        assert not before.running
        assert not before.HasField("progress")
        events = [
            track("Viewed", {"color": f"{number % 3}"}, user=f"user-{number % CUSTOMERS}", at_ms=NOON_MS + number)
            for number in range(CUSTOMERS * 5)
        ]
        await read_up_to(profiles, await publish(js, events))
        await catalogs.apply(catalogue(views=VIEWS, colours=COLOURS))
        after = await filled(backfill, "colours")
        assert (after.progress.strands, after.progress.events, after.progress.done) == (CUSTOMERS, len(events), 1.0)
        assert list(after.progress.traits) == ["colours"]
        assert after.progress.events_since.ToMilliseconds() == NOON_MS
        found = await profiles.GetProfile(profile_pb2.GetProfileRequest(customer=ADA))
        assert dict(found.values) == {"views": 5, "colours": 1}

        def shown(*command: str) -> str:
            return CliRunner().invoke(app, ["traits", *command, "--profile", address]).output

        assert "colours" in await asyncio.to_thread(shown, "list")
        assert "done at" in await asyncio.to_thread(shown, "backfill", "--follow")
