"""`wayline bench backfill`: traits are added to a store full of customers, which then is as if it had always had them.

In this process, on RocksDB, without NATS: what is measured is the walk, and for how long it keeps events waiting.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from time import perf_counter, time_ns

from wayline.catalog.model import Catalog
from wayline.catalog.traits import EventTrait
from wayline.v1 import events_pb2
from wayline_bench import shop
from wayline_bench.machine import BenchError
from wayline_bench.report import Figure, Limit, Report, percentile
from wayline_profile.backfill import Backfill, noted_in
from wayline_profile.core.backfill import Walk
from wayline_profile.core.backfill_status import share_done
from wayline_profile.core.changes import Read
from wayline_profile.core.fold import Definitions, definitions_of
from wayline_profile.core.loading import load
from wayline_profile.core.projector import Projector
from wayline_profile.store.records import STRAND
from wayline_profile.store.rocksdb import RocksProfileStore

Progress = Callable[[str, int, int], None]
_PAGE = 1_000
_SIGN_IN_EVERY = 19
_BROWSERS_OF_A_USER = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillSize:
    """How much is measured."""

    customers: int = 100_000
    """At least."""
    events_each: int = 4
    during_share: float = 0.05
    """Of the events, those that come while the traits are filled in."""
    batch: int = 256

    @property
    def browsers(self) -> int:
        """More, since those of a user who signs in on several become one customer."""
        return self.customers * 5 // 4

    @property
    def events(self) -> int:
        """All of them."""
        return self.browsers * self.events_each


def bench(size: BackfillSize, progress: Progress) -> Report:
    """Measure, and compare.

    Raises:
        BenchError: what was filled in differs from what was folded from the start.
    """
    after = Catalog(traits={name: one for name, one in shop.catalog().traits.items() if isinstance(one, EventTrait)})
    names = sorted(after.traits)
    before = after.model_copy(update={"traits": {name: after.traits[name] for name in names[::2]}})
    former, definitions = definitions_of(before), definitions_of(after)
    early = int(size.events * (1 - size.during_share))
    with tempfile.TemporaryDirectory(prefix="wayline-bench-") as directory:
        store = RocksProfileStore(Path(directory) / "grown")
        scratch = RocksProfileStore(Path(directory) / "scratch")
        events = list(_events(size))
        try:
            Backfill(store, now_ms=_now_ms).use(former)
            Backfill(scratch, now_ms=_now_ms).use(definitions)
            stream = iter(events)
            _fold(store, former, islice(stream, early), size.batch, lambda done: progress("fold", done, early))
            walked = _walk(store, definitions, stream, size, lambda done: progress("fill in", done, 100))
            _fold(scratch, definitions, iter(events), size.batch, lambda done: progress("fold anew", done, size.events))
            compared = _compare(store, scratch)
            strands = sum(1 for _ in _strands(store))
        finally:
            store.close()
            scratch.close()
    return Report(
        "backfill",
        [
            Figure("different", compared.different, "profiles and strands that are not the same bytes", Limit(most=0)),
            Figure("profiles", compared.profiles, "compared with a fold from scratch", Limit(least=size.customers)),
            Figure("strands", strands, "of customers who came under several identifiers"),
            Figure("traits_before", len(before.traits), "made of events"),
            Figure("traits_added", len(after.traits) - len(before.traits), "while the store was in use"),
            Figure(
                "profiles_per_s", round(compared.profiles / walked.seconds), "filled in; without the events in between"
            ),
            Figure("events_per_s", round(walked.events / walked.seconds), "read for it"),
            Figure("step_p50_ms", round(percentile(walked.steps_ms, 0.5), 2), "for so long events wait for a step"),
            Figure("step_p99_ms", round(percentile(walked.steps_ms, 0.99), 2), "", Limit(most=50)),
            Figure("events_between", walked.between, "folded while the traits were filled in"),
        ],
        ["in one process, without NATS, views and audiences"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walked:
    seconds: float
    events: int
    between: int
    steps_ms: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    profiles: int
    different: int


def _walk(
    store: RocksProfileStore,
    definitions: Definitions,
    events: Iterator[bytes],
    size: BackfillSize,
    progress: Callable[[int], None],
) -> _Walked:
    """Steps, and a batch of events after each while there are any."""
    backfill = Backfill(store, now_ms=_now_ms)
    backfill.use(definitions)
    steps_ms: list[float] = []
    between = 0
    walk = Walk()
    while backfill.running:
        began = perf_counter()
        with store.begin() as unit:
            unit.commit(backfill.step(unit))
        steps_ms.append((perf_counter() - began) * 1_000)
        between += _fold(store, definitions, islice(events, size.batch // 8), size.batch)
        walk = noted_in(store).walk or Walk()
        progress(int(share_done(walk) * 100))
    between += _fold(store, definitions, events, size.batch)
    return _Walked(seconds=sum(steps_ms) / 1_000, events=walk.events, between=between, steps_ms=steps_ms)


def _fold(
    store: RocksProfileStore,
    definitions: Definitions,
    events: Iterator[bytes],
    batch: int,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Fold events as the worker does; how many there were."""
    folded = 0
    sequence = max(store.positions().values(), default=0)
    while taken := list(islice(events, batch)):
        read = (events_pb2.Event.FromString(data) for data in taken)
        reads = [Read(0, sequence + at, one, data) for at, (one, data) in enumerate(zip(read, taken, strict=True), 1)]
        sequence += len(reads)
        with store.begin() as unit:
            commit = Projector(definitions, load(unit, [one.event for one in reads], definitions)).project(reads)
            commit.positions = {0: sequence}
            unit.commit(commit)
        folded += len(reads)
        progress(folded)
    return folded


def _events(size: BackfillSize) -> Iterator[bytes]:
    """What the visitors of the example shop do, browser after browser; now and then one signs in."""
    visitors = shop.Visitors(visitors=size.browsers, seed=1, run="backfill")
    for number in range(size.events):
        event = visitors.event()
        browser = number % size.browsers
        event.anonymous_id = visitors.visitor(browser)
        if number % _SIGN_IN_EVERY == 0:
            event.type = events_pb2.EVENT_TYPE_IDENTIFY
            event.user_id = f"user-{browser // _BROWSERS_OF_A_USER}"
        yield event.SerializeToString()


def _compare(store: RocksProfileStore, scratch: RocksProfileStore) -> _Compared:
    """Both, profile by profile and strand by strand.

    Raises:
        BenchError: there is nothing to compare.
    """
    profiles = different = 0
    for one, other in zip_longest(store.profiles(), scratch.profiles()):
        profiles += 1
        if one is None or other is None:
            different += 1
        else:
            different += one.SerializeToString(deterministic=True) != other.SerializeToString(deterministic=True)
    different += sum(one != other for one, other in zip_longest(_strands(store), _strands(scratch)))
    if not profiles:
        raise BenchError("the store is empty")
    return _Compared(profiles=profiles, different=different)


def _strands(store: RocksProfileStore) -> Iterator[tuple[bytes, bytes]]:
    after = b""
    while rows := store.scan(STRAND, after=after, at_most=_PAGE):
        yield from rows
        after = rows[-1][0]


def _now_ms() -> int:
    return time_ns() // 1_000_000
