"""The composition root of the profile service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats.errors
from nats.js.errors import APIError

from wayline import logging
from wayline.bus import EVENTS, connect, partitions_of
from wayline.catalog.schema import SchemaError
from wayline.catalog.store import CatalogStore, open_store
from wayline.errors import Retryable
from wayline.lifecycle import aio_server, end_on_failure
from wayline.v1 import profile_pb2_grpc
from wayline_profile.core.values import reading_of
from wayline_profile.feed import ViewFeed
from wayline_profile.handlers import ProfileHandlers
from wayline_profile.reader import EventReader
from wayline_profile.settings import ProfileSettings
from wayline_profile.store import ProfileStore
from wayline_profile.store.postgres import PostgresProfileStore
from wayline_profile.store.postgres_link import BadAddress
from wayline_profile.store.postgres_schema import SchemaTooNew
from wayline_profile.store.rocksdb import RocksProfileStore
from wayline_profile.worker import Worker

SERVICE = "wayline.v1.ProfileService"
log = logging.get("profile")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def build(settings: ProfileSettings) -> AsyncIterator[None]:
    """Open the store, follow the catalogue, fold, and serve."""
    store = _open_store(settings)
    readers: list[EventReader] = []

    async def reconnected() -> None:
        for reader in readers:
            reader.reset()

    try:
        async with connect(settings.nats_url, "profile", on_reconnect=reconnected) as nc:
            js = nc.jetstream()

            async def last_sequence() -> int:
                try:
                    return (await js.stream_info(EVENTS)).state.last_seq
                except (nats.errors.Error, APIError, TimeoutError) as error:
                    raise Retryable(f"the event stream cannot be reached: {error!r}") from error

            partitions = await partitions_of(js)
            reader = EventReader(nc, js, max(store.positions().values(), default=0))
            readers.append(reader)
            worker = Worker(
                store, reader, ViewFeed(nc), partitions=partitions, batch=settings.profile_batch, now_ms=_now_ms
            )
            catalogs = await open_store(js, replicas=settings.replicas, max_bytes=settings.catalog_max_bytes)
            handlers = ProfileHandlers(store, worker, last_sequence=last_sequence, now_ms=_now_ms)
            async with aio_server(
                settings,
                settings.profile_port,
                SERVICE,
                lambda server: profile_pb2_grpc.add_ProfileServiceServicer_to_server(handlers, server),
            ):
                tasks = [
                    asyncio.create_task(worker.run(), name="fold"),
                    asyncio.create_task(worker.beat(), name="beat"),
                    asyncio.create_task(
                        worker.sweep(message_id_days=settings.message_id_days, timeline_days=settings.timeline_days),
                        name="sweep",
                    ),
                    asyncio.create_task(_follow_catalog(catalogs, worker), name="catalog"),
                ]
                for task in tasks:
                    task.add_done_callback(end_on_failure)
                yield
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            await reader.close()
    finally:
        store.close()


def _open_store(settings: ProfileSettings) -> ProfileStore:
    where = settings.profile_store.get_secret_value()
    if where == "rocksdb":
        return RocksProfileStore(
            settings.profile_data, sync=settings.profile_sync, cache_bytes=settings.profile_cache_bytes
        )
    try:
        return PostgresProfileStore(
            where, sync=settings.profile_sync, timeout_seconds=settings.profile_store_timeout_seconds
        )
    except BadAddress as error:
        raise SystemExit(f"WAYLINE_PROFILE_STORE: neither rocksdb nor the address of a database: {error}") from None
    except (Retryable, SchemaTooNew) as error:
        raise SystemExit(str(error)) from None


async def _follow_catalog(catalogs: CatalogStore, worker: Worker) -> None:
    async for revision, catalog in catalogs.watch():
        try:
            worker.use(reading_of(catalog))
        except SchemaError as error:
            log.error("catalog_refused", revision=revision, error=str(error))
        else:
            log.info("catalog_in_use", revision=revision, traits=len(catalog.traits))
