"""Which partitions a process reads, and which duties it does, when several share them.

Whoever is alive says so every few seconds. Partitions are shared out evenly among those who are, duties go to whoever
asks first. What a worker held that fell silent is free after its time. Leases only keep workers out of each other's
way: that nothing is written twice is the doing of the store, which compares positions at each commit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wayline import logging
from wayline.errors import Retryable
from wayline_profile.store import PositionMoved

_PARTITION = "partition/"
_DUTY = "duty/"
_TURNS_PER_LEASE = 3
log = logging.get("leases")


@dataclass(frozen=True, slots=True)
class Change:
    """What one worker is to take and to give up."""

    take: tuple[str, ...]
    give_up: tuple[str, ...]


def share(names: Sequence[str], held: Mapping[str, str], workers: Sequence[str], me: str) -> Change:
    """My next step towards an even share: so many for each, one more for the first of the workers.

    Args:
        names: all that is to be shared.
        held: name to the worker that holds it. Who is not among the workers is dead, and holds nothing.
        workers: who is alive, the longest serving first, me included.
        me: my id.
    """
    each, over = divmod(len(names), len(workers))
    quota = each + (workers.index(me) < over)
    mine = [name for name in names if held.get(name) == me]
    free = [name for name in names if held.get(name) not in workers]
    return Change(take=tuple(free[: max(0, quota - len(mine))]), give_up=tuple(mine[quota:]))


class LeaseTable(Protocol):
    """Where workers and leases are kept. Its clock counts, not the workers'."""

    def turn(self, partitions: Sequence[str], duties: Sequence[str], *, seconds: float) -> frozenset[str]:
        """Live for another `seconds`, give up and take what `share` says of the partitions, and take what is free of
        the duties.

        Returns:
            All that I hold now.

        Raises:
            Retryable: the table cannot be reached. What I hold is mine until its time is over.
        """

    def release(self) -> None:
        """Give up everything at once.

        Raises:
            Retryable: the table cannot be reached; it is free when its time is over.
        """

    def close(self) -> None:
        """Release the connection. Twice is safe."""


class Leases(Protocol):
    """What is this process's."""

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that it reads."""

    @property
    def changed(self) -> asyncio.Event:
        """Set whenever there are other partitions; whoever acts on it clears it."""

    def holds(self, duty: str) -> bool:
        """Whether it is this process that does a duty which one process does for all. Asked for the first time, it may
        take a few seconds until somebody does. What is done under it must bear being done twice all the same: a
        process may stand still between the answer and the act.
        """

    async def dispute(self, error: PositionMoved) -> None:
        """Another process has read on in a partition that this one believed to own. `changed` is set.

        Raises:
            PositionMoved: that cannot be, since there is no other.
        """

    async def run(self) -> None:
        """Renew for ever."""

    async def release(self) -> None:
        """Give everything up: the process ends."""


class SoleOwner:
    """See `Leases`, for a store that only one process can open."""

    def __init__(self, partitions: int) -> None:
        """Own all of them."""
        self.partitions = frozenset(range(partitions))
        self.changed = asyncio.Event()
        self.changed.set()

    def holds(self, duty: str) -> bool:  # noqa: ARG002
        """See the port."""
        return True

    async def dispute(self, error: PositionMoved) -> None:
        """See the port."""
        raise error

    async def run(self) -> None:
        """See the port."""

    async def release(self) -> None:
        """See the port."""


class SharedLeases:
    """See `Leases`, for a store that several processes share."""

    def __init__(
        self,
        table: LeaseTable,
        partitions: int,
        *,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold nothing yet. A lease lasts `seconds`."""
        self._table = table
        self._names = [f"{_PARTITION}{number}" for number in range(partitions)]
        self._seconds = seconds
        self._clock = clock
        self._held: frozenset[str] = frozenset()
        self._until = 0.0
        self._duties: set[str] = set()
        self.changed = asyncio.Event()

    @property
    def partitions(self) -> frozenset[int]:
        """See the port. They stay when their time is over: the store tells whether somebody else has read on."""
        return frozenset(int(name.removeprefix(_PARTITION)) for name in self._held if name.startswith(_PARTITION))

    def holds(self, duty: str) -> bool:
        """See the port."""
        name = f"{_DUTY}{duty}"
        self._duties.add(name)
        return name in self._held and self._clock() < self._until

    async def dispute(self, error: PositionMoved) -> None:
        """See the port."""
        log.warning("partition_disputed", reason=str(error))
        await self.turn()
        self.changed.set()

    async def run(self) -> None:
        """See the port."""
        while True:
            await self.turn()
            await asyncio.sleep(self._seconds / _TURNS_PER_LEASE)

    async def turn(self) -> None:
        """Renew once. When the table cannot be reached, what is held stays so until its time is over."""
        asked = self._clock()
        try:
            held = await asyncio.to_thread(self._table.turn, self._names, sorted(self._duties), seconds=self._seconds)
        except Retryable as error:
            log.warning("leases_not_renewed", error=str(error))
            return
        self._until = asked + self._seconds
        former, self._held = self.partitions, held
        if self.partitions != former:
            log.info("partitions_shared", partitions=sorted(self.partitions), of=len(self._names))
            self.changed.set()

    async def release(self) -> None:
        """See the port."""
        self._held = frozenset()
        try:
            await asyncio.to_thread(self._table.release)
        except Retryable as error:
            log.warning("leases_not_released", error=str(error))
        await asyncio.to_thread(self._table.close)
