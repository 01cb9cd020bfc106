"""A running Wayline as its clients see it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc

from wayline import bus
from wayline.catalog.load import load
from wayline.catalog.store import open_store
from wayline.cli.demo import wait_until_ready
from wayline.cluster import Addresses, Cluster
from wayline.v1 import (
    decision_pb2,
    decision_pb2_grpc,
    events_pb2,
    ingestion_pb2,
    ingestion_pb2_grpc,
    prediction_pb2_grpc,
    profile_pb2_grpc,
)

_PROGRAM = str(Path(sys.executable).with_name("wayline"))
_CALL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class System:
    """Where it is, and a stub for each service."""

    addresses: Addresses
    channels: dict[str, grpc.aio.Channel]
    ingestion: Any
    profile: Any
    prediction: Any
    decision: Any

    async def collect(self, *events: events_pb2.Event) -> list[ingestion_pb2.EventResult]:
        """The results of a batch."""
        response = await self.ingestion.Collect(ingestion_pb2.CollectRequest(events=events), timeout=_CALL_SECONDS)
        return list(response.results)

    async def decide(
        self,
        customer: events_pb2.Identifier,
        placement: str = "web.hero",
        at_least: Sequence[events_pb2.EventToken] = (),
    ) -> decision_pb2.DecideResponse:
        """One decision."""
        request = decision_pb2.DecideRequest(
            customer=customer, placements=[decision_pb2.PlacementRequest(placement=placement)], at_least=at_least
        )
        response: decision_pb2.DecideResponse = await self.decision.Decide(request, timeout=_CALL_SECONDS)
        return response

    async def apply(self, catalog: Path) -> None:
        """Apply a first catalogue and wait until decisions use it."""
        async with bus.connect(self.addresses.nats, "test") as client:
            await (await open_store(client.jetstream())).apply(load(catalog))
        await wait_until_ready(self.addresses.decision)

    async def wayline(self, *arguments: str) -> tuple[int, str]:
        """Run a command against this system: its exit code, and all that it said."""
        variables = {f"WAYLINE_{name.upper()}_ADDRESS": address for name, address in asdict(self.addresses).items()}
        process = await asyncio.create_subprocess_exec(
            *(_PROGRAM, *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **variables, "WAYLINE_NATS_URL": self.addresses.nats, "COLUMNS": "200"},
        )
        said, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode()


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator[System]:
    """A client's connections to a cluster."""
    async with AsyncExitStack() as stack:
        channels = {
            name: await stack.enter_async_context(grpc.aio.insecure_channel(getattr(cluster.addresses, name)))
            for name in ("ingestion", "profile", "prediction", "decision")
        }
        yield System(
            addresses=cluster.addresses,
            channels=channels,
            ingestion=ingestion_pb2_grpc.IngestionServiceStub(channels["ingestion"]),
            profile=profile_pb2_grpc.ProfileServiceStub(channels["profile"]),
            prediction=prediction_pb2_grpc.PredictionServiceStub(channels["prediction"]),
            decision=decision_pb2_grpc.DecisionServiceStub(channels["decision"]),
        )
