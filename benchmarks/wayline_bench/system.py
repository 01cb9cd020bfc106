"""A running Wayline to measure: a cluster of its own on free ports, with a catalogue, a model and customers."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import grpc

from wayline import bus
from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.cli.demo import wait_until_ready
from wayline.cluster import NATS, SERVICES, Cluster
from wayline.v1 import (
    decision_pb2,
    decision_pb2_grpc,
    ingestion_pb2,
    ingestion_pb2_grpc,
    prediction_pb2,
    prediction_pb2_grpc,
    profile_pb2,
    profile_pb2_grpc,
)
from wayline_bench import world
from wayline_bench.machine import BenchError, Cores, pin, unpinned_after
from wayline_bench.world import WorldSize

_OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1))
_PATIENCE_SECONDS = 30.0
_EVENTS_PER_CALL = 500
_CALLERS = 3
NO_PINS: Mapping[str, frozenset[int]] = {}
NO_SETTINGS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Running:
    """A cluster, and where our own files may lie."""

    cluster: Cluster
    directory: Path

    def pin_others(self, measured: Collection[str], cores: Cores) -> None:
        """What is measured gets a processor of its own; everything else, this process included, gets the other."""
        for name in (NATS, *SERVICES):
            pin(self.cluster.pid(name), cores.server if name in measured else cores.load)
        pin(os.getpid(), cores.load)


def channel(address: str) -> grpc.Channel:
    """A blocking channel."""
    return grpc.insecure_channel(address, options=_OPTIONS)


@asynccontextmanager
async def started(
    catalog: Catalog,
    cpus: Mapping[str, frozenset[int]] = NO_PINS,
    *,
    decision_workers: int | None = None,
    env: Mapping[str, str] = NO_SETTINGS,
) -> AsyncIterator[Running]:
    """Everything runs, and `catalog` serves.

    Args:
        catalog: to apply.
        cpus: processors by process, from its start on: libraries size their thread pools by what they see then.
        decision_workers: processes that share the decision service's port; None: one process without a supervisor.
        env: more environment variables for all processes.
    """
    pins = {name: set(allowed) for name, allowed in cpus.items() if allowed}
    with unpinned_after(), tempfile.TemporaryDirectory(prefix="wayline-bench-") as directory:
        async with Cluster(
            Path(directory) / "data",
            cpus=pins,
            env={"WAYLINE_LOG_LEVEL": "WARNING", **env},
            decision_workers=decision_workers,
        ) as cluster:
            async with bus.connect(cluster.addresses.nats, "wayline-bench") as client:
                await (await open_store(client.jetstream())).apply(catalog)
            await wait_until_ready(cluster.addresses.decision)
            yield Running(cluster, Path(directory))


@asynccontextmanager
async def started_world(size: WorldSize, cores: Cores) -> AsyncIterator[Running]:
    """The synthetic world, with all customers folded and the model serving; the decision service on its own core."""
    async with started(world.catalog(size), {"decision": cores.server}) as running:
        await _settle(running, size)
        running.pin_others(("decision",), cores)
        yield running


@asynccontextmanager
async def started_workers(size: WorldSize, workers: int) -> AsyncIterator[Running]:
    """The same with so many workers, all on whatever processors are free."""
    async with started(world.catalog(size), decision_workers=workers) as running:
        await _settle(running, size)
        yield running


async def _settle(running: Running, size: WorldSize) -> None:
    await asyncio.to_thread(_register, running.cluster.addresses.prediction, size)
    await asyncio.to_thread(_populate, running, size)
    await asyncio.to_thread(_wait_for_model, running.cluster.addresses.decision, size)


def wait_until_folded(address: str, events: int) -> profile_pb2.GetStatisticsResponse:
    """Until the profile service has folded so many events and lags behind no more.

    Raises:
        BenchError: it took too long.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with channel(address) as connection:
        stub = profile_pb2_grpc.ProfileServiceStub(connection)
        while True:
            found: profile_pb2.GetStatisticsResponse = stub.GetStatistics(
                profile_pb2.GetStatisticsRequest(), timeout=_PATIENCE_SECONDS
            )
            if found.events_folded >= events and not found.lag:
                return found
            if time.monotonic() > deadline:
                raise BenchError(f"only {found.events_folded} of {events} events were folded in time")
            time.sleep(0.05)


def _register(address: str, size: WorldSize) -> None:
    request = prediction_pb2.RegisterModelRequest(manifest=world.manifest(size), onnx=world.model(size), promote=True)
    with channel(address) as connection:
        prediction_pb2_grpc.PredictionServiceStub(connection).RegisterModel(request, timeout=_PATIENCE_SECONDS)


def _populate(running: Running, size: WorldSize) -> None:
    """Send one identify event per customer, as any client would, and wait until they are profiles."""
    addresses = running.cluster.addresses
    with channel(addresses.ingestion) as connection:
        stub = ingestion_pb2_grpc.IngestionServiceStub(connection)
        under_way: list[grpc.Future[ingestion_pb2.CollectResponse]] = []
        for request in _calls(size):
            if len(under_way) == _CALLERS:
                _expect_accepted(under_way.pop(0).result())
            under_way.append(stub.Collect.future(request, timeout=_PATIENCE_SECONDS))
        for call in under_way:
            _expect_accepted(call.result())
    found = wait_until_folded(addresses.profile, size.customers)
    if found.profiles != size.customers:
        raise BenchError(f"expected {size.customers} profiles, the store has {found.profiles}")


def _calls(size: WorldSize) -> Iterator[ingestion_pb2.CollectRequest]:
    events = world.identify_events(size)
    while batch := list(islice(events, _EVENTS_PER_CALL)):
        yield ingestion_pb2.CollectRequest(events=batch)


def _expect_accepted(response: ingestion_pb2.CollectResponse) -> None:
    for result in response.results:
        if result.status != ingestion_pb2.EVENT_STATUS_ACCEPTED:
            raise BenchError(f"an event was not accepted: {result.rejection.field} {result.rejection.expected}")


def _wait_for_model(address: str, size: WorldSize) -> None:
    """Until decisions are scored by the model."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    request = world.requests(WorldSize(customers=1, features=size.features))[0]
    with channel(address) as connection:
        stub = decision_pb2_grpc.DecisionServiceStub(connection)
        while not is_scored(stub.Decide(request, timeout=_PATIENCE_SECONDS)):
            if time.monotonic() > deadline:
                raise BenchError("the decision service did not take up the model")
            time.sleep(0.05)


def is_scored(response: decision_pb2.DecideResponse) -> bool:
    """Whether a decision was fully personal, and scored by the model."""
    selections = response.placements[0].selections
    return (
        response.personalisation == decision_pb2.PERSONALISATION_FULL
        and bool(selections)
        and all(one.score.propensity_source.startswith("model:") for one in selections)
    )
