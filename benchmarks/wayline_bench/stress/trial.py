"""One run of a story through ingestion, NATS and the profile service, some of which are killed meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import grpc

from wayline import bus, logging
from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.cluster import NATS, Cluster, ClusterError
from wayline.errors import Retryable
from wayline.identity import partition_of
from wayline.publish import AckedPublisher, Message
from wayline.v1 import events_pb2, ingestion_pb2, ingestion_pb2_grpc, profile_pb2, profile_pb2_grpc
from wayline_bench.machine import BenchError
from wayline_bench.stress.story import CONTROL

PROFILE = "profile"
_PARTITIONS = 16
_BATCH = 100
_CALLERS = 4
_CALL_SECONDS = 20.0
_PAUSE_SECONDS = 0.1
_PATIENCE_SECONDS = 1_800.0
_DURING_START = 0.3
"""The share of kills that do not wait until the victim has started well."""
_LATEST_SECONDS = 0.05
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)
_ENVIRONMENT = {
    "WAYLINE_LOG_LEVEL": "WARNING",
    "WAYLINE_PARTITIONS": str(_PARTITIONS),
    # As short as can be: what is sent again later gets past JetStream, and the profile store has to know it.
    "WAYLINE_DUPLICATE_WINDOW_SECONDS": "1",
    # Longer than any story: what a sweep forgets would depend on when it came by.
    "WAYLINE_TIMELINE_DAYS": "3650",
}

log = logging.get("bench")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """Whom to kill, in this order, at moments that `seed` draws."""

    victims: Sequence[str] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the profile service counted at the end, how often each process was started again, and how many kills came
    while events were waiting to be folded.
    """

    found: profile_pb2.GetStatisticsResponse
    restarts: Mapping[str, int]
    kills_under_load: int


def victims(kills: int, nats_kills: int, seed: int) -> list[str]:
    """So many of each, shuffled."""
    drawn = [PROFILE] * kills + [NATS] * nats_kills
    random.Random(seed).shuffle(drawn)  # noqa: S311 - no secret
    return drawn


async def run(
    story: Sequence[bytes],
    order: Sequence[int],
    catalog: Catalog,
    data: Path,
    env: Mapping[str, str],
    disturbance: Disturbance,
    progress: Callable[[int], None],
) -> Outcome:
    """Send the story in the given order, kill on the way, and wait until all of it is folded.

    Args:
        story: events, encoded.
        order: which of them to send, one after the other; some more than once.
        catalog: to apply before.
        data: directory of the whole system; afterwards nothing runs on it.
        env: of the services, for instance the address of the store.
        disturbance: none, for a run in peace.
        progress: told how many events are stored, whenever that changes.

    Raises:
        BenchError: an event was not accepted.
        TimeoutError: the story was not told, or not folded, in time.
        ClusterError: it could not run.
    """
    async with Cluster(data, services=("ingestion", PROFILE), env={**_ENVIRONMENT, **env}) as cluster:
        publisher = AckedPublisher(_CALL_SECONDS)
        async with bus.connect(cluster.addresses.nats, "wayline-bench", on_disconnect=publisher.disconnected) as client:
            await (await open_store(client.jetstream())).apply(catalog)
            await publisher.attach(client)
            telling = _Telling(story, order, cluster, publisher, disturbance, progress)
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await telling.tell()
        await cluster.wait_healthy()
        found = await _wait_until_folded(cluster.addresses.profile)
        return Outcome(found, {name: cluster.restarts(name) for name in (NATS, PROFILE)}, telling.kills_under_load)


