"""The whole path of a decision without the network: `python -m wayline_bench.in_process SECONDS [--profile]`.

Bytes in, bytes out: parse, look the view up, decide, record, serialise, as the service's handler does it. Views come
from memory, records go nowhere. Prints JSON; the first pass over the customers, in which views are read and encoded
for the model, is told apart from the passes after it.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import statistics
import sys
import time
from collections.abc import Sequence
from typing import cast

from wayline.catalog.schema import Schema
from wayline.identity import identity_key
from wayline.lifecycle import collect_rarely
from wayline.publish import Ack, AckedPublisher, Message
from wayline.scoring import Scorer
from wayline.v1 import decision_pb2, profile_pb2, profile_pb2_grpc
from wayline_bench import world
from wayline_bench.report import percentile
from wayline_bench.system import is_scored
from wayline_bench.world import WorldSize
from wayline_decision.core.compile import compile_plan
from wayline_decision.engine import Engine
from wayline_decision.models import Loaded
from wayline_decision.records import RecordLog
from wayline_decision.states import fitted
from wayline_decision.views import ViewCache

_DEADLINE_SECONDS = 1.0
_BUFFER_BYTES = 1 << 30
_CUSTOMERS_A_CALL = 2_000
_SHOWN = 20


class Nowhere:
    """In place of the publisher: whatever comes is stored, or so it says."""

    async def publish(self, messages: Sequence[Message]) -> list[Ack]:
        """Forget the messages."""
        return [Ack(sequence=1, duplicate=False) for _ in messages]


class Views:
    """In place of the profile service: the views of all customers, from memory."""

    def __init__(self, size: WorldSize, schema: Schema) -> None:
        """Make them."""
        self._views: dict[bytes, profile_pb2.CustomerView] = {}
        names = world.feature_names(size.features)
        for customer, row in enumerate(world.features(size).tolist()):
            key = identity_key("user_id", world.user_id(customer))
            self._views[key] = profile_pb2.CustomerView(
                profile_id=key.hex(),
                identity_keys=[key],
                version=customer + 1,
                traits=schema.traits(**dict(zip(names, row, strict=True))).SerializeToString(),
                consents={"personalisation": True},
            )

    @property
    def keys(self) -> list[bytes]:
        """All identity keys."""
        return list(self._views)

    def BatchGetViews(  # noqa: N802 - as in the contract
        self,
        request: profile_pb2.BatchGetViewsRequest,
        timeout: float,  # noqa: ARG002 - as callers give it
    ) -> profile_pb2.BatchGetViewsResponse:
        """Those that are asked for."""
        return profile_pb2.BatchGetViewsResponse(views=[self._views[key] for key in request.identity_keys])


class Path:
    """An engine in this process, and what it is asked."""

    def __init__(self, size: WorldSize) -> None:
        """Compile, load, and fill the cache of views."""
        collect_rarely()
        plan = compile_plan(world.catalog(size), 1)
        views = Views(size, plan.schema)
        cache = ViewCache(
            cast(profile_pb2_grpc.ProfileServiceStub, views), size=2 * size.customers, timeout_seconds=_DEADLINE_SECONDS
        )
        cache.follow(True)
        for start in range(0, size.customers, _CUSTOMERS_A_CALL):
            cache.get(views.keys[start : start + _CUSTOMERS_A_CALL])
        self._records = RecordLog(cast(AckedPublisher, Nowhere()), max_bytes=_BUFFER_BYTES)
        self._engine = Engine(cache, self._records)
        manifest = world.manifest(size)
        loaded = Loaded(manifest, 1, Scorer(manifest, world.model(size)))
        self._engine.use(fitted(plan, {}, {world.MODEL: loaded}))
        self.requests = world.encoded(world.requests(size))

    def answer(self, request: bytes) -> bytes:
        """What the service does between the bytes that come and the bytes that go."""
        return self._engine.decide(request, _DEADLINE_SECONDS)

    def flush(self) -> None:
        """Encode the records of the decisions since the last time, and send them nowhere."""
        asyncio.run(self._records.flush(_DEADLINE_SECONDS))

    def walk(self, deadline: float) -> list[int]:
        """One pass over the customers, or until the deadline; nanoseconds for each."""
        took: list[int] = []
        clock = time.perf_counter_ns
        for request in self.requests:
            started = clock()
            self.answer(request)
            took.append(clock() - started)
            if len(took) % 100 == 0:  # as often as the service does under load
                self.flush()
                if time.perf_counter() > deadline:
                    break
        return took

    def check(self) -> None:
        """A benchmark of decisions that are not made would be of no use."""
        for request in self.requests[:100]:
            if not is_scored(decision_pb2.DecideResponse.FromString(self.answer(request))):
                sys.exit("a decision was not scored by the model")


def measure(size: WorldSize, seconds: float) -> dict[str, float]:
    """Microseconds per decision, after a first pass over all customers."""
    path = Path(size)
    path.check()
    first = path.walk(time.perf_counter() + 5 * seconds)
    deadline = time.perf_counter() + seconds
    took: list[int] = []
    while not took or time.perf_counter() < deadline:
        took += path.walk(deadline)
    return {
        "in_process_us": round(statistics.median(took) / 1_000, 1),
        "in_process_mean_us": round(statistics.fmean(took) / 1_000, 1),
        "in_process_p99_us": round(percentile(took, 0.99) / 1_000, 1),
        "in_process_first_us": round(statistics.median(first) / 1_000, 1),
        "calls": len(took),
    }


def profile(size: WorldSize, seconds: float) -> None:
    """Print where the time goes. cProfile about doubles the time of Python code, and adds none to that of C."""
    path = Path(size)
    path.walk(time.perf_counter() + 5 * seconds)
    profiler = cProfile.Profile()
    profiler.enable()
    path.walk(time.perf_counter() + seconds)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(_SHOWN)


def main() -> None:
    """Measure, or profile."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float)
    parser.add_argument("--customers", type=int, default=WorldSize().customers)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    size = WorldSize(customers=given.customers)
    if given.profile:
        profile(size, given.seconds)
    else:
        print(json.dumps(measure(size, given.seconds)))


if __name__ == "__main__":
    main()
