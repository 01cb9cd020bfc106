"""The decision service in this process, on real NATS, with real profiles behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from nats.js import JetStreamContext
from tests.support.decisions import a_catalog, an_action
from tests.support.ports import free_port
from tests.support.profile import make_event_stream, publish

from wayline.catalog.model import Catalog
from wayline.catalog.store import CatalogStore, open_store
from wayline.v1 import decision_pb2, decision_pb2_grpc, events_pb2
from wayline_decision.app import build as build_decision
from wayline_decision.settings import DecisionSettings
from wayline_profile.app import build as build_profile
from wayline_profile.settings import ProfileSettings

CATALOG = a_catalog(
    [
        an_action("looked", eligibility={"rule": "profile.views > 0", "because": "Has looked"}, value=9),
        an_action("plain", propensity={"model": "response", "base": 0.1}),
    ]
)


@dataclass(frozen=True)
class System:
    """What a test works with."""

    stub: decision_pb2_grpc.DecisionServiceStub
    js: JetStreamContext
    catalogs: CatalogStore
    address: str
    nats_url: str

    async def decide(self, customer: str, **fields: object) -> decision_pb2.DecideResponse:
        """One decision for the hero."""
        request = decision_pb2.DecideRequest(
            customer=events_pb2.Identifier(kind="user_id", value=customer),
            placements=[decision_pb2.PlacementRequest(placement="hero")],
            **fields,
        )
        return await self.stub.Decide(request, timeout=10)

    async def publish(self, *events: events_pb2.Event) -> events_pb2.EventToken:
        """Store events; the token of the last one."""
        return events_pb2.EventToken(partition=0, sequence=await publish(self.js, events))

    async def apply(self, catalog: Catalog) -> int:
        """Apply a catalogue and wait until decisions use it."""
        revision = await self.catalogs.apply(catalog)
        async with asyncio.timeout(20):
            while True:
                try:
                    if (await self.decide("anyone")).catalog_revision == revision:
                        return revision
                except grpc.aio.AioRpcError as error:
                    if error.code() != grpc.StatusCode.UNAVAILABLE:
                        raise
                await asyncio.sleep(0.01)


@pytest.fixture
async def system(js: JetStreamContext, nats_url: str, tmp_path: Path) -> AsyncIterator[System]:
    """Profile and decision service, and no catalogue yet."""
    await make_event_stream(js)
    profile_port, decision_port = free_port(), free_port()
    address = f"127.0.0.1:{decision_port}"
    common = {"nats_url": nats_url, "shutdown_grace_seconds": 0.5}
    profile = ProfileSettings(profile_port=profile_port, profile_data=tmp_path, **common)
    decision = DecisionSettings(
        decision_port=decision_port,
        profile_address=f"127.0.0.1:{profile_port}",
        profile_timeout_seconds=5,
        decisions_max_bytes=64 << 20,
        models_max_bytes=64 << 20,
        **common,
    )
    async with (
        build_profile(profile),
        build_decision(decision),
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield System(decision_pb2_grpc.DecisionServiceStub(channel), js, await open_store(js), address, nats_url)
