"""`wayline bench exactly-once`: whatever comes twice, in any order, while processes are killed, counts once."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wayline.v1 import profile_pb2
from wayline_bench import shop
from wayline_bench.machine import BenchError
from wayline_bench.report import Figure, Limit, Report
from wayline_bench.stores import StoreName, empty_stores
from wayline_bench.stress import trial
from wayline_bench.stress.holdings import Holdings, of_postgresql, of_rocksdb
from wayline_bench.stress.story import story, told
from wayline_bench.stress.trial import Disturbance, Outcome

_AGE_SECONDS = 40 * 86_400
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactlyOnceSize:
    """How much is told, and how it is disturbed."""

    store: StoreName = "rocksdb"
    events: int = 200_000
    repeated: float = 0.1
    """The share of events that is sent twice."""
    kills: int = 20
    """Of the profile service."""
    nats_kills: int = 3
    batch: int = 256
    """Events in one commit at most."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """What is left of one run."""

    outcome: Outcome
    holdings: Holdings
    seconds: float


Progress = Callable[[str, int, int], None]
"""Told of a step, what is done and how much there is to do."""


async def bench(size: ExactlyOnceSize, progress: Progress = lambda _step, _done, _total: None) -> Report:
    """Tell one story twice: in peace and in order of its numbers, then shuffled, repeated and disturbed; and compare.

    Raises:
        BenchError: what was counted is not what was sent.
        ClusterError, grpc.RpcError: it could not run.
    """
    events = story(size.events, size.seed, int(time.time()) // 86_400 * 86_400 - _AGE_SECONDS)
    order = told(size.events, size.seed, size.repeated)
    killed = trial.victims(size.kills, size.nats_kills, size.seed)
    with empty_stores(size.store) as new_store:
        plain = await _run(events, range(size.events), size, new_store(), Disturbance(), progress)
        other = await _run(events, order, size, new_store(), Disturbance(victims=killed, seed=size.seed), progress)
    return _report(size, plain, other, len(order))


async def _run(
    events: list[bytes],
    order: range | list[int],
    size: ExactlyOnceSize,
    url: str,
    disturbance: Disturbance,
    progress: Progress,
) -> Run:
    step = "disturbed" if disturbance.victims else "in peace"
    env = {"WAYLINE_PROFILE_BATCH": str(size.batch), "WAYLINE_PROFILE_STORE": url}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wayline-bench-") as directory:
        data = Path(directory) / "data"
        outcome = await trial.run(
            events, order, shop.catalog(), data, env, disturbance, lambda done: progress(step, done, len(order))
        )
        seconds = time.monotonic() - began
        if size.store == "rocksdb":
            holdings = of_rocksdb(data / "profile")
        else:
            holdings = await asyncio.to_thread(of_postgresql, url)
    return Run(outcome, holdings, seconds)


def _report(size: ExactlyOnceSize, plain: Run, other: Run, sent: int) -> Report:
    _check(plain.outcome.found, size.events)
    differences = plain.holdings.differences(other.holdings)
    found, restarts = other.outcome.found, other.outcome.restarts
    sizes = plain.holdings.sizes()
    counted = [
        name for name in ("profiles", "events_folded") if getattr(plain.outcome.found, name) != getattr(found, name)
    ]
    return Report(
        "exactly-once",
        [
            Figure(
                "differences", sum(map(len, differences.values())), "rows that the two runs do not share", Limit(most=0)
            ),
            Figure("miscounted", len(counted), "counters that differ", Limit(most=0)),
            Figure("store", size.store, "of profiles"),
            Figure("events", size.events, "different ones"),
            Figure("sent", sent, "with those that came again later, in the disturbed run"),
            Figure("duplicates", found.duplicates, "that the profile service left out"),
            Figure("poison", plain.outcome.found.poison, "that name nobody, in the quiet run"),
            Figure("profile_kills", size.kills, f"kill -9; it was started again {restarts[trial.PROFILE]} times"),
            Figure("nats_kills", size.nats_kills, f"kill -9; it was started again {restarts['nats']} times"),
            Figure("kills_under_load", other.outcome.kills_under_load, "while events waited to be folded"),
            *(Figure(f"rows_{name}", rows, "compared, byte for byte") for name, rows in sizes.items()),
            Figure(
                "profiles_digest", plain.holdings.digest("profiles"), "BLAKE2b of all profiles: the same in every store"
            ),
            Figure("in_peace_s", round(plain.seconds, 1), "start, collection, folding, stop"),
            Figure("disturbed_s", round(other.seconds, 1), "the same with kills"),
        ],
        [
            *(f"counted differently: {name}" for name in counted),
            *(
                f"{name}: {len(keys)} rows differ, for instance {', '.join(key.hex() for key in keys[:_SHOWN])}"
                for name, keys in differences.items()
            ),
        ],
    )


def _check(found: profile_pb2.GetStatisticsResponse, events: int) -> None:
    if found.events_folded + found.poison + found.duplicates < events or found.duplicates:
        raise BenchError(
            f"{events} events were sent in peace, {found.events_folded} folded, {found.poison} unreadable, "
            f"{found.duplicates} counted as duplicates"
        )
