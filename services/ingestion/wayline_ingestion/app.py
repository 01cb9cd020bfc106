"""The composition root of ingestion."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from nats.aio.client import Client
from nats.js.errors import APIError

from wayline import bus
from wayline.catalog.json_schemas import SchemaRefused
from wayline.catalog.store import CatalogStore, open_store
from wayline.errors import WaylineError
from wayline.lifecycle import Health, aio_server, end_all, end_on_failure
from wayline.publish import AckedPublisher
from wayline.suppression import Suppressed, open_suppressions
from wayline_ingestion import rules
from wayline_ingestion.collector import Collector, Limits
from wayline_ingestion.core.judge import Judge
from wayline_ingestion.core.tally import Tally
from wayline_ingestion.dead_letters import DeadLetters
from wayline_ingestion.handlers import SERVICE, IngestionHandlers
from wayline_ingestion.publisher import EventPublisher
from wayline_ingestion.reporter import QualityReporter
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
        js = client.jetstream()
        suppressed = Suppressed(await open_suppressions(js, replicas=settings.replicas))
        catalogs = await open_store(js, replicas=settings.replicas, max_bytes=settings.catalog_max_bytes)
        judge = Judge(suppressed, max_event_bytes=settings.max_event_bytes)
        tally = Tally(round(settings.late_after_seconds * 1e9))
        reporter = QualityReporter(tally, publisher, secrets.token_hex(8))
        collector = Collector(
            EventPublisher(publisher, partitions),
            DeadLetters(publisher, client),
            judge,
            tally,
            Limits(max_events=settings.max_events, max_event_bytes=settings.max_event_bytes),
            time.time_ns,
        )
        handlers = IngestionHandlers(collector, settings.max_in_flight_bytes)
        await _know_who_and_what_is_refused(suppressed, catalogs, judge)
        tasks = [
            asyncio.create_task(suppressed.run(), name="suppressions"),
            asyncio.create_task(rules.follow(catalogs, judge), name="catalog"),
            asyncio.create_task(reporter.run(settings.quality_interval_seconds), name="quality"),
        ]
        for task in tasks:
            task.add_done_callback(end_on_failure)
        try:
            async with aio_server(
                settings,
                settings.ingestion_port,
                SERVICE,
                handlers.register,
                max_receive_bytes=settings.max_call_bytes,
                max_concurrent=settings.max_concurrent,
            ) as health:
                yield
        finally:
            await end_all(tasks)
            await reporter.flush()


async def _know_who_and_what_is_refused(suppressed: Suppressed, catalogs: CatalogStore, judge: Judge) -> None:
    """Before the first event: what may not be stored is not stored while the rules are still on their way."""
    await suppressed.load()
    try:
        await rules.use_current(catalogs, judge)
    except (WaylineError, SchemaRefused) as error:
        raise SystemExit(
            f"the catalogue in force cannot be used, and without it events could be stored that may not be: {error}. "
            "Apply a good one with `wayline catalog apply`, or start the version of Wayline that applied it"
        ) from None


async def _ensure_streams(client: Client, settings: IngestionSettings) -> int:
    """Create the streams that ingestion owns; the number of partitions of the event stream."""
    stream = partial(bus.StreamSpec, duplicate_window_seconds=settings.duplicate_window_seconds)
    events = stream(
        name=bus.EVENTS,
        subject=bus.EVENT_SUBJECTS,
        max_bytes=settings.events_max_bytes,
        max_age_seconds=settings.events_max_age_seconds,
        discard_new=True,
        partitions=settings.partitions,
    )
    dead_letters = stream(
        name=bus.DEAD_LETTERS,
        subject=bus.DEAD_LETTER_SUBJECTS,
        max_bytes=settings.dead_letters_max_bytes,
        max_age_seconds=settings.dead_letters_max_age_seconds,
    )
    quality = stream(
        name=bus.QUALITY,
        subject=bus.QUALITY_SUBJECT,
        max_bytes=settings.quality_max_bytes,
        max_age_seconds=settings.quality_max_age_seconds,
    )
    js = client.jetstream()
    try:
        partitions = await bus.ensure_stream(js, events, settings.replicas)
        await bus.ensure_stream(js, dead_letters, settings.replicas)
        await bus.ensure_stream(js, quality, settings.replicas)
    except APIError as error:
        raise SystemExit(
            f"NATS refuses the event streams: {error.description}. It reserves WAYLINE_EVENTS_MAX_BYTES="
            f"{settings.events_max_bytes}, WAYLINE_DEAD_LETTERS_MAX_BYTES={settings.dead_letters_max_bytes} and "
            f"WAYLINE_QUALITY_MAX_BYTES={settings.quality_max_bytes} on disk, WAYLINE_REPLICAS={settings.replicas} "
            "times"
        ) from None
    return partitions
