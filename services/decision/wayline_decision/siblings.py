"""The workers that share a port, as one of them sees the others: together they hold each cap exactly.

A worker decides for a customer while no other one does, and knows by then what the others have promised. What it
promises is in shared memory before it answers. So promises outlive the worker that made them: whoever takes its place
reads them, too.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from types import TracebackType
from zlib import crc32

from wayline import logging
from wayline_decision.core.contact import Met
from wayline_decision.port_memory import LOCKS, PortMemory
from wayline_decision.promise_codec import Keys, decoded, encoded
from wayline_decision.promise_ring import Reader
from wayline_decision.reservations import Reservations

_PAUSES_SECONDS = (*repeat(0.000_05, 20), *repeat(0.001, 50))
"""How long a decision waits for another worker's for the same customer: some 50 ms. A decision takes a part of one; but
the processor may be taken from a process for longer. Counted in pauses, since that is no time to the one who waits.
"""
_GIVEN_UP_SECONDS = 1.0
_DRAIN_SECONDS = 0.02
"""A ring holds some thousand promises."""
_REPORT_EVERY_SECONDS = 1.0
log = logging.get("siblings")


class Siblings:
    """Keeps this worker's decisions for a customer apart from those of the others, and `Reservations` up to date.

    `alone` and `tell` are for the thread whose turn it is, `drain` for any.
    """

    def __init__(
        self,
        memory: PortMemory,
        worker: int,
        reservations: Reservations,
        *,
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take up what the others have promised, and what the one did whose place this is.

        Args:
            memory: of the port.
            worker: which of them this is, from 1.
            reservations: take up what the others promise.
            pause: waits so many seconds.
            monotonic: by which is remembered that waiting was in vain.

        Raises:
            ValueError: there is no such worker.
        """
        self.port = memory.port
        self._memory = memory
        self._own = memory.ring(worker)
        self._reservations = reservations
        self._pause = pause
        self._monotonic = monotonic
        self._given_up: dict[int, float] = {}
        """Until when nobody waits for a lock again."""
        self._reported = float("-inf")
        self._draining = threading.Lock()
        self._readers = [Reader(memory.ring(one)) for one in range(1, memory.workers + 1)]
        self.drain()
        del self._readers[worker - 1]  # from here on its own ring tells it nothing

    def alone(self, keys: Keys) -> Alone:
        """While the block lasts, no other worker decides for a customer, and all that they have promised is known.

        One at a time. Where another worker does not get on with its decision, this one goes on beside it.

        Args:
            keys: all by which the customer may be asked for.
        """
        return Alone(self, keys)

    def tell(self, keys: Keys, contacts: Sequence[Met]) -> None:
        """The others know of it before they next decide for this customer."""
        try:
            self._own.append(encoded([(keys, contacts)]))
        except ValueError as error:
            self._report("promise_too_long", error=str(error))

    def drain(self) -> None:
        """Take up what the others have promised by now."""
        with self._draining:
            for reader in self._readers:
                overruns = reader.overruns
                for record in reader.read():
                    self._adopt(record)
                if reader.overruns != overruns:
                    self._report("promises_missed", reason="this worker was held up while others decided")

    async def run(self) -> None:
        """Take up for ever what the others promise: a worker that decides nothing must not miss it."""
        while True:
            self.drain()
            await asyncio.sleep(_DRAIN_SECONDS)

    def enter(self, keys: Keys) -> None:
        """See `alone`."""
        try:
            pauses = iter(_PAUSES_SECONDS)
            # In ascending order: no two workers wait for each other.
            for number in sorted({_lock_of(key) for key in keys}):
                if not self._memory.lock(number):
                    self._wait_for(number, pauses)
                elif self._given_up:
                    self._given_up.pop(number, None)
            self.drain()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """See `alone`."""
        self._memory.unlock()

    def _wait_for(self, number: int, pauses: Iterator[float]) -> None:
        now = self._monotonic()
        if self._given_up.get(number, now) > now:
            return
        for seconds in pauses:
            self._pause(seconds)
            if self._memory.lock(number):
                return
        now = self._monotonic()
        self._given_up = {one: until for one, until in self._given_up.items() if until > now}
        self._given_up[number] = now + _GIVEN_UP_SECONDS
        self._report("sibling_holds_customer", reason="another worker does not get on with a decision; not waited for")

    def _adopt(self, record: bytes) -> None:
        now_ms = time.time_ns() // 1_000_000
        try:
            for keys, contacts in decoded(record):
                for key in keys:
                    self._reservations.adopt(key, contacts, now_ms)
        except (ValueError, TypeError, KeyError) as error:  # of another version of Wayline, most likely
            self._report("promise_unreadable", error=repr(error))

    def _report(self, event: str, **facts: str) -> None:
        now = self._monotonic()
        if now - self._reported >= _REPORT_EVERY_SECONDS:
            self._reported = now
            log.warning(event, **facts)


class Alone:
    """A block in which no other worker decides for a customer."""

    __slots__ = ("_keys", "_siblings")

    def __init__(self, siblings: Siblings, keys: Keys) -> None:
        """See `Siblings.alone`."""
        self._siblings = siblings
        self._keys = keys

    def __enter__(self) -> None:
        """Wait, not for long."""
        self._siblings.enter(self._keys)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let others go on."""
        self._siblings.leave()


def _lock_of(key: str | bytes) -> int:
    """The same in every process."""
    return crc32(key if isinstance(key, bytes) else key.encode()) % LOCKS
