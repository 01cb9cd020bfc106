"""`wayline bench freshness`: how long after its answer an accepted event shows in decisions, under a steady load.

So does a word on consent: how long after it was withdrawn decisions stop using the profile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

from wayline.cluster import Addresses
from wayline.v1 import decision_pb2, decision_pb2_grpc, events_pb2, ingestion_pb2, ingestion_pb2_grpc
from wayline_bench import shop
from wayline_bench.machine import BenchError, others_at_work, python, started_json
from wayline_bench.paced import Paced
from wayline_bench.report import Figure, Limit, Report, percentiles
from wayline_bench.system import channel, started

ENOUGH_SAMPLES = 300
"""For a 99th percentile."""
_VISITORS = 50
_POLL_SECONDS = 0.001
_PATIENCE_SECONDS = 5.0
_WARM_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessSize:
    """How much is measured."""

    seconds: float = 15.0
    events_per_s: int = 2_000
    visitors: int = 5_000


@dataclass(slots=True)
class _Found:
    """Milliseconds by probe; `stale`: answers that said that the event, or the profile, was not there in time."""

    visible_ms: list[float] = field(default_factory=list)
    at_least_ms: list[float] = field(default_factory=list)
    withdrawn_ms: list[float] = field(default_factory=list)
    withdrawn_at_least_ms: list[float] = field(default_factory=list)
    stale: int = 0


async def bench(size: FreshnessSize) -> Report:
    """Measure.

    Raises:
        BenchError, ClusterError, grpc.RpcError: it could not run, or a decision was wrong.
    """
    found, busy = _Found(), await others_at_work()
    async with started(shop.marked_catalog()) as system:
        addresses = system.cluster.addresses
        duration = size.seconds + _WARM_SECONDS
        arguments = (addresses.ingestion, str(size.events_per_s), str(duration), str(size.visitors))
        async with started_json(python("wayline_bench.paced", *arguments), frozenset(), duration + 15) as load:
            deadline = time.monotonic() + duration
            with ThreadPoolExecutor(len(_PROBES)) as pool:
                loop = asyncio.get_running_loop()
                probes = [
                    loop.run_in_executor(pool, _probe, addresses, name, take, found, deadline)
                    for name, take in _PROBES.items()
                ]
                await asyncio.gather(*probes)
            paced = Paced(**await load())
    return _report(size, found, paced, busy)


class Prober:
    """One visitor after the other is marked with a number that was never used before, and decided for."""

    def __init__(self, addresses: Addresses, name: str) -> None:
        """Connect."""
        self._channels = [channel(addresses.ingestion), channel(addresses.decision)]
        self._ingestion = ingestion_pb2_grpc.IngestionServiceStub(self._channels[0])
        self._decision = decision_pb2_grpc.DecisionServiceStub(self._channels[1])
        self._name = name

    def close(self) -> None:
        """Disconnect."""
        for one in self._channels:
            one.close()

    def mark(self, number: int) -> events_pb2.EventToken:
        """Send a mark and wait until it was accepted.

        Raises:
            BenchError: it was not; or the decision showed it before it was sent.
        """
        if self.sees(number)[0]:
            raise BenchError(f"a decision showed mark {number} before it was sent")
        return self._collect(shop.mark_event(self._visitor(number), number, f"mark-{self._name}-{number}"))

    def withdraw(self, number: int) -> events_pb2.EventToken:
        """Withdraw the consent of a mark's visitor, and wait until that was accepted.

        Raises:
            BenchError: it was not.
        """
        message_id = f"withdrawal-{self._name}-{number}"
        return self._collect(shop.mark_event(self._visitor(number), number, message_id, allowed=False))

    def _collect(self, event: events_pb2.Event) -> events_pb2.EventToken:
        response = self._ingestion.Collect(ingestion_pb2.CollectRequest(events=[event]), timeout=_PATIENCE_SECONDS)
        result: ingestion_pb2.EventResult = response.results[0]
        if result.status != ingestion_pb2.EVENT_STATUS_ACCEPTED:
            raise BenchError(f"a mark was not accepted: {result}")
        return result.token

    def sees(self, number: int, *at_least: events_pb2.EventToken) -> tuple[bool, bool]:
        """Whether a decision shows the mark, and whether it says that the event, or the profile, was not there."""
        request = decision_pb2.DecideRequest(
            customer=events_pb2.Identifier(kind="anonymous_id", value=self._visitor(number)),
            placements=[decision_pb2.PlacementRequest(placement=shop.MARK_PLACEMENT)],
            at_least=at_least,
        )
        request.context.fields[shop.MARK].number_value = number
        response = self._decision.Decide(request, timeout=_PATIENCE_SECONDS)
        chosen = [one.action for one in response.placements[0].selections]
        unread = response.personalisation == decision_pb2.PERSONALISATION_UNAVAILABLE
        return chosen == [shop.MARKED], response.stale or unread

    def _visitor(self, number: int) -> str:
        return f"browser-{self._name}-{number % _VISITORS}"


def _probe(
    addresses: Addresses, name: str, take: Callable[[Prober, int, _Found], None], found: _Found, deadline: float
) -> None:
    """Take samples until the deadline; those of the first moments are thrown away."""
    prober = Prober(addresses, name)
    warm_until = time.monotonic() + _WARM_SECONDS
    warming = _Found()
    try:
        for number in count(1):
            now = time.monotonic()
            if now > deadline:
                return
            take(prober, number, warming if now < warm_until else found)
    finally:
        prober.close()


def _take_visible(prober: Prober, number: int, found: _Found) -> None:
    """Ask again and again, a millisecond apart, until the decision shows the mark."""
    prober.mark(number)
    accepted = time.perf_counter()
    while not prober.sees(number)[0]:
        if time.perf_counter() - accepted > _PATIENCE_SECONDS:
            raise BenchError(f"mark {number} did not show in decisions within {_PATIENCE_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)
    found.visible_ms.append((time.perf_counter() - accepted) * 1_000)


def _take_at_least(prober: Prober, number: int, found: _Found) -> None:
    """Ask once, with the event's token."""
    token = prober.mark(number)
    accepted = time.perf_counter()
    seen, stale = prober.sees(number, token)
    found.at_least_ms.append((time.perf_counter() - accepted) * 1_000)
    if stale:
        found.stale += 1
    elif not seen:
        raise BenchError(f"a decision with the token of mark {number} did not show it, and did not say stale")


