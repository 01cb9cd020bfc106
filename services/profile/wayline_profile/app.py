"""The composition root of the profile service."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from secrets import token_bytes

import grpc
import nats.errors
from nats.js.errors import APIError

from wayline import logging
from wayline.bus import connect, partitions_of
from wayline.catalog.schema import SchemaError
from wayline.catalog.store import CatalogStore
from wayline.catalog.store import open_store as open_catalogs
from wayline.errors import Retryable
from wayline.identity import KEY_BYTES
from wayline.lifecycle import aio_server, end_all, end_on_failure
from wayline.publish import AckedPublisher
from wayline.v1 import (
    audiences_pb2_grpc,
    backfill_pb2_grpc,
    customers_pb2_grpc,
    privacy_pb2_grpc,
    profile_pb2_grpc,
)
from wayline_profile.audience_handlers import AudienceHandlers
from wayline_profile.backfill_handlers import BackfillHandlers
from wayline_profile.core.values import reading_of
from wayline_profile.customer_handlers import CustomerHandlers
from wayline_profile.due import Rejudging
from wayline_profile.feed import ViewFeed
from wayline_profile.filling import Filling
from wayline_profile.handlers import ProfileHandlers
from wayline_profile.opening import open_executor, open_leases, open_store
from wayline_profile.outbox import Outbox, make_stream
from wayline_profile.partitions import Intake
from wayline_profile.privacy.control import ControlEvents
from wayline_profile.privacy.opening import Parts, open_privacy
from wayline_profile.reader import EventReader, unread
from wayline_profile.settings import ProfileSettings
from wayline_profile.standings import Standings
from wayline_profile.worker import Worker
from wayline_profile.writes import Writer

SERVICE = "wayline.v1.ProfileService"
_PUBLISH_SECONDS = 5.0
log = logging.get("profile")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def build(settings: ProfileSettings, *, now_ms: Callable[[], int] = _now_ms) -> AsyncIterator[None]:
    """Open the store, follow the catalogue, fold, and serve. `now_ms` is the clock of views and audiences."""
    store = open_store(settings)
    executor = open_executor(settings)
    intakes: list[Intake] = []
    publisher = AckedPublisher(_PUBLISH_SECONDS)

    async def reconnected() -> None:
        for intake in intakes:
            intake.reset()

    try:
        async with connect(
            settings.nats_url, "profile", on_disconnect=publisher.disconnected, on_reconnect=reconnected
        ) as nc:
            js = nc.jetstream()
            await publisher.attach(nc)

            partitions = await partitions_of(js)

            async def lag(positions: Mapping[int, int]) -> int:
                try:
                    return await unread(js, {**dict.fromkeys(range(partitions), 0), **positions})
                except (nats.errors.Error, APIError, TimeoutError) as error:
                    raise Retryable(f"the event stream cannot be reached: {error!r}") from error

            def reader(positions: Mapping[int, int]) -> EventReader:
                return EventReader(nc, js, positions, whole=len(positions) == partitions)

            intake = Intake(reader)
            intakes.append(intake)
            leases = open_leases(settings, partitions)
            writer = Writer(store, executor, chance=random.Random())  # noqa: S311 (it spreads attempts in time)
            await make_stream(
                js,
                max_bytes=settings.changes_max_bytes,
                max_age_days=settings.changes_max_age_days,
                replicas=settings.replicas,
            )
            feed, standings, outbox = ViewFeed(nc), Standings(), Outbox(store, writer, publisher)
            filling = Filling(store, writer, standings, now_ms=now_ms)
            rejudging = Rejudging(store, writer, standings, now_ms=now_ms, is_filling=filling.is_under_way)
            worker = Worker(
                store,
                writer,
                leases,
                intake,
                feed,
                batch=settings.profile_batch,
                standings=standings,
                outbox=outbox,
                filling=filling,
                now_ms=now_ms,
            )
            catalogs = await open_catalogs(js, replicas=settings.replicas, max_bytes=settings.catalog_max_bytes)
            privacy = await open_privacy(
                Parts(
                    settings=settings,
                    client=nc,
                    publisher=publisher,
                    store=store,
                    writer=writer,
                    leases=leases,
                    partitions=partitions,
                    reading=lambda: worker.reading,
                    now_ms=now_ms,
                )
            )
            handlers = ProfileHandlers(store, worker, lag=lag, witness=privacy.witness, now_ms=now_ms)
            audiences = AudienceHandlers(
                store,
                lambda: worker.reading,
                rejudging,
                audit=privacy.witness.note_audience,
                draw=lambda: token_bytes(KEY_BYTES),
                now_ms=now_ms,
            )

            customers = CustomerHandlers(
                store,
                lambda: worker.reading,
                ControlEvents(publisher, partitions),
                privacy.witness,
                now=lambda: datetime.fromtimestamp(now_ms() / 1_000, UTC),
            )

            def register(server: grpc.aio.Server) -> None:
                profile_pb2_grpc.add_ProfileServiceServicer_to_server(handlers, server)
                audiences_pb2_grpc.add_AudienceServiceServicer_to_server(audiences, server)
                backfill_pb2_grpc.add_BackfillServiceServicer_to_server(BackfillHandlers(filling), server)
                privacy_pb2_grpc.add_PrivacyServiceServicer_to_server(privacy.handlers, server)
                customers_pb2_grpc.add_CustomerServiceServicer_to_server(customers, server)

            async with aio_server(settings, settings.profile_port, SERVICE, register):
                tasks = [
                    *privacy.tasks(),
                    asyncio.create_task(leases.run(), name="leases"),
                    asyncio.create_task(worker.run(), name="fold"),
                    asyncio.create_task(worker.beat(), name="beat"),
                    asyncio.create_task(
                        worker.sweep(message_id_days=settings.message_id_days, timeline_days=settings.timeline_days),
                        name="sweep",
                    ),
                    asyncio.create_task(_follow_catalog(catalogs, worker, filling), name="catalog"),
                    asyncio.create_task(filling.run(leases.holds, worker.show), name="backfill"),
                    asyncio.create_task(outbox.run(leases.holds), name="changes"),
                    asyncio.create_task(
                        rejudging.run(lambda: worker.reading, leases.holds, worker.show),
                        name="audiences",
                    ),
                ]
                for task in tasks:
                    task.add_done_callback(end_on_failure)
                try:
                    yield
                finally:
                    await end_all(tasks)
            await intake.close()
            if executor is not None:
                executor.shutdown()
            await leases.release()
    finally:
        store.close()


async def _follow_catalog(catalogs: CatalogStore, worker: Worker, filling: Filling) -> None:
    async for revision, catalog in catalogs.watch():
        try:
            reading = reading_of(catalog)
        except SchemaError as error:
            log.error("catalog_refused", revision=revision, error=str(error))
        else:
            await filling.use(reading)
            worker.use(reading)
            log.info("catalog_in_use", revision=revision, traits=len(catalog.traits))
