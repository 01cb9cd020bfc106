"""`wayline bench collect`: how fast events are accepted, and how fast a backlog of them becomes profiles."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc

from wayline.identity import identity_key
from wayline.v1 import ingestion_pb2, profile_pb2, profile_pb2_grpc
from wayline_bench import disk, shop
from wayline_bench.machine import BenchError, choose_cores, cpu_seconds, others_at_work, python, run_json
from wayline_bench.report import Figure, Limit, Report
from wayline_bench.shop import Visitors
from wayline_bench.stores import StoreName, empty_stores
from wayline_bench.system import Running, channel, started, wait_until_folded

PATH = "/wayline.v1.IngestionService/Collect"
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0
_VIEWS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectSize:
    """How much is measured."""

    seconds: float = 6.0
    """Of collection; folding what was collected comes after it and takes as long as it takes."""
    most_events: int = 80_000
    batch: int = 250
    callers: int = 4
    visitors: int = 5_000
    warm_calls: int = 8
    store: StoreName = "rocksdb"
    cached_views: int = 100_000


@dataclass(frozen=True, slots=True)
class _Collected:
    """What the callers got: all answers, in `seconds`."""

    answers: list[bytes]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Folding:
    """How fast a backlog was folded, and what the profile service holds after it."""

    events_per_s: float
    found: profile_pb2.GetStatisticsResponse


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is left when everything was stopped: bytes by table on disk, and what a cached view takes in memory."""

    sizes: Mapping[str, int]
    view_bytes: float


async def bench(size: CollectSize) -> Report:
    """Measure.

    The profile service is stopped during collection, so that ingestion has its processor to itself, and goes on
    afterwards on the same one.

    Raises:
        BenchError, ClusterError, grpc.RpcError: it could not run.
    """
    # A database syncs its log as it should.
    with empty_stores(size.store, "fsync=on", "shared_buffers=256MB") as new_store:
        return await _bench(size, new_store())


