"""Units of work on the profile store: read, make a commit of it, write; anew when another process was faster."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import closing
from time import perf_counter
from typing import NamedTuple, TypeVar

from wayline import logging
from wayline_profile.core.changes import Commit
from wayline_profile.store import Conflict, ProfileStore, UnitOfWork

ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.005
_AT_A_STRETCH_SECONDS = 0.005
_TURNS = 5
"""Of the event loop, in a pause: a request needs about so many, and empty ones take some microseconds each."""
T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work that says where others may be let in."""
log = logging.get("writes")


class Written(NamedTuple):
    """A commit, and its number: the version of the views that are made of it."""

    commit: Commit
    version: int


class Writer:
    """All changes of the store go through here, one unit of work after the other. Used from one event loop."""

    def __init__(self, store: ProfileStore, executor: Executor | None, *, chance: random.Random) -> None:
        """Write to `store`: in `executor`, which has one thread, when the store waits for a server; else on the event
        loop, which costs less than a change of threads. `chance` spreads what is tried again.
        """
        self._store = store
        self._executor = executor
        self._chance = chance
        self._turn = asyncio.Lock()

    async def write(self, work: Callable[[UnitOfWork], Commit]) -> Written:
        """Write what `work` makes of what it reads. It may be called several times, each time with nothing written.

        Raises:
            Conflict: time and again another process had changed what was read.
            PositionMoved: another process has read on in one of the partitions.
            Retryable: the store did not answer in time.
        """

        def steps(unit: UnitOfWork) -> Steps[Commit]:
            yield
            return work(unit)

        return await self.write_in_steps(steps)

    async def write_in_steps(self, work: Callable[[UnitOfWork], Steps[Commit]]) -> Written:
        """`write`, for work that takes long: requests are let in between its steps. What is stored stays as it is
        until all of them are taken.
        """
        for attempt in range(ATTEMPTS):
            try:
                async with self._turn:
                    return await self._take(self._unit(work))
            except Conflict as error:
                if attempt == ATTEMPTS - 1:
                    raise
                log.debug("written_anew", reason=str(error), attempt=attempt)
            await asyncio.sleep(self._chance.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))
        raise AssertionError("unreachable")

    async def run(self, work: Callable[[], T]) -> T:
        """Something else that takes the store's time: it reads, or writes what depends on nothing that is stored. On
        the event loop it may come between two steps of a unit of work.
        """
        if self._executor is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def run_alone(self, work: Callable[[], T]) -> T:
        """`run`, between two units of work: for what changes something that they build on."""
        async with self._turn:
            return await self.run(work)

    def _unit(self, work: Callable[[UnitOfWork], Steps[Commit]]) -> Steps[Written]:
        with self._store.begin() as unit:
            commit = yield from work(unit)
            yield
            return Written(commit, unit.commit(commit))

    async def _take(self, steps: Steps[T]) -> T:
        if self._executor is not None:
            return await self.run(lambda: _to_the_end(steps))
        with closing(steps):
            while True:
                turn_ends = perf_counter() + _AT_A_STRETCH_SECONDS
                while perf_counter() < turn_ends:
                    try:
                        next(steps)
                    except StopIteration as end:
                        return end.value  # type: ignore[no-any-return]
                for _ in range(_TURNS):
                    await asyncio.sleep(0)


def _to_the_end(steps: Steps[T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
