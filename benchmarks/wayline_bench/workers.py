"""`wayline bench workers`: one worker on the decision service's port, and two."""

from __future__ import annotations

import asyncio
import os
import statistics
from contextlib import nullcontext
from dataclasses import dataclass, field

from wayline_bench import world
from wayline_bench.batch import warm
from wayline_bench.decide import DECIDE_PATH
from wayline_bench.held import held, workers_of
from wayline_bench.http2 import write_bodies
from wayline_bench.load import STREAMS, Target, by_ourselves
from wayline_bench.machine import others_at_work
from wayline_bench.report import Figure, Limit, Report
from wayline_bench.system import started_workers
from wayline_bench.world import WorldSize

CONNECTIONS = 16
"""Many: the kernel spreads connections, not calls."""
_LEAST_GAIN = 1.6
_CORES_WANTED = 3
"""One for each worker and one for the load."""
_SHARE = 0.35
"""Of the time that each worker runs where there are fewer: two, the load, and all else then fit on two processors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersSize:
    """How much is measured."""

    world: WorldSize = field(default_factory=lambda: WorldSize(customers=4_000))
    rounds: int = 3
    seconds: float = 12.0


async def bench(size: WorkersSize) -> Report:
    """Measure.

    Raises:
        BenchError, ClusterError, grpc.RpcError: it could not run.
    """
    busy = await others_at_work()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Where the load takes the second worker's processor, there is nothing to gain but from workers that are held back.
    share = 1.0 if cores >= _CORES_WANTED else _SHARE
    one = await _calls_per_s(size, 1, share)
    two = await _calls_per_s(size, 2, share)
    figures = [
        Figure("one_per_s", round(one), f"one worker, {CONNECTIONS * STREAMS} calls at once, median of {size.rounds}"),
        Figure("two_per_s", round(two), "two workers on the same port"),
        Figure("gain", round(two / one, 2), "two over one", Limit(least=_LEAST_GAIN)),
    ]
    notes = [f"{cores} processors for workers, load and everything else", *busy]
    if share < 1.0:
        notes.append(f"each worker is held to {share:.0%} of the time: {_CORES_WANTED} processors would be needed else")
    return Report("workers", figures, notes)


async def _calls_per_s(size: WorkersSize, workers: int, share: float) -> float:
    async with started_workers(size.world, workers) as system:
        address = system.cluster.addresses.decision
        bodies = system.directory / "bodies"
        write_bodies(bodies, world.encoded(world.requests(size.world)))
        for _ in range(workers + 1):  # each worker has a cache of its own
            await asyncio.to_thread(warm, address, size.world)
        target = Target(address=address, path=DECIDE_PATH, cpus=frozenset())
        part_seconds = size.seconds / (2 * size.rounds)
        with held(workers_of(system.cluster.pid("decision")), share) if share < 1.0 else nullcontext():
            rates = [
                await by_ourselves(target, bodies, part_seconds, connections=CONNECTIONS) for _ in range(size.rounds)
            ]
    return statistics.median(rate.calls_per_s for rate in rates)
