"""Whether this process can still work: not its event loop alone, but the threads that decide, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from wayline import logging
from wayline.lifecycle import end_all, end_on_failure
from wayline.pool import ElasticPool
from wayline_decision.workers import BEATS

log = logging.get("pulse")


class Pulse:
    """Felt while the event loop runs, decisions get their turn, and requests a thread.

    A process hangs when one of these goes on no more. To have much to do is something else: as long as threads go from
    one thing to the next, or all of them wait for their clients, it lives.
    """

    def __init__(
        self, pool: ElasticPool, turn_comes: Callable[[float], bool], stands_still: Callable[[], bool] = lambda: False
    ) -> None:
        """Ask nothing yet.

        Args:
            pool: of the threads that wait.
            turn_comes: called on a thread of its own, with how many seconds it may take: whether a decision would get
                its turn.
            stands_still: whether nobody is left to take requests.
        """
        self._pool = pool
        self._turn_comes = turn_comes
        self._stands_still = stands_still
        # Not one of the pool's: those may all be taken by what waits for a turn that never comes.
        self._own = ThreadPoolExecutor(1, thread_name_prefix="pulse")
        self._asked: asyncio.Future[None] | None = None

    async def felt(self, within_seconds: float) -> bool:
        """Whether all of them went on within that time.

        Raises:
            RuntimeError: the pool was shut down.
        """
        turn = asyncio.get_running_loop().run_in_executor(self._own, self._turn_comes, within_seconds)
        threads = await self._threads_go_on(within_seconds)
        return await turn and threads and not self._stands_still()

    async def _threads_go_on(self, within_seconds: float) -> bool:
        steps = self._pool.steps
        if self._asked is None:
            self._asked = asyncio.wrap_future(self._pool.submit(_nothing))
        # What was asked before is still in the queue: asking again would only lengthen it.
        done, _ = await asyncio.wait([self._asked], timeout=within_seconds)
        if done:
            self._asked = None
        return bool(done) or self._pool.steps != steps or self._pool.all_wait


@asynccontextmanager
async def probed(pulse: Pulse, silence_seconds: float, set_alive: Callable[[bool], None]) -> AsyncIterator[None]:
    """While the block lasts, say when nothing was felt for so long, and when it is felt again.

    For a process that has no supervisor: the probes of Kubernetes have it restarted.
    """
    feeling = asyncio.create_task(_feel(pulse, silence_seconds, set_alive), name="pulse")
    feeling.add_done_callback(end_on_failure)
    try:
        yield
    finally:
        await end_all([feeling])


async def _feel(pulse: Pulse, silence_seconds: float, set_alive: Callable[[bool], None]) -> None:
    silent = 0
    while True:
        rest = asyncio.create_task(asyncio.sleep(silence_seconds / BEATS))
        if await pulse.felt(silence_seconds / BEATS):
            if silent >= BEATS:
                log.info("goes_on")
                set_alive(True)
            silent = 0
        else:
            silent += 1
            if silent == BEATS:
                log.error("hangs", silent_seconds=silence_seconds)
                set_alive(False)
        await rest


def _nothing() -> None:
    """What a thread does to show that it can."""
