"""The composition root of the decision service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import grpc
import nats.errors
from nats.aio.msg import Msg

from wayline import logging
from wayline.bus import (
    DECISION_SUBJECT,
    DECISIONS,
    REWRITTEN_SUBJECTS,
    VIEW_SUBJECT,
    StreamSpec,
    connect,
    ensure_stream,
    partitions_of,
)
from wayline.catalog.store import CatalogStore, Uptake, open_store
from wayline.catalog.variants import Variant
from wayline.errors import WaylineError
from wayline.kv import when_reachable
from wayline.lifecycle import Health, MiB, end_all, end_on_failure, thread_server
from wayline.pool import ElasticPool
from wayline.publish import AckedPublisher
from wayline.registry import Registry, open_registry
from wayline.suppression import Suppressed, open_suppressions
from wayline.v1 import profile_pb2, profile_pb2_grpc
from wayline_decision.announce import Announcer
from wayline_decision.breaker import Breaker, Change, Position
from wayline_decision.budget_streams import ensure_counters
from wayline_decision.budgets import Budgets
from wayline_decision.core.plan import Plan
from wayline_decision.core.race import NOISE
from wayline_decision.engine import Engine, now_utc
from wayline_decision.handlers import SERVICE, DecisionHandlers
from wayline_decision.ledger import Ledger, told_log
from wayline_decision.models import ModelShelf
from wayline_decision.port_memory import PortMemory
from wayline_decision.pulse import Pulse, probed
from wayline_decision.records import RecordLog
from wayline_decision.replay import Replayer
from wayline_decision.reservations import Reservations
from wayline_decision.seat import Seat
from wayline_decision.settings import DecisionSettings
from wayline_decision.siblings import Siblings
from wayline_decision.states import UNCOMPILABLE, compiled, fitted, in_words
from wayline_decision.views import ViewCache

_PUBLISH_SECONDS = 5.0
_PARTITIONS_SECONDS = 600.0
_SETTLED_SECONDS = 30.0
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
                also=(REWRITTEN_SUBJECTS,),
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
        await ensure_counters(js, settings.replicas)
        budgets = Budgets(nc, clock=now_utc)
        partitions = await partitions_of(js, patience_seconds=_PARTITIONS_SECONDS)
        records = RecordLog(publisher, max_bytes=settings.record_buffer_bytes)
        told = told_log(publisher, max_bytes=settings.record_buffer_bytes)
        await asyncio.to_thread(lambda: NOISE.bank)  # some 50 ms, which no request should wait for
        suppressed = Suppressed(await open_suppressions(js, replicas=settings.replicas))
        await suppressed.load()  # before the first decision: nothing of whoever was erased is recorded again
        reservations = Reservations()
        siblings = _siblings(settings, reservations)
        announcer = Announcer(nc, reservations, port=siblings.port if siblings else "")
        await announcer.listen()
        engine = Engine(
            views,
            records,
            Ledger(
                reservations=reservations,
                budgets=budgets,
                told=told,
                partitions=partitions,
                announce=announcer.announce,
                siblings=siblings,
            ),
            waiting=pool.waiting,
            breaker=Breaker(settings.breaker, report=_report),
            budget_seconds=settings.decision_budget_seconds,
            suppressed=suppressed,
        )
        replayer = Replayer(js, catalogs, registry)
        handlers = DecisionHandlers(engine, replayer, asyncio.get_running_loop(), pool.waiting)
        direct = handlers.direct(pool)
        follower = Follower(engine, ModelShelf(registry), budgets)
        tasks = [
            asyncio.create_task(direct.watch(), name="direct"),
            asyncio.create_task(records.run(), name="records"),
            asyncio.create_task(told.run(), name="told"),
            asyncio.create_task(budgets.run(), name="budgets"),
            asyncio.create_task(announcer.run(), name="announcer"),
            asyncio.create_task(suppressed.run(), name="suppressions"),
            asyncio.create_task(follower.follow_catalog(catalogs), name="catalog"),
            asyncio.create_task(follower.follow_models(registry), name="models"),
        ]
        if siblings is not None:
            tasks.append(asyncio.create_task(siblings.run(), name="siblings"))
        seat = Seat() if settings.decision_worker else None
        if seat is not None:
            if await catalogs.current_revision():
                await follower.wait_for_catalog(_SETTLED_SECONDS)
            await seat.wait()
        try:
            async with thread_server(
                settings,
                settings.decision_port,
                SERVICE,
                handlers.register,
                pool=pool,
                direct=direct,
                share_port=seat is not None,
            ) as health:
                tasks.append(asyncio.create_task(follower.tell(health), name="ready"))
                for task in tasks:
                    task.add_done_callback(end_on_failure)
                pulse, silence = Pulse(pool, engine.turn_comes, lambda: direct.hangs), settings.decision_silence_seconds
                async with seat.serving(pulse, silence) if seat else probed(pulse, silence, health.set_alive):
                    yield
        finally:
            await end_all(tasks)
            await asyncio.gather(*(one.flush(settings.shutdown_grace_seconds) for one in (records, told, budgets)))
            await announcer.flush()
    channel.close()


def _siblings(settings: DecisionSettings, reservations: Reservations) -> Siblings | None:
    """The other workers of this port; None: a supervisor of an earlier version gave no memory, or there is none.

    Raises:
        SystemExit: there is no such memory.
    """
    if not settings.decision_worker or not settings.decision_siblings:
        return None
    try:
        return Siblings(PortMemory(settings.decision_siblings), settings.decision_worker, reservations)
    except ValueError as error:
        raise SystemExit(
            f"WAYLINE_DECISION_SIBLINGS={settings.decision_siblings}: {error}; leave it to the supervisor: set "
            "WAYLINE_DECISION_WORKERS alone"
        ) from None


def _report(change: Change) -> None:
    """One line for each change of the breaker's position."""
    match change.position:
        case Position.OPEN:
            log.error("breaker_open", decisions=change.decisions, breaches=change.breaches)
        case Position.HALF_OPEN:
            log.info("breaker_tries")
        case Position.CLOSED:
            log.info("breaker_closed")