class _Telling:
    """Senders and a killer, who wait for each other: the kills are spread over the whole story."""

    def __init__(
        self,
        story: Sequence[bytes],
        order: Sequence[int],
        cluster: Cluster,
        publisher: AckedPublisher,
        disturbance: Disturbance,
        progress: Callable[[int], None],
    ) -> None:
        self.kills_under_load = 0
        self._story = story
        self._order = order
        self._cluster = cluster
        self._publisher = publisher
        self._victims = disturbance.victims
        self._chance = random.Random(disturbance.seed)  # noqa: S311 - no secret
        self._progress = progress
        self._cuts = sorted(self._chance.randrange(len(order)) for _ in disturbance.victims)
        # Up to where senders go before the next victim is ready: it is to be killed in the middle of its work.
        self._holds = [(former + cut) // 2 for former, cut in pairwise((0, *self._cuts))] + [len(order)]
        self._armed = 0
        self._next = self._stored = 0
        self._changed = asyncio.Condition()

    async def tell(self) -> None:
        """All of it. The first failure ends it, and is raised."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._kill_all())
                for _ in range(_CALLERS):
                    group.create_task(self._send())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _send(self) -> None:
        """Draw batches, in order, until all are stored."""
        async with _channel(self._cluster.addresses.ingestion) as channel:
            stub = ingestion_pb2_grpc.IngestionServiceStub(channel)
            while self._next < len(self._order):
                start, self._next = self._next, self._next + _BATCH
                await self._until(lambda at=start: at <= self._holds[self._armed])  # type: ignore[misc]
                await self._collect(stub, self._order[start : start + _BATCH])

    async def _kill_all(self) -> None:
        """Kill each victim when its part of the story is stored, at any moment of its life."""
        for victim, cut in zip(self._victims, self._cuts, strict=True):
            if self._chance.random() >= _DURING_START:
                await self._cluster.wait_healthy(victim)
            async with self._changed:
                self._armed += 1
                self._changed.notify_all()
            await self._until(lambda at=cut: self._stored >= at)  # type: ignore[misc]
            await asyncio.sleep(self._chance.uniform(0, _LATEST_SECONDS))
            waiting = await _lag(self._cluster.addresses.profile)
            await self._kill(victim)
            self.kills_under_load += waiting != 0

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(holds)

    async def _kill(self, victim: str) -> None:
        while True:
            try:
                self._cluster.kill(victim)
            except ClusterError:  # between two lives
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    async def _collect(self, stub: ingestion_pb2_grpc.IngestionServiceStub, numbers: Sequence[int]) -> None:
        events = [events_pb2.Event.FromString(self._story[number]) for number in numbers]
        request = ingestion_pb2.CollectRequest(events=[event for event in events if event.type not in CONTROL])
        response = await _patiently(lambda: stub.Collect(request, timeout=_CALL_SECONDS))
        for result in response.results:
            if result.status == ingestion_pb2.EVENT_STATUS_REJECTED:
                raise BenchError(f"{result.message_id} was not accepted: {result.rejection}")
        messages = [_control_message(event) for event in events if event.type in CONTROL]
        await _patiently(lambda: self._publisher.publish(messages))
        async with self._changed:
            self._stored += len(numbers)
            self._changed.notify_all()
        self._progress(self._stored)


def _control_message(event: events_pb2.Event) -> Message:
    """As the profile service writes it."""
    event.received_at.GetCurrentTime()  # by which message ids are forgotten
    key = event.ruling.one or event.restriction.identity_key
    partition = partition_of(key.hex(), _PARTITIONS)
    return Message(bus.event_subject(partition), event.SerializeToString(), event.message_id)


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Again until it is answered: message ids keep what was stored already from counting twice."""
    while True:
        try:
            return await call()
        except Retryable as error:
            log.debug("publish_again", error=str(error))
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
        await asyncio.sleep(_PAUSE_SECONDS)


async def _wait_until_folded(address: str) -> profile_pb2.GetStatisticsResponse:
    async with _channel(address) as channel:
        stub = profile_pb2_grpc.ProfileServiceStub(channel)
        request = profile_pb2.GetStatisticsRequest()
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                found: profile_pb2.GetStatisticsResponse = await _patiently(
                    lambda: stub.GetStatistics(request, timeout=_CALL_SECONDS)
                )
                if not found.lag:
                    return found
                await asyncio.sleep(_PAUSE_SECONDS)


async def _lag(address: str) -> int | None:
    """Events that wait to be folded; None when the profile service cannot be asked, since it has yet to begin."""
    async with _channel(address) as channel:
        stub = profile_pb2_grpc.ProfileServiceStub(channel)
        try:
            found: profile_pb2.GetStatisticsResponse = await stub.GetStatistics(
                profile_pb2.GetStatisticsRequest(), timeout=1
            )
        except grpc.aio.AioRpcError:
            return None
        return found.lag


def _channel(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=_OPTIONS)
