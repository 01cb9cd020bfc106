"""`wayline bench large`: a catalogue of 10,000 actions, from its files to the answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from wayline.catalog.load import load
from wayline_bench import world
from wayline_bench.batch import warm
from wayline_bench.decide import decide_latency
from wayline_bench.machine import choose_cores, others_at_work
from wayline_bench.report import Figure, Limit, Report, percentiles
from wayline_bench.system import started_world
from wayline_bench.world import WorldSize
from wayline_decision.core.compile import compile_plan

_MOST_SECONDS = 5.0
_MOST_MS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeSize:
    """How much is measured."""

    world: WorldSize = field(default_factory=lambda: WorldSize(actions=10_000, conditions=300, customers=2_000))
    seconds: float = 10.0


async def bench(size: LargeSize) -> Report:
    """Measure.

    Raises:
        BenchError, ClusterError, grpc.RpcError: it could not run.
    """
    cores, busy = choose_cores(), await others_at_work()
    async with started_world(size.world, cores) as system:
        read_s, compiled_s = await asyncio.to_thread(_catalog_seconds, size.world, system.directory)
        address = system.cluster.addresses.decision
        await asyncio.to_thread(warm, address, size.world)
        took = await asyncio.to_thread(decide_latency, address, world.requests(size.world), size.seconds)
    latency = percentiles(took)
    figures = [
        Figure("actions", size.world.actions, f"with {size.world.conditions} different conditions"),
        Figure("p50_ms", latency["p50"], "Decide, one caller, Thompson sampling, through all customers in turn"),
        Figure("p99_ms", latency["p99"], "the same", Limit(most=_MOST_MS)),
        Figure("read_s", round(read_s, 2), "the catalogue's files read and checked"),
        Figure("compile_s", round(compiled_s, 2), "compiled for deciding"),
        Figure("catalog_s", round(read_s + compiled_s, 2), "both", Limit(most=_MOST_SECONDS)),
    ]
    return Report("large", figures, [cores.describe(), *busy, f"{len(took):,} decisions"])


def _catalog_seconds(size: WorldSize, directory: Path) -> tuple[float, float]:
    file = directory / "catalog.yaml"
    data = world.catalog(size).model_dump(mode="json", by_alias=True, exclude_unset=True)
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    started = time.perf_counter()
    catalog = load(file)
    read = time.perf_counter()
    compile_plan(catalog, 1)
    return read - started, time.perf_counter() - read
