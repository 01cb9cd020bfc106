"""A worker's place among the others, as the worker sees it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wayline.lifecycle import end_all, end_on_failure
from wayline_decision.pulse import Pulse
from wayline_decision.workers import BEATS, WORD


class Seat:
    """Talks with the supervisor: see `workers`."""

    def __init__(self) -> None:
        """Take the standard input: the socket that the supervisor gave."""
        self._supervisor = socket.socket(fileno=os.dup(0))
        self._supervisor.setblocking(False)

    async def wait(self) -> None:
        """Say that this worker can decide, and wait until it may listen."""
        await self._say()
        await asyncio.get_running_loop().sock_recv(self._supervisor, 1)

    @asynccontextmanager
    async def serving(self, pulse: Pulse, silence_seconds: float) -> AsyncIterator[None]:
        """Say that it listens; from then on, whenever it can work, that it can; and at the end, that it ends.

        Args:
            pulse: tells whether it can.
            silence_seconds: after which the supervisor takes it for one that hangs.
        """
        await self._say()
        beating = asyncio.create_task(self._beat(pulse, silence_seconds / BEATS), name="pulse")
        beating.add_done_callback(end_on_failure)
        try:
            yield
        finally:
            await end_all([beating])
            self._supervisor.shutdown(socket.SHUT_WR)  # from here on silence means nothing

    async def _beat(self, pulse: Pulse, every_seconds: float) -> None:
        while True:
            rest = asyncio.create_task(asyncio.sleep(every_seconds / 2))
            if await pulse.felt(every_seconds / 2):
                await self._say()
            await rest

    async def _say(self) -> None:
        await asyncio.get_running_loop().sock_sendall(self._supervisor, WORD)
