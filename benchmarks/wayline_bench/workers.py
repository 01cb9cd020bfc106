"""`wayline bench workers`: one worker on the decision service's port, and two."""

from __future__ import annotations

import asyncio
import os
import statistics
from dataclasses import dataclass, field

from wayline_bench import world
from wayline_bench.batch import warm
from wayline_bench.decide import DECIDE_PATH
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
    one = await _calls_per_s(size, 1)
    two = await _calls_per_s(size, 2)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Where the load takes the second worker's processor, there is nothing to gain.
    floor = Limit(least=_LEAST_GAIN) if cores >= _CORES_WANTED else None
    figures = [
        Figure("one_per_s", round(one), f"one worker, {CONNECTIONS * STREAMS} calls at once, median of {size.rounds}"),
        Figure("two_per_s", round(two), "two workers on the same port"),
        Figure("gain", round(two / one, 2), "two over one", floor),
    ]
    notes = [f"{cores} processors for workers, load and everything else", *busy]
    if floor is None:
        notes.append(f"no floor: that takes {_CORES_WANTED} processors, one for each worker and one for the load")
    return Report("workers", figures, notes)


async def _calls_per_s(size: WorkersSize, workers: int) -> float:
    async with started_workers(size.world, workers) as system:
        address = system.cluster.addresses.decision
        bodies = system.directory / "bodies"
        write_bodies(bodies, world.encoded(world.requests(size.world)))
        for _ in range(workers + 1):  # each worker has a cache of its own
            await asyncio.to_thread(warm, address, size.world)
        target = Target(address=address, path=DECIDE_PATH, cpus=frozenset())
        part_seconds = size.seconds / (2 * size.rounds)
        rates = [await by_ourselves(target, bodies, part_seconds, connections=CONNECTIONS) for _ in range(size.rounds)]
    return statistics.median(rate.calls_per_s for rate in rates)