async def _bench(size: CollectSize, url: str) -> Report:
    cores, busy = choose_cores(), await others_at_work()
    catalog = shop.segmented_catalog()
    visitors = Visitors(visitors=size.visitors, seed=1, run="collect")
    warm = [visitors.call(size.batch) for _ in range(size.warm_calls)]
    warm_events = size.batch * size.warm_calls
    calls = [visitors.call(size.batch) for _ in range(size.most_events // size.batch)]
    pins = {"ingestion": cores.server, "profile": cores.server}
    async with started(catalog, pins, env={"WAYLINE_PROFILE_STORE": url}) as system:
        cluster, addresses = system.cluster, system.cluster.addresses
        system.pin_others(("ingestion", "profile"), cores)
        count_accepted((await asyncio.to_thread(_send, addresses.ingestion, warm, size.callers, size.seconds)).answers)
        await asyncio.to_thread(wait_until_folded, addresses.profile, warm_events)
        cluster.kill("profile", signal.SIGSTOP)
        used = cpu_seconds(cluster.pid("ingestion"))
        try:
            collected = await asyncio.to_thread(_send, addresses.ingestion, calls, size.callers, size.seconds)
            ingestion_cpu = cpu_seconds(cluster.pid("ingestion")) - used
            used = cpu_seconds(cluster.pid("profile"))
        finally:
            cluster.kill("profile", signal.SIGCONT)
        resumed = time.perf_counter()
        folding = await asyncio.to_thread(_fold, addresses.profile, warm_events)
        profile_cpu = cpu_seconds(cluster.pid("profile")) - used
        profile_seconds = time.perf_counter() - resumed
        accepted = count_accepted(collected.answers)
        _check(folding.found, accepted + warm_events)
        kept = await _kept(system, visitors, size, url)
    found = folding.found
    bytes_per_event = sum(map(len, calls)) / len(calls) / size.batch
    return Report(
        "collect",
        [
            Figure("accepted_per_s", round(accepted / collected.seconds), "stored in JetStream", Limit(least=6_000)),
            Figure(
                "ingestion_cpu", round(ingestion_cpu / collected.seconds, 2), "processors that ingestion used meanwhile"
            ),
            Figure(
                "folded_per_s",
                round(folding.events_per_s),
                "a backlog, into profiles, audiences and views",
                Limit(least=10_000) if size.store == "rocksdb" else None,
            ),
            Figure(
                "folded_per_cpu_s",
                round(accepted / profile_cpu) if profile_cpu else math.nan,
                "the same for each second of processor time, which others at work change less",
            ),
            Figure(
                "profile_cpu",
                round(profile_cpu / profile_seconds, 2),
                "processors that the profile service used meanwhile",
            ),
            Figure("events", accepted, f"in calls of {size.batch}, {size.callers} at once"),
            Figure("event_bytes", round(bytes_per_event), "on the average"),
            Figure("profiles", found.profiles, "visitors of the example shop"),
            Figure("store", size.store, "of profiles"),
            Figure("traits", shop.computed_traits(catalog), "computed of events, or of other traits"),
            Figure("audiences", len(catalog.audiences), "judged at each event"),
            Figure(
                "disk_bytes_per_profile",
                disk.per_profile(kept.sizes, found.profiles),
                "profile, identifiers and records, compacted",
            ),
            Figure(
                "disk_bytes_per_event",
                disk.per_event(kept.sizes, accepted + warm_events),
                "timeline and message ids, compacted",
            ),
            Figure(
                "view_memory_bytes", round(kept.view_bytes), f"a cached view, of {size.cached_views} in one process"
            ),
        ],
        [cores.describe(), *busy, "the server is the limit where its processors are near 1"],
    )


async def _kept(system: Running, visitors: Visitors, size: CollectSize, url: str) -> _Kept:
    views = system.directory / "views"
    await asyncio.to_thread(_save_views, system.cluster.addresses.profile, visitors, size.visitors, views)
    await system.cluster.stop()
    command = python("wayline_bench.view_memory", str(views), str(size.cached_views))
    view_bytes = float(await run_json(command, frozenset()))
    if size.store == "rocksdb":
        sizes = disk.of_rocksdb(system.directory / "data" / "profile")
    else:
        sizes = await asyncio.to_thread(disk.of_postgresql, url)
    return _Kept(sizes, view_bytes)


def _save_views(address: str, visitors: Visitors, number: int, path: Path) -> None:
    """The views of some visitors, as the decision service gets them."""
    names = (visitors.visitor(at) for at in range(min(number, _VIEWS)))
    request = profile_pb2.BatchGetViewsRequest(identity_keys=[identity_key("anonymous_id", name) for name in names])
    with channel(address) as connection:
        stub = profile_pb2_grpc.ProfileServiceStub(connection)
        path.write_bytes(stub.BatchGetViews(request, timeout=_PATIENCE_SECONDS).SerializeToString())


def count_accepted(answers: Sequence[bytes]) -> int:
    """How many events were accepted.

    Raises:
        BenchError: one was not.
    """
    accepted = 0
    for answer in answers:
        for result in ingestion_pb2.CollectResponse.FromString(answer).results:
            if result.status != ingestion_pb2.EVENT_STATUS_ACCEPTED:
                raise BenchError(f"an event was not accepted: {result}")
            accepted += 1
    return accepted


def _send(address: str, calls: Sequence[bytes], callers: int, seconds: float) -> _Collected:
    """Send what can be sent in `seconds`, each caller waiting for each of its answers."""
    started = time.perf_counter()
    deadline = started + seconds

    def caller(own: Sequence[bytes]) -> Iterator[bytes]:
        with channel(address) as connection:
            collect: grpc.UnaryUnaryMultiCallable[bytes, bytes] = connection.unary_unary(PATH)
            for call in own:
                if time.perf_counter() > deadline:
                    return
                yield collect(call, timeout=_PATIENCE_SECONDS)

    with ThreadPoolExecutor(callers) as pool:
        parts = list(pool.map(lambda at: list(caller(calls[at::callers])), range(callers)))
    return _Collected([answer for part in parts for answer in part], time.perf_counter() - started)


def _fold(address: str, before: int) -> _Folding:
    """Wait until nothing is left to fold; `before` so many were folded already.

    The rate counts from the first commit that is seen: before it, the service notices that it was stopped.

    Raises:
        BenchError: it took too long.
    """
    began = time.perf_counter()
    first: tuple[float, int] | None = None
    with channel(address) as connection:
        stub = profile_pb2_grpc.ProfileServiceStub(connection)
        while True:
            found: profile_pb2.GetStatisticsResponse = stub.GetStatistics(
                profile_pb2.GetStatisticsRequest(), timeout=_PATIENCE_SECONDS
            )
            now = time.perf_counter()
            if not found.lag:
                since, already = first or (began, before)
                folded = found.events_folded - already
                return _Folding(folded / (now - since), found)
            if now > began + _PATIENCE_SECONDS:
                raise BenchError(f"{found.lag} events were still not folded after {_PATIENCE_SECONDS:g} s")
            if first is None and found.events_folded > before:
                first = now, found.events_folded
            time.sleep(_POLL_SECONDS)


def _check(found: profile_pb2.GetStatisticsResponse, accepted: int) -> None:
    if (found.events_folded, found.duplicates, found.poison) != (accepted, 0, 0):
        raise BenchError(
            f"{accepted} events were accepted, {found.events_folded} folded; "
            f"{found.duplicates} counted as duplicates, {found.poison} unreadable"
        )
