"""The composition root of the decision service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from nats.aio.msg import Msg

from wayline import logging
from wayline.bus import DECISION_SUBJECT, DECISIONS, VIEW_SUBJECT, StreamSpec, connect, ensure_stream
from wayline.catalog.rules import RuleError
from wayline.catalog.schema import SchemaError
from wayline.catalog.store import CatalogStore, open_store
from wayline.lifecycle import Health, MiB, end_on_failure, thread_server
from wayline.pool import ElasticPool
from wayline.publish import AckedPublisher
from wayline.registry import Registry, open_registry
from wayline.v1 import profile_pb2, profile_pb2_grpc
from wayline_decision.core.plan import Plan, compile_plan
from wayline_decision.engine import Engine
from wayline_decision.handlers import SERVICE, DecisionHandlers
from wayline_decision.models import ModelShelf, fit
from wayline_decision.records import RecordLog
from wayline_decision.replay import Replayer
from wayline_decision.settings import DecisionSettings
from wayline_decision.views import ViewCache

_PUBLISH_SECONDS = 5.0
log = logging.get("decision")


@asynccontextmanager
async def build(settings: DecisionSettings) -> AsyncIterator[None]:
    """Follow views, catalogue and models; decide; log."""
    pool = ElasticPool(active=settings.decision_active, threads=settings.decision_threads)
    channel = grpc.insecure_channel(settings.profile_address, options=[("grpc.max_receive_message_length", 64 * MiB)])
    views = ViewCache(
        profile_pb2_grpc.ProfileServiceStub(channel),
        size=settings.view_cache_size,
        timeout_seconds=settings.profile_timeout_seconds,
        waiting=pool.waiting,
    )
    publisher = AckedPublisher(_PUBLISH_SECONDS)

    async def lost() -> None:
        views.follow(False)
        await publisher.disconnected()

    async def back() -> None:
        views.follow(True)

    async def updated(message: Msg) -> None:
        views.apply(profile_pb2.ViewUpdate.FromString(message.data))

    async with connect(settings.nats_url, "decision", on_disconnect=lost, on_reconnect=back) as nc:
        js = nc.jetstream()
        await ensure_stream(
            js,
            StreamSpec(
                name=DECISIONS,
                subject=DECISION_SUBJECT,
                max_bytes=settings.decisions_max_bytes,
                max_age_seconds=settings.decisions_max_age_days * 86_400,
            ),
            settings.replicas,
        )
        await publisher.attach(nc)
        await nc.subscribe(VIEW_SUBJECT, cb=updated, pending_msgs_limit=-1, pending_bytes_limit=-1)
        await nc.flush()
        views.follow(True)
        catalogs = await open_store(js, replicas=settings.replicas, max_bytes=settings.catalog_max_bytes)
        registry = await open_registry(js, replicas=settings.replicas, max_bytes=settings.models_max_bytes)
        records = RecordLog(publisher, max_bytes=settings.record_buffer_bytes)
        engine = Engine(views, records, waiting=pool.waiting)
        replayer = Replayer(js, catalogs, registry)
        handlers = DecisionHandlers(engine, replayer, asyncio.get_running_loop(), pool.waiting)
        async with thread_server(
            settings,
            settings.decision_port,
            SERVICE,
            handlers.register,
            pool=pool,
        ) as health:
            await health.set_ready(False)
            follower = Follower(engine, ModelShelf(registry), health)
            tasks = [
                asyncio.create_task(records.run(), name="records"),
                asyncio.create_task(follower.follow_catalog(catalogs), name="catalog"),
                asyncio.create_task(follower.follow_models(registry), name="models"),
            ]
            for task in tasks:
                task.add_done_callback(end_on_failure)
            yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await records.flush(settings.shutdown_grace_seconds)
    channel.close()


class Follower:
    """Swaps plan and models as they change. What does not fit is refused and logged; the last good one goes on."""

    def __init__(self, engine: Engine, shelf: ModelShelf, health: Health) -> None:
        """Feed `engine`."""
        self._engine = engine
        self._shelf = shelf
        self._health = health
        self._plan: Plan | None = None
        self._swapping = asyncio.Lock()

    async def follow_catalog(self, catalogs: CatalogStore) -> None:
        """Compile each catalogue that becomes current, off the loop, and use it."""
        async for revision, catalog in catalogs.watch():
            try:
                plan = await asyncio.to_thread(compile_plan, catalog, revision)
            except (SchemaError, RuleError) as error:
                log.error("catalog_refused", revision=revision, error=str(error))
                continue
            async with self._swapping:
                self._plan = plan
                await self._swap()
            await self._health.set_ready(True)
            log.info("catalog_in_use", revision=revision, actions=len(plan.actions), treatments=len(plan.rows))

    async def follow_models(self, registry: Registry) -> None:
        """Load each champion, and use it."""
        async for model in registry.watch():
            async with self._swapping:
                if await self._shelf.update(model):
                    await self._swap()

    async def _swap(self) -> None:
        if self._plan is not None:
            models = await asyncio.to_thread(fit, self._plan, dict(self._shelf.champions))
            self._engine.use(self._plan, models)