class Follower:
    """Swaps plan and models as they change. What does not fit is refused and logged; the last good one goes on."""

    def __init__(self, engine: Engine, shelf: ModelShelf, budgets: Budgets) -> None:
        """Feed `engine`, and tell `budgets` what is limited."""
        self._budgets = budgets
        self._engine = engine
        self._shelf = shelf
        self._in_use = asyncio.Event()
        self._plan: Plan | None = None
        self._variants: dict[Variant, Plan] = {}
        self._swapping = asyncio.Lock()

    async def follow_catalog(self, catalogs: CatalogStore) -> None:
        """Use each catalogue that becomes current. Where the first cannot be used: the newest before it that can."""
        async for revision in catalogs.revisions():
            refused = await self._take(catalogs, revision)
            if refused and self._plan is None:
                await self._fall_back(catalogs, revision)
            in_use = 0 if self._plan is None else self._plan.revision
            try:
                await catalogs.report(Uptake(in_use, revision, refused) if refused else Uptake(in_use))
            except nats.errors.Error as error:  # whoever applied it is told less; decisions are the same
                log.warning("uptake_not_reported", revision=revision, error=repr(error))

    async def _take(self, catalogs: CatalogStore, revision: int) -> str:
        """Compile a catalogue, off the loop, and use it. Returns why that cannot be; empty when it is in use."""
        try:
            catalog = await when_reachable(partial(catalogs.fetch, revision))
            plan, variants = await when_reachable(partial(compiled, catalog, revision, catalogs))
        except (*UNCOMPILABLE, WaylineError) as error:
            refused = in_words(error)
            log.error("catalog_refused", revision=revision, error=refused)
            return refused or repr(error)
        budgets = (plan.budgets, *(variant.budgets for variant in variants.values()))
        await self._budgets.prepare(*budgets)
        async with self._swapping:
            self._plan, self._variants = plan, variants
            self._budgets.use(*budgets)
            await self._swap()
        self._in_use.set()
        log.info("catalog_in_use", revision=revision, actions=len(plan.actions), treatments=len(plan.rows))
        return ""

    async def _fall_back(self, catalogs: CatalogStore, refused: int) -> None:
        """Rather an earlier catalogue than none; unless another has become current meanwhile, which has its turn."""
        for earlier in range(refused - 1, 0, -1):
            if await when_reachable(catalogs.current_revision) != refused:
                return
            if not await self._take(catalogs, earlier):
                return

    async def wait_for_catalog(self, timeout_seconds: float) -> None:
        """Until one is in use; not for ever, since all that are stored may be broken."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._in_use.wait(), timeout_seconds)

    async def tell(self, health: Health) -> None:
        """Be ready from the first catalogue on."""
        await health.set_ready(self._in_use.is_set())
        await self._in_use.wait()
        await health.set_ready(True)

    async def follow_models(self, registry: Registry) -> None:
        """Load each champion, and use it."""
        async for model in registry.watch():
            async with self._swapping:
                if await self._shelf.update(model):
                    await self._swap()

    async def _swap(self) -> None:
        if self._plan is not None:
            champions = dict(self._shelf.champions)
            self._engine.use(await asyncio.to_thread(fitted, self._plan, self._variants, champions))
