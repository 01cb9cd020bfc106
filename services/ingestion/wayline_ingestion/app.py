"""The composition root of ingestion."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.js.errors import APIError

from wayline import bus
from wayline.lifecycle import Health, aio_server
from wayline.publish import AckedPublisher
from wayline_ingestion.collector import Collector, Limits
from wayline_ingestion.dead_letters import DeadLetters
from wayline_ingestion.handlers import SERVICE, IngestionHandlers
from wayline_ingestion.publisher import EventPublisher
from wayline_ingestion.settings import IngestionSettings


@asynccontextmanager
async def build(settings: IngestionSettings) -> AsyncIterator[None]:
    """Serve until the context ends: connect, own the streams, listen.

    While NATS is away the service answers UNAVAILABLE and tells its probes that it is not ready.
    """
    publisher = AckedPublisher(settings.publish_timeout_seconds)
    health: Health | None = None

    async def lost() -> None:
        await publisher.disconnected()
        if health is not None:
            await health.set_ready(False)

    async def back() -> None:
        if health is not None:
            await health.set_ready(True)

    async with bus.connect(settings.nats_url, "ingestion", on_disconnect=lost, on_reconnect=back) as client:
        partitions = await _ensure_streams(client, settings)
        await publisher.attach(client)
        collector = Collector(
            EventPublisher(publisher, partitions),
            DeadLetters(publisher, client),
            Limits(max_events=settings.max_events, max_event_bytes=settings.max_event_bytes),
            time.time_ns,
        )
        handlers = IngestionHandlers(collector, settings.max_in_flight_bytes)
        async with aio_server(
            settings,
            settings.ingestion_port,
            SERVICE,
            handlers.register,
            max_receive_bytes=settings.max_call_bytes,
            max_concurrent=settings.max_concurrent,
        ) as health:
            yield


async def _ensure_streams(client: Client, settings: IngestionSettings) -> int:
    """Create the streams that ingestion owns; the number of partitions of the event stream."""
    events = bus.StreamSpec(
        name=bus.EVENTS,
        subject=bus.EVENT_SUBJECTS,
        max_bytes=settings.events_max_bytes,
        max_age_seconds=settings.events_max_age_seconds,
        discard_new=True,
        duplicate_window_seconds=settings.duplicate_window_seconds,
        partitions=settings.partitions,
    )
    dead_letters = bus.StreamSpec(
        name=bus.DEAD_LETTERS,
        subject=bus.DEAD_LETTER_SUBJECTS,
        max_bytes=settings.dead_letters_max_bytes,
        max_age_seconds=settings.dead_letters_max_age_seconds,
        duplicate_window_seconds=settings.duplicate_window_seconds,
    )
    js = client.jetstream()
    try:
        partitions = await bus.ensure_stream(js, events, settings.replicas)
        await bus.ensure_stream(js, dead_letters, settings.replicas)
    except APIError as error:
        raise SystemExit(
            f"NATS refuses the event streams: {error.description}. It reserves WAYLINE_EVENTS_MAX_BYTES="
            f"{settings.events_max_bytes} and WAYLINE_DEAD_LETTERS_MAX_BYTES={settings.dead_letters_max_bytes} "
            f"on disk, WAYLINE_REPLICAS={settings.replicas} times"
        ) from None
    return partitions
