"""The worker: reads events, folds them, commits, and tells the feed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice

from wayline import logging
from wayline.errors import Retryable
from wayline.v1 import profile_pb2
from wayline_profile.core.changes import Commit
from wayline_profile.core.loading import load
from wayline_profile.core.projector import Projector
from wayline_profile.core.values import Evaluated, Reading, view_of
from wayline_profile.feed import ViewFeed
from wayline_profile.filling import Filling, OtherCatalog
from wayline_profile.leases import Leases
from wayline_profile.outbox import Outbox
from wayline_profile.partitions import Intake
from wayline_profile.reader import Batch
from wayline_profile.standings import Profiles, Standings
from wayline_profile.store import Conflict, PositionMoved, ProfileStore, UnitOfWork
from wayline_profile.writes import Steps, Writer

_HEARTBEAT_SECONDS = 1.0
_SWEEP_SECONDS = 5.0
_SWEEP_AT_MOST = 2_000
_DAY_MS = 86_400_000
_JUDGED_TOGETHER = 200
CustomerView = profile_pb2.CustomerView
log = logging.get("worker")


class Worker:
    """Folds the partitions of its process. Waits for a first catalogue: events are safe in the stream until then."""

    def __init__(
        self,
        store: ProfileStore,
        writer: Writer,
        leases: Leases,
        intake: Intake,
        feed: ViewFeed,
        *,
        batch: int,
        standings: Standings,
        outbox: Outbox,
        filling: Filling,
        now_ms: Callable[[], int],
    ) -> None:
        """Wire the parts together. `now_ms` is the clock of views and audiences, never of profiles."""
        self._store = store
        self._writer = writer
        self._leases = leases
        self._intake = intake
        self._feed = feed
        self._positions: dict[int, int] = {}
        """Of the partitions that are owned: up to there, every view has been published."""
        self._batch = batch
        self._standings = standings
        self._outbox = outbox
        self._filling = filling
        self._now_ms = now_ms
        self._ready = asyncio.Event()
        self._changed = asyncio.Event()
        self._reading: Reading | None = None

    @property
    def reading(self) -> Reading | None:
        """How profiles are read; None before the first catalogue."""
        return self._reading

    def use(self, reading: Reading) -> None:
        """Fold and read under another catalogue from the next batch on. Followers drop their views."""
        self._reading = reading
        self._feed.renew()
        self._ready.set()
        self._changed.set()

    async def run(self) -> None:
        """Fold for ever."""
        await self._ready.wait()
        while True:
            batch = await self._intake.read(self._batch, self._leases.changed)
            try:
                if batch is None:
                    await self._take_over()
                else:
                    await self._fold(batch)
            except PositionMoved as error:
                await self._leases.dispute(error)
            await asyncio.sleep(0)  # let requests in between two batches

    async def beat(self) -> None:
        """Tell the watermarks every second, for followers that have just started, and at once in a new feed; and see
        whether the store is still there, where nobody writes: a server that crashed may have forgotten its last
        commits.
        """
        await self._ready.wait()
        while True:
            self._changed.clear()
            await self._feed.publish((), self._positions)
            known = dict(self._positions)
            try:
                stored = await self._writer.run(self._store.positions)
            except Retryable as error:
                log.warning("positions_not_read", error=str(error))
            else:
                if any(stored.get(partition, 0) < position for partition, position in known.items()):
                    await self._leases.dispute(PositionMoved(f"the store went back from {known} to {stored}"))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _HEARTBEAT_SECONDS)

    async def sweep(self, *, message_id_days: float, timeline_days: float) -> None:
        """Forget what is over its age, a little at a time."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            if not self._leases.holds("sweep"):
                continue
            now_ms = self._now_ms()
            sweep = partial(
                self._store.sweep,
                message_ids_before_ms=now_ms - int(message_id_days * _DAY_MS),
                timeline_before_ms=now_ms - int(timeline_days * _DAY_MS),
                at_most=_SWEEP_AT_MOST,
            )
            forgotten = await self._writer.run(sweep)
            if forgotten:
                log.info("swept", forgotten=forgotten)

    async def show(self, views: Sequence[CustomerView]) -> None:
        """Publish views of customers that changed without an event."""
        await self._feed.publish(views, {})
        self._outbox.wake()

    async def _take_over(self) -> None:
        """Read the partitions that are owned now, from where the store says that they stand."""
        self._leases.changed.clear()
        partitions = self._leases.partitions
        positions = await self._writer.run(lambda: self._store.take_over(partitions))
        await self._intake.own(positions)
        # Whoever owned them before may have died between a commit and its views: followers must ask for all anew
        # before they hear of any progress.
        self._feed.renew()
        self._positions = positions
        await self._feed.publish((), positions)

    async def _fold(self, batch: Batch) -> None:
        while True:
            try:
                await self._try_to_fold(batch)
            except OtherCatalog:
                await self._filling.settle()
            else:
                return

    async def _try_to_fold(self, batch: Batch) -> None:
        reading, now_ms = self._reading, self._now_ms()
        assert reading is not None, "run waits for the first catalogue"
        views: list[CustomerView] = []

        def project(unit: UnitOfWork) -> Steps[Commit]:
            self._filling.admit(unit, reading)
            loaded = load(unit, [read.event for read in batch.events], reading.definitions)
            yield
            commit = Projector(reading.definitions, loaded).project(batch.events)
            commit.positions = batch.positions
            commit.poison += batch.poison
            views.clear()
            for part in parts_of(commit, _JUDGED_TOGETHER):
                yield
                said = self._standings.add_to(commit, part, reading, now_ms, source=unit)
                views.extend(_views_of(part, reading, now_ms, said))
            return commit

        try:
            commit, version = await self._writer.write_in_steps(project)
        except Conflict:
            if len(batch.events) <= 1:
                raise
            for half in batch.halves():
                await self._fold(half)
            return
        if commit.links_refused:
            log.info("links_refused", reasons=commit.links_refused)
        await self._publish(commit, version, views if reading is self._reading else None, now_ms)

    async def _publish(self, commit: Commit, version: int, views: list[CustomerView] | None, now_ms: int) -> None:
        assert self._reading is not None, "run waits for the first catalogue"
        if views is None:  # the catalogue was changed meanwhile
            views = list(_views_of(commit.profiles, self._reading, now_ms, {}))
        for view in views:
            view.version = version
        await self._feed.publish(views, commit.positions, erased=commit.strangers())
        self._positions |= commit.positions
        self._outbox.wake()


def parts_of(commit: Commit, at_most: int) -> Iterator[Profiles]:
    """The profiles of a commit, about so many at once, as they can be judged one part after the other: whoever is gone
    is in one with those who take over.
    """
    profiles = commit.profiles
    gone = [name for name, profile in profiles.items() if profile is None]
    heirs = (commit.identities.get(bytes.fromhex(name)) for name in gone)
    if together := {name: profiles[name] for name in (*gone, *heirs) if name in profiles}:
        yield together
    rest = iter(sorted(profiles.keys() - together.keys()))
    while part := {name: profiles[name] for name in islice(rest, at_most)}:
        yield part


def _views_of(
    profiles: Profiles, reading: Reading, now_ms: int, said: Mapping[str, Evaluated]
) -> Iterator[CustomerView]:
    """Without their version, which the commit gives them."""
    for name, profile in profiles.items():
        if profile:
            yield view_of(profile, reading, now_ms, 0, said.get(name))
