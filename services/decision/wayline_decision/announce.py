"""What this process has promised to customers, told to the other replicas within milliseconds.

Over core NATS, without any promise of delivery: an announcement matters for the moments until the customer's profile
shows what was chosen, and is worth nothing later. Two replicas that are asked for the same customer within the time of
flight (2 ms of gathering, and the way through NATS) both choose as if the other had not: a cap is then exceeded by what
the others chose in that time. The same holds while NATS is away, for as long as it is.

Workers that share a port know of each other before they choose (see `siblings`): among them, nothing is taken up here.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from uuid import uuid4

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from wayline import logging
from wayline.bus import RESERVED_SUBJECTS
from wayline_decision.core.contact import Met
from wayline_decision.promise_codec import Keys, decoded, encoded
from wayline_decision.reservations import Reservations

_GATHER_SECONDS = 0.002
_MOST_WAITING = 50_000
"""Some seconds' worth; a loop that is held up for longer has lost what made them worth telling."""
_MOST_PER_MESSAGE = 1_000
_REPORT_EVERY_SECONDS = 1.0
log = logging.get("announce")


class Announcer:
    """Tells others what was promised here, and takes up what they tell. Of its own it hears nothing."""

    def __init__(self, client: Client, reservations: Reservations, *, port: str = "") -> None:
        """Nothing is heard before `listen`, or told before `run`. To be made on the loop's thread.

        Args:
            client: of NATS.
            reservations: take up what others promise.
            port: the id that those have in common who share their promises otherwise; empty: there are none.
        """
        self._client = client
        self._reservations = reservations
        self._known = RESERVED_SUBJECTS.replace("*", f"{port or uuid4().hex}-")
        """How the subjects begin of what is known here anyway."""
        self._own = self._known + uuid4().hex
        self._waiting: deque[tuple[Keys, Sequence[Met]]] = deque(maxlen=_MOST_WAITING)
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._woken = False
        self._reported = 0.0

    async def listen(self) -> None:
        """Take up what others promise, from now on."""
        await self._client.subscribe(RESERVED_SUBJECTS, cb=self._hear)
        await self._client.flush()

    def announce(self, keys: Keys, contacts: Sequence[Met]) -> None:
        """Tell others soon; from any thread. Only the first of some milliseconds takes longer than an append.

        Args:
            keys: all by which the customer may be asked for.
            contacts: that were promised, whatever their outcome.
        """
        self._waiting.append((keys, contacts))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(_GATHER_SECONDS)
            self._woken = False  # before they are taken: what is appended from here on wakes again
            await self.flush()

    async def flush(self) -> None:
        """Tell what waits. It is let go where NATS cannot be reached."""
        left = len(self._waiting)
        while left > 0:
            taken = [self._waiting.popleft() for _ in range(min(left, _MOST_PER_MESSAGE))]
            left -= len(taken)
            if not self._client.is_connected:
                continue  # or the client would keep it, and send it when nobody has a use for it
            try:
                await self._client.publish(self._own, encoded(taken))
            except nats.errors.Error as error:
                self._tell("not_announced", error)

    async def _hear(self, message: Msg) -> None:
        if message.subject.startswith(self._known):
            return
        now_ms = time.time_ns() // 1_000_000
        try:
            for keys, contacts in decoded(message.data):
                for key in keys:
                    self._reservations.adopt(key, contacts, now_ms)
        except (ValueError, TypeError, KeyError) as error:  # of another version of Wayline, most likely
            self._tell("announcement_unreadable", error)

    def _tell(self, event: str, error: Exception) -> None:
        now = self._loop.time()
        if now - self._reported >= _REPORT_EVERY_SECONDS:
            self._reported = now
            log.warning(event, error=repr(error))
