"""Units of work on the profile store: read, make a commit of it, write; anew when another process was faster."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple, TypeVar

from wayline import logging
from wayline_profile.core.changes import Commit
from wayline_profile.store import Conflict, ProfileStore, UnitOfWork

ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.005
T = TypeVar("T")
log = logging.get("writes")


class Written(NamedTuple):
    """A commit, and its number: the version of the views that are made of it."""

    commit: Commit
    version: int


class Writer:
    """All changes of the store go through here. Used from one event loop."""

    def __init__(self, store: ProfileStore, executor: Executor | None, *, chance: random.Random) -> None:
        """Write to `store`: in `executor`, which has one thread, when the store waits for a server; else at once, which
        costs less than a change of threads. `chance` spreads what is tried again.
        """
        self._store = store
        self._executor = executor
        self._chance = chance

    async def write(self, work: Callable[[UnitOfWork], Commit]) -> Written:
        """Write what `work` makes of what it reads. It may be called several times, each time with nothing written.

        Raises:
            Conflict: time and again another process had changed what was read.
            PositionMoved: another process has read on in one of the partitions.
            Retryable: the store did not answer in time.
        """
        for attempt in range(ATTEMPTS):
            try:
                return await self.run(lambda: self._once(work))
            except Conflict as error:
                if attempt == ATTEMPTS - 1:
                    raise
                log.debug("written_anew", reason=str(error), attempt=attempt)
            await asyncio.sleep(self._chance.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))
        raise AssertionError("unreachable")

    async def run(self, work: Callable[[], T]) -> T:
        """Something else that takes the store's time, between two units of work."""
        if self._executor is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _once(self, work: Callable[[UnitOfWork], Commit]) -> Written:
        with self._store.begin() as unit:
            commit = work(unit)
            return Written(commit, unit.commit(commit))