def _take_withdrawn(prober: Prober, number: int, found: _Found) -> None:
    """Show a mark, withdraw the consent, and ask until it no longer shows; every other time once, with the token."""
    seen, stale = prober.sees(number, prober.mark(number))
    if stale:
        found.stale += 1
        return
    if not seen:
        raise BenchError(f"a decision with the token of mark {number} did not show it, and did not say stale")
    token = prober.withdraw(number)
    accepted = time.perf_counter()
    if number % 2:
        seen, stale = prober.sees(number, token)
        found.withdrawn_at_least_ms.append((time.perf_counter() - accepted) * 1_000)
        found.stale += stale
        if seen and not stale:
            raise BenchError(f"a decision with the token of withdrawal {number} used the profile")
        return
    while any(prober.sees(number)):  # a profile that could not be read shows no mark either
        if time.perf_counter() - accepted > _PATIENCE_SECONDS:
            raise BenchError(f"withdrawal {number} was not in force within {_PATIENCE_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)
    found.withdrawn_ms.append((time.perf_counter() - accepted) * 1_000)


_PROBES: Mapping[str, Callable[[Prober, int, _Found], None]] = {
    "visible": _take_visible,
    "at-least": _take_at_least,
    "withdrawn": _take_withdrawn,
}


def _report(size: FreshnessSize, found: _Found, paced: Paced, busy: Sequence[str]) -> Report:
    kinds = (found.visible_ms, found.at_least_ms, found.withdrawn_ms, found.withdrawn_at_least_ms)
    if not all(kinds):
        raise BenchError("no sample was taken in the time given: measure for longer")
    visible, at_least, withdrawn, withdrawn_at_least = (percentiles(one) for one in kinds)
    shared = "all processes share all processors, the load and the probes included; probes poll a millisecond apart"
    notes = [shared, *busy]
    if min(map(len, kinds)) < ENOUGH_SAMPLES:
        notes.append(f"a 99th percentile of fewer than {ENOUGH_SAMPLES} samples says little: measure for longer")
    if paced.accepted_per_s < 0.97 * size.events_per_s:
        notes.append(f"the load did not reach {size.events_per_s} events/s: the figures flatter")
    return Report(
        "freshness",
        [
            Figure("p50_ms", visible["p50"], "from the accepted answer to a decision that shows the event"),
            Figure("p99_ms", visible["p99"], "the same", Limit(most=50.0)),
            Figure("at_least_p50_ms", at_least["p50"], "one decision that waits for the event's token"),
            Figure("at_least_p99_ms", at_least["p99"], "the same"),
            Figure(
                "withdrawn_p50_ms", withdrawn["p50"], "from the accepted withdrawal to a decision without the profile"
            ),
            Figure("withdrawn_p99_ms", withdrawn["p99"], "the same", Limit(most=50.0)),
            Figure("withdrawn_token_p99_ms", withdrawn_at_least["p99"], "one decision, with the withdrawal's token"),
            Figure(
                "stale", found.stale, "of those said that the event or the profile was not there in time", Limit(most=0)
            ),
            Figure("samples", len(found.visible_ms), "of the first kind"),
            Figure("at_least_samples", len(found.at_least_ms), "of the second"),
            Figure("withdrawn_samples", len(found.withdrawn_ms), "of the third"),
            Figure("withdrawn_token_samples", len(found.withdrawn_at_least_ms), "of the fourth"),
            Figure("events_per_s", paced.accepted_per_s, "accepted meanwhile, a batch every 10 ms"),
            Figure("collect_p50_ms", paced.answer_p50_ms, "until a batch of them was accepted"),
            Figure("collect_p99_ms", paced.answer_p99_ms, "the same"),
            Figure("load_late_p99_ms", paced.late_p99_ms, "how much later than planned batches left"),
        ],
        notes,
    )
