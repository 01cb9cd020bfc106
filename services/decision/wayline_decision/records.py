"""Decision records: bundled, and sent to JetStream beside the answers, never before them."""

from __future__ import annotations

import asyncio
from collections import deque
from uuid import uuid4

from wayline import logging
from wayline.bus import DECISION_SUBJECT
from wayline.errors import Retryable, WaylineError
from wayline.publish import AckedPublisher, Message
from wayline.v1 import decision_pb2

MAX_BUNDLE_RECORDS = 256
_MAX_BUNDLE_BYTES = 512 << 10
_INTERVAL_SECONDS = 0.02
_RETRY_SECONDS = 0.25
_VIEW_TAG = bytes((decision_pb2.DecisionRecord.VIEW_FIELD_NUMBER << 3 | 2,))
_RECORD_TAG = bytes((decision_pb2.DecisionRecordBundle.RECORDS_FIELD_NUMBER << 3 | 2,))
log = logging.get("records")


class RecordLog:
    """A bounded buffer between the threads that decide and the loop that publishes.

    A decision is never held up for its record. While JetStream is away records wait; when the buffer is full the
    newest are dropped, counted and logged. A process that is killed loses what it had not yet sent: some 20 ms.
    """

    def __init__(self, publisher: AckedPublisher, *, max_bytes: int) -> None:
        """Buffer at most `max_bytes` of encoded records."""
        self._publisher = publisher
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waiting: deque[bytes] = deque()
        self.dropped = 0

    def append(self, record: decision_pb2.DecisionRecord, view: bytes = b"") -> None:
        """Take a record, from any thread. It costs its encoding.

        Args:
            record: without its view.
            view: the customer's view, encoded: many decisions share one, so it is encoded once and appended here.
                A message's fields may come in any order.
        """
        data = record.SerializeToString()
        if view:
            data = b"".join((data, _VIEW_TAG, _varint(len(view)), view))
        if self._bytes + len(data) > self._max_bytes:
            self.dropped += 1
            return
        self._bytes += len(data)
        self._waiting.append(data)

    async def run(self) -> None:
        """Publish for ever."""
        reported = 0
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            await self._publish_waiting()
            if self.dropped > reported:
                log.error("decision_records_dropped", dropped=self.dropped - reported, total=self.dropped)
                reported = self.dropped

    async def flush(self, timeout_seconds: float) -> None:
        """Publish what waits, at the end of the service. What cannot be sent in time is counted in the log."""
        try:
            await asyncio.wait_for(self._publish_waiting(), timeout_seconds)
        except TimeoutError:
            log.error("decision_records_lost", records=len(self._waiting))

    async def _publish_waiting(self) -> None:
        while self._waiting:
            bundle = self._take()
            message = Message(DECISION_SUBJECT, _bundle(bundle), uuid4().hex)
            await self._publish(message)
            self._bytes -= sum(map(len, bundle))

    def _take(self) -> list[bytes]:
        bundle: list[bytes] = []
        size = 0
        while self._waiting and len(bundle) < MAX_BUNDLE_RECORDS and size < _MAX_BUNDLE_BYTES:
            bundle.append(self._waiting.popleft())
            size += len(bundle[-1])
        return bundle

    async def _publish(self, message: Message) -> None:
        waited = False
        while True:
            try:
                await self._publisher.publish([message])
            except Retryable as error:
                if not waited:
                    log.warning("decision_records_wait", error=str(error), records=len(self._waiting))
                    waited = True
                await asyncio.sleep(_RETRY_SECONDS)
            except WaylineError as error:  # the stream refuses it for good: do not block those behind it
                log.error("decision_records_refused", error=str(error), bytes=len(message.payload))
                return
            else:
                return


def _bundle(records: list[bytes]) -> bytes:
    """A DecisionRecordBundle of records that are encoded already.

    Parsing them only to encode them again would double the cost of the log.
    """
    parts: list[bytes] = []
    for record in records:
        parts += (_RECORD_TAG, _varint(len(record)), record)
    return b"".join(parts)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
