"""The worker: reads events, folds them, commits, and tells the feed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wayline import logging
from wayline.identity import identity_key
from wayline_profile.core.identifiers import linked
from wayline_profile.core.projector import Projector
from wayline_profile.core.values import Reading, view_of
from wayline_profile.feed import ViewFeed
from wayline_profile.reader import Batch, EventReader
from wayline_profile.store import ProfileStore

_HEARTBEAT_SECONDS = 1.0
_SWEEP_SECONDS = 5.0
_SWEEP_AT_MOST = 2_000
_DAY_MS = 86_400_000
log = logging.get("worker")


class Worker:
    """Owns the store's writes. Waits for a first catalogue: events are safe in the stream until then."""

    def __init__(
        self,
        store: ProfileStore,
        reader: EventReader,
        feed: ViewFeed,
        *,
        partitions: int,
        batch: int,
        now_ms: Callable[[], int],
    ) -> None:
        """Wire the parts together. `now_ms` is the clock of views, never of profiles."""
        self._store = store
        self._reader = reader
        self._feed = feed
        self._partitions = partitions
        self._batch = batch
        self._now_ms = now_ms
        self._ready = asyncio.Event()
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

    async def run(self) -> None:
        """Fold for ever."""
        await self._ready.wait()
        while True:
            batch = await self._reader.read(self._batch)
            await self._fold(batch)
            await asyncio.sleep(0)  # let requests in between two batches

    async def beat(self) -> None:
        """Tell the watermarks every second, for followers that have just started."""
        await self._ready.wait()
        while True:
            await self._feed.publish((), self._store.positions())
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    async def sweep(self, *, message_id_days: float, timeline_days: float) -> None:
        """Forget what is over its age, a little at a time."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now_ms = self._now_ms()
            forgotten = self._store.sweep(
                message_ids_before_ms=now_ms - int(message_id_days * _DAY_MS),
                timeline_before_ms=now_ms - int(timeline_days * _DAY_MS),
                at_most=_SWEEP_AT_MOST,
            )
            if forgotten:
                log.info("swept", forgotten=forgotten)

    async def _fold(self, batch: Batch) -> None:
        reading = self._reading
        assert reading is not None, "run waits for the first catalogue"
        keys = {identity_key(*pair) for read in batch.events for pair in linked(read.event)}
        identities = self._store.resolve(keys)
        profiles = self._store.get_many(set(identities.values()))
        seen = self._store.seen([read.event.message_id for read in batch.events])
        commit = Projector(reading.definitions, identities, profiles, seen).project(batch.events)
        commit.positions = dict.fromkeys(range(self._partitions), batch.last_sequence)
        commit.poison += batch.poison
        self._store.commit(commit)
        now_ms = self._now_ms()
        views = [
            view_of(profile, reading, now_ms, batch.last_sequence) for profile in commit.profiles.values() if profile
        ]
        await self._feed.publish(views, commit.positions)
