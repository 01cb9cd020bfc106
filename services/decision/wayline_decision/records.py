"""Decision records: bundled, and sent to JetStream beside the answers, never before them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar
from uuid import uuid4

from wayline import logging
from wayline.bus import DECISION_SUBJECT
from wayline.errors import Retryable, WaylineError
from wayline.publish import AckedPublisher, Message
from wayline_decision import wire

MAX_BUNDLE_RECORDS = 256
_MAX_BUNDLE_BYTES = 512 << 10
_INTERVAL_SECONDS = 0.02
_RETRY_SECONDS = 0.25
log = logging.get("records")
T = TypeVar("T")


def as_bundle(records: Sequence[bytes]) -> list[Message]:
    """Encoded DecisionRecords as one message."""
    return [Message(DECISION_SUBJECT, wire.bundle(records), uuid4().hex)]


class RecordLog(Generic[T]):
    """A bounded buffer between the threads that decide and the loop that publishes.

    A decision is never held up for its record. While JetStream is away records wait; when the buffer is full the
    newest are dropped, counted and logged. A process that is killed loses what it had not yet sent: some 20 ms.
    """

    def __init__(
        self,
        publisher: AckedPublisher,
        *,
        max_bytes: int,
        what: str = "decision_records",
        size: Callable[[T], int] = len,  # type: ignore[assignment]
        messages: Callable[[Sequence[T]], list[Message]] = as_bundle,  # type: ignore[assignment]
    ) -> None:
        """Buffer at most `max_bytes`.

        Args:
            publisher: sends.
            max_bytes: of all that waits.
            what: the log calls it so.
            size: of one, in bytes.
            messages: what is sent for so many.
        """
        self._publisher = publisher
        self._what = what
        self._size = size
        self._messages = messages
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._waiting: deque[T] = deque()
        self.dropped = 0

    def append(self, data: T) -> None:
        """Take one, from any thread."""
        size = self._size(data)
        with self._lock:
            if self._bytes + size > self._max_bytes:
                self.dropped += 1
                return
            self._bytes += size
        self._waiting.append(data)

    async def run(self) -> None:
        """Publish for ever."""
        reported = 0
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            await self._publish_waiting()
            if self.dropped > reported:
                log.error(f"{self._what}_dropped", dropped=self.dropped - reported, total=self.dropped)
                reported = self.dropped

    async def flush(self, timeout_seconds: float) -> None:
        """Publish what waits, at the end of the service. What cannot be sent in time is counted in the log."""
        try:
            await asyncio.wait_for(self._publish_waiting(), timeout_seconds)
        except TimeoutError:
            log.error(f"{self._what}_lost", records=len(self._waiting))

    async def _publish_waiting(self) -> None:
        # Only what waits now: those that arrive meanwhile form the next bundle. Otherwise, under load, this would go
        # round without a rest in bundles of one or two, and cost more than the decisions.
        left = len(self._waiting)
        while left:
            records = self._take()
            left = max(0, left - len(records))
            await self._publish(self._messages(records))
            with self._lock:
                self._bytes -= sum(map(self._size, records))

    def _take(self) -> list[T]:
        bundle: list[T] = []
        size = 0
        while self._waiting and len(bundle) < MAX_BUNDLE_RECORDS and size < _MAX_BUNDLE_BYTES:
            bundle.append(self._waiting.popleft())
            size += self._size(bundle[-1])
        return bundle

    async def _publish(self, messages: Sequence[Message]) -> None:
        waited = False
        while True:
            try:
                await self._publisher.publish(messages)
            except Retryable as error:
                if not waited:
                    log.warning(f"{self._what}_wait", error=str(error), records=len(self._waiting))
                    waited = True
                await asyncio.sleep(_RETRY_SECONDS)
            except WaylineError as error:  # the stream refuses it for good: do not block those behind it
                log.error(f"{self._what}_refused", error=str(error), messages=len(messages))
                return
            else:
                return
