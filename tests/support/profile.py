"""The profile service, in this process, on a real NATS server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from nats.js import JetStreamContext
from tests.support.ports import free_port

from wayline.bus import EVENT_SUBJECTS, EVENTS, StreamSpec, ensure_stream
from wayline.v1 import events_pb2, profile_pb2, profile_pb2_grpc
from wayline_profile.app import build
from wayline_profile.settings import ProfileSettings

PARTITIONS = 4


async def make_event_stream(js: JetStreamContext) -> None:
    """The stream that ingestion would make."""
    spec = StreamSpec(
        name=EVENTS, subject=EVENT_SUBJECTS, max_bytes=1 << 26, max_age_seconds=3_600, partitions=PARTITIONS
    )
    await ensure_stream(js, spec, 1)


async def publish(js: JetStreamContext, events: Iterable[events_pb2.Event]) -> int:
    """Store events as ingestion would; returns the last sequence."""
    last = 0
    for number, event in enumerate(events):
        last = (await js.publish(f"events.{number % PARTITIONS}", event.SerializeToString())).seq
    return last


@asynccontextmanager
async def running_profile(nats_url: str, data: Path) -> AsyncIterator[profile_pb2_grpc.ProfileServiceStub]:
    """The service, and a client of it."""
    port = free_port()
    configured = ProfileSettings(nats_url=nats_url, profile_port=port, profile_data=data, shutdown_grace_seconds=0.5)
    async with build(configured), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield profile_pb2_grpc.ProfileServiceStub(channel)


async def read_up_to(stub: profile_pb2_grpc.ProfileServiceStub, sequence: int) -> profile_pb2.GetStatisticsResponse:
    """Wait until the service has folded everything up to `sequence`."""
    async with asyncio.timeout(20):
        while True:
            statistics = await stub.GetStatistics(profile_pb2.GetStatisticsRequest())
            if max((one.sequence for one in statistics.watermarks), default=0) >= sequence:
                return statistics
            await asyncio.sleep(0.01)
