"""`wayline bench batch`: decisions for many customers on one stream, scored in vectors."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc

from wayline.v1 import decision_pb2
from wayline_bench import world
from wayline_bench.machine import BenchError, Budget, choose_cores, cpu_seconds, others_at_work
from wayline_bench.report import Figure, Limit, Report
from wayline_bench.system import channel, is_scored, started_world
from wayline_bench.world import WorldSize

PATH = "/wayline.v1.DecisionService/DecideBatch"
CHUNK = 500
_WARM_PASSES = 5
_RESERVE_SECONDS = 6.0  # for the last pass, which may begin just before the end, and to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSize:
    """How much is measured."""

    world: WorldSize = field(default_factory=WorldSize)
    seconds: float = 12.0
    """Of warm passes; at least one is made."""


async def bench(size: BatchSize) -> Report:
    """Measure.

    Raises:
        BenchError, ClusterError, grpc.RpcError: it could not run.
    """
    cores, budget, busy = choose_cores(), Budget(), await others_at_work()
    async with started_world(size.world, cores) as system:
        address = system.cluster.addresses.decision
        chunks = _chunks(size.world)
        cold, answers = await asyncio.to_thread(_pass, address, chunks)
        unavailable = size.world.customers - count_scored(answers)
        await asyncio.to_thread(warm, address, size.world)
        warm_seconds: list[float] = []
        seconds = budget.for_measuring(size.seconds, reserve_seconds=_RESERVE_SECONDS)
        used = cpu_seconds(system.cluster.pid("decision"))
        while not warm_seconds or sum(warm_seconds) < seconds:
            took, answers = await asyncio.to_thread(_pass, address, chunks)
            warm_seconds.append(took)
        share = (cpu_seconds(system.cluster.pid("decision")) - used) / sum(warm_seconds)
        if count_scored(answers) != size.world.customers:
            raise BenchError("not all customers were decided by the model, although their views are in the cache")
    customers = size.world.customers
    rate = customers / statistics.median(warm_seconds)
    return Report(
        "batch",
        [
            Figure("decisions_per_s", round(rate), "views in the cache, median of the passes", Limit(least=25_000)),
            Figure("cold_decisions_per_s", round(customers / cold), "the first pass: views are asked for"),
            Figure("cold_unavailable", unavailable, "of its decisions had to do without a view, which came too late"),
            Figure("decision_cpu", round(share, 2), "processors that the decision service used in the warm passes"),
            Figure("customers", customers, f"in each pass, in chunks of {CHUNK}"),
            Figure("passes", len(warm_seconds), "over all customers"),
        ],
        [
            cores.describe(),
            *busy,
            "the client passes bytes on unread while it measures: the decision service is the limit",
        ],
    )


def warm(address: str, size: WorldSize) -> None:
    """Bring every customer's view into the decision service's cache.

    Raises:
        BenchError: views come too late even when they are asked for again.
    """
    chunks = _chunks(size)
    for _ in range(_WARM_PASSES):
        scored = count_scored(_pass(address, chunks)[1])
        if scored == size.customers:
            return
    raise BenchError(f"only {scored} of {size.customers} customers are decided by the model")


def count_scored(answers: Sequence[bytes]) -> int:
    """How many customers were decided, personally and by the model.

    Raises:
        BenchError: a request was refused.
    """
    scored = 0
    for answer in answers:
        for result in decision_pb2.DecideBatchResponse.FromString(answer).results:
            if result.error:
                raise BenchError(f"a request was refused: {result.error}")
            scored += is_scored(result.decision)
    return scored


def _chunks(size: WorldSize) -> list[bytes]:
    requests = world.requests(size)
    return [
        decision_pb2.DecideBatchRequest(requests=requests[start : start + CHUNK]).SerializeToString()
        for start in range(0, len(requests), CHUNK)
    ]


def _pass(address: str, chunks: Sequence[bytes]) -> tuple[float, list[bytes]]:
    """Seconds for all chunks, and the answers as they came."""
    with channel(address) as connection:
        call: grpc.StreamStreamMultiCallable[bytes, bytes] = connection.stream_stream(PATH)
        started = time.perf_counter()
        answers = list(call(iter(chunks), timeout=60.0))
        return time.perf_counter() - started, answers
