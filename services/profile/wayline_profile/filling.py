"""The task that fills in traits while the service serves, and how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

from wayline import logging
from wayline.errors import WaylineError
from wayline.v1 import audiences_pb2, backfill_pb2, profile_pb2
from wayline_profile.backfill import Backfill, noted_in
from wayline_profile.core.backfill import FilledStates, Walk
from wayline_profile.core.backfill_status import status_of
from wayline_profile.core.changes import Commit
from wayline_profile.core.values import Evaluated, Reading, view_of
from wayline_profile.lookup import in_use
from wayline_profile.standings import Standings
from wayline_profile.store import Conflict, ProfileStore, UnitOfWork
from wayline_profile.writes import Writer

DUTY = "backfill"
_POLL_SECONDS = 1.0
_PAUSE_SECONDS = 0.1
_PATIENCE_SECONDS = 5.0
Views = list[profile_pb2.CustomerView]
log = logging.get("backfill")


class OtherCatalog(WaylineError):
    """Another process folds under another catalogue: nothing may be written under this one."""


class Filling:
    """Steps of a back-fill in turn with batches of events, at most half of the time."""

    def __init__(
        self,
        store: ProfileStore,
        writer: Writer,
        standings: Standings,
        *,
        now_ms: Callable[[], int],
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Write through `writer`; judge whom a step changes by `now_ms`, the clock of audiences. `clock` measures how
        long something took, in seconds.
        """
        self._store = store
        self._writer = writer
        self._standings = standings
        self._now_ms = now_ms
        self._clock = clock
        self._backfill = Backfill(store, now_ms=now_ms)
        self._reading: Reading | None = None
        self._began: tuple[float, Walk] | None = None
        self._waits_since: float | None = None

    def admit(self, unit: UnitOfWork, reading: Reading) -> None:
        """Call before events are folded.

        Raises:
            OtherCatalog: not under this one; see `settle`.
        """
        if reading is not self._reading or not self._backfill.is_in_use(unit):
            raise OtherCatalog("events are folded under another catalogue by now")
        self._waits_since = None

    async def settle(self) -> None:
        """Wait a little for the catalogue of the other processes to come to this one. If it does not, they have to use
        ours: whoever is behind, or refuses a catalogue, must not keep all others waiting.
        """
        now = self._clock()
        self._waits_since = self._waits_since or now
        if self._reading is not None and now - self._waits_since > _PATIENCE_SECONDS:
            log.warning("catalogs_differ", waited_seconds=_PATIENCE_SECONDS)
            self._waits_since = None
            await self.use(self._reading)
        else:
            await asyncio.sleep(_PAUSE_SECONDS)

    async def use(self, reading: Reading) -> None:
        """Fill in what a catalogue needs. Call before events are folded under it."""
        while True:
            try:
                await self._writer.run_alone(lambda: self._backfill.use(reading.definitions))
            except Conflict as error:
                log.debug("backfill_noted_anew", reason=str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                break
        self._reading = reading
        self._began = None

    async def run(self, holds: Callable[[str], bool], publish: Callable[[Views], Awaitable[None]]) -> None:
        """Take steps for ever.

        Args:
            holds: whether a duty is this process's.
            publish: views of customers that changed; and there are changes to tell.
        """
        while True:
            started = self._clock()
            views = await self.turn() if holds(DUTY) else None
            if views:
                await publish(views)
            await asyncio.sleep(_POLL_SECONDS if views is None else self._clock() - started)

    async def turn(self) -> Views | None:
        """One step. Returns the views of whom it changed; None: there is nothing to do for now."""
        reading, now_ms = self._reading, self._now_ms()
        if reading is None or not self._backfill.running:
            return None
        said: dict[str, Evaluated] = {}

        def work(unit: UnitOfWork) -> Commit:
            commit = self._backfill.step(unit)
            said.clear()
            said.update(
                self._standings.add_to(
                    commit,
                    commit.profiles,
                    reading,
                    now_ms,
                    cause=audiences_pb2.CHANGE_CAUSE_CATALOG,
                    source=unit,
                )
            )
            return commit

        if self._began is None:
            self._began = self._clock(), await self._writer.run(lambda: noted_in(self._store).walk) or Walk()
        try:
            commit, version = await self._writer.write(work)
        except Conflict as error:
            log.warning("backfill_waits", reason=str(error))
            return None
        if reading is not self._reading:
            return []  # followers have dropped all views of this catalogue
        return [
            view_of(profile, reading, now_ms, version, said.get(name))
            for name, profile in commit.profiles.items()
            if profile
        ]

    def is_under_way(self) -> bool:
        """Whether something is still to be filled in, by whichever process."""
        walk = noted_in(self._store).walk
        return walk is not None and not walk.finished_ms

    def status(self) -> backfill_pb2.GetBackfillResponse:
        """How far it is.

        Raises:
            Retryable: no catalogue was applied yet.
        """
        reading = in_use(self._reading)
        noted = noted_in(self._store)
        earlier = (self._clock() - self._began[0], self._began[1]) if self._began else None
        return status_of(reading.definitions, noted.filled or FilledStates(), noted.walk, earlier)
