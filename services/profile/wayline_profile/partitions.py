"""Reads the partitions that this process owns.

Partitions that stand at about the same place are read together, in one pass. One that stands far behind, since nothing
came for it or because its owner died long ago, is read by itself: else all the others would be read again from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from wayline_profile.reader import Batch, EventReader

NEAR = 10_000
"""So many sequences apart, partitions are still read together."""


def passes(positions: Mapping[int, int], *, near: int = NEAR) -> list[dict[int, int]]:
    """Partitions with their positions, grouped by those which are read together."""
    groups: list[dict[int, int]] = []
    begins = 0
    for partition, position in sorted(positions.items(), key=lambda one: one[1]):
        if not groups or position - begins > near:
            groups.append({})
            begins = position
        groups[-1][partition] = position
    return groups


class Intake:
    """Batches of all passes, in turn."""

    def __init__(self, open_reader: Callable[[Mapping[int, int]], EventReader]) -> None:
        """Own nothing yet. `open_reader` begins a pass over partitions, each from its position."""
        self._open_reader = open_reader
        self._readers: list[EventReader] = []
        self._reading: dict[asyncio.Task[Batch], EventReader] = {}

    async def own(self, positions: Mapping[int, int]) -> None:
        """Read these partitions from now on, and no other. What was read ahead is left."""
        await self.close()
        self._readers = [self._open_reader(group) for group in passes(positions)]

    async def read(self, at_most: int, changed: asyncio.Event) -> Batch | None:
        """The next events of any pass. None: `changed` was set before there were any.

        Raises:
            StreamBehindStore: the stream does not reach as far as a position.
        """
        if changed.is_set():
            return None
        if len(self._readers) == 1 and not self._reading and (batch := await self._readers[0].take(at_most)):
            return batch  # the usual case, without a task for each batch
        busy = set(self._reading.values())
        for reader in self._readers:
            if reader not in busy:
                self._reading[asyncio.create_task(reader.read(at_most))] = reader
        alarm = asyncio.create_task(changed.wait())
        try:
            await asyncio.wait({alarm, *self._reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
        # The first of them was asked first: none has to wait for ever.
        for task in self._reading:
            if task.done():
                del self._reading[task]
                return task.result()
        return None

    def reset(self) -> None:
        """The connection was lost: every pass begins anew before its next batch."""
        for reader in self._readers:
            reader.reset()

    async def close(self) -> None:
        """Stop reading. Twice is safe."""
        reading, self._reading = self._reading, {}
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)  # whatever was wrong, it is not read any more
        readers, self._readers = self._readers, []
        for reader in readers:
            await reader.close()
