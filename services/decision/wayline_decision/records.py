"""Decision records: bundled, and sent to JetStream beside the answers, never before them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import uuid4

from wayline import logging
from wayline.bus import DECISION_SUBJECT
from wayline.errors import Retryable, WaylineError
from wayline.publish import AckedPublisher, Message
from wayline_decision.record_writer import bundle

MAX_BUNDLE_RECORDS = 256
_MAX_BUNDLE_BYTES = 512 << 10
_INTERVAL_SECONDS = 0.02
_RETRY_SECONDS = 0.25
_MAX_FRESH = 20_000
"""Decisions that are not encoded yet: a second of them, while the loop is held up."""
log = logging.get("records")


class Entry(Protocol):
    """Something to publish."""

    def encoded(self) -> Message:
        """As it travels. Called on the loop."""


def one_by_one(entries: Sequence[Message]) -> list[Message]:
    """Each as it is."""
    return list(entries)


def bundled(entries: Sequence[Message]) -> list[Message]:
    """Encoded DecisionRecords as one message."""
    return [Message(DECISION_SUBJECT, bundle([entry.payload for entry in entries]), uuid4().hex)]


class RecordLog:
    """A bounded buffer between the threads that decide and the loop that publishes.

    A decision is never held up for its record: it is not even encoded before the answer is on its way, and many in a
    row are encoded in half the time. While JetStream is away records wait; when the buffer is full the newest are
    dropped, counted and logged. A process that is killed loses what it had not yet sent: some 20 ms.
    """

    def __init__(
        self,
        publisher: AckedPublisher,
        *,
        max_bytes: int,
        what: str = "decision_records",
        messages: Callable[[Sequence[Message]], list[Message]] = bundled,
    ) -> None:
        """Buffer at most `max_bytes`.

        Args:
            publisher: sends.
            max_bytes: of all that waits, encoded.
            what: the log calls it so.
            messages: what is sent for so many.
        """
        self._publisher = publisher
        self._what = what
        self._messages = messages
        self._max_bytes = max_bytes
        self._bytes = 0
        self._fresh: deque[Entry] = deque()
        self._waiting: deque[Message] = deque()
        self.dropped = 0

    def append(self, entry: Entry) -> None:
        """Take one, from any thread."""
        if len(self._fresh) < _MAX_FRESH:
            self._fresh.append(entry)
        else:
            self.dropped += 1

    async def run(self) -> None:
        """Encode and publish for ever."""
        await asyncio.gather(self._encode_for_ever(), self._publish_for_ever())

    async def flush(self, timeout_seconds: float) -> None:
        """Publish what waits, at the end of the service. What cannot be sent in time is counted in the log."""
        self._encode()
        try:
            await asyncio.wait_for(self._publish_waiting(), timeout_seconds)
        except TimeoutError:
            log.error(f"{self._what}_lost", records=len(self._waiting))

    async def _encode_for_ever(self) -> None:
        reported = 0
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            self._encode()
            if self.dropped > reported:
                log.error(f"{self._what}_dropped", dropped=self.dropped - reported, total=self.dropped)
                reported = self.dropped

    async def _publish_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            await self._publish_waiting()

    def _encode(self) -> None:
        for _ in range(len(self._fresh)):
            message = self._fresh.popleft().encoded()
            if self._bytes + len(message.payload) > self._max_bytes:
                self.dropped += 1
            else:
                self._bytes += len(message.payload)
                self._waiting.append(message)

    async def _publish_waiting(self) -> None:
        # Only what waits now: those that arrive meanwhile form the next bundle. Otherwise, under load, this would go
        # round without a rest in bundles of one or two, and cost more than the decisions.
        left = len(self._waiting)
        while left:
            entries = self._take()
            left = max(0, left - len(entries))
            await self._publish(self._messages(entries))
            self._bytes -= sum(len(entry.payload) for entry in entries)

    def _take(self) -> list[Message]:
        bundle: list[Message] = []
        size = 0
        while self._waiting and len(bundle) < MAX_BUNDLE_RECORDS and size < _MAX_BUNDLE_BYTES:
            bundle.append(self._waiting.popleft())
            size += len(bundle[-1].payload)
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
