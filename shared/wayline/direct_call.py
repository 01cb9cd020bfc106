"""One call of a method that is answered directly: see `direct`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the published types leave it out

from wayline import logging
from wayline.errors import WaylineError, status_of

_NO_FLAGS = 0
log = logging.get("direct")


class Call:
    """One call, from its arrival to its answer."""

    __slots__ = ("_call", "_deadline", "_over", "_ready", "reads_since")

    def __init__(self, event: Any, ready: Callable[[Call, bytes], None], over: Callable[[Call], None]) -> None:
        """Take the call of a `RequestCallEvent`.

        Args:
            event: says that it has arrived.
            ready: called with its request, once that was read.
            over: called at the end, whether its client still wanted the answer or not.
        """
        self._ready = ready
        self._over = over
        self._call = event.call
        self._deadline: float = event.call_details.deadline
        self.reads_since = 0.0
        """On the monotonic clock; 0: it does not."""

    def remaining_seconds(self) -> float:
        """Until the caller gives up; 0 when it has."""
        return max(0.0, self._deadline - time.time())

    def read(self) -> None:
        """Read the request."""
        self.reads_since = time.monotonic()
        self._call.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), self._received)

    def give_up(self, problem: str) -> None:
        """End it while the request is still being read."""
        self.reads_since = 0.0
        self._call.cancel(cygrpc.StatusCode.deadline_exceeded, problem)

    def _received(self, event: Any) -> None:
        self.reads_since = 0.0
        data: bytes | None = event.batch_operations[0].message()
        if data is None:
            self.refuse(grpc.StatusCode.UNIMPLEMENTED, "the method takes exactly one request message")
        else:
            self._ready(self, data)

    def send(self, answer: bytes) -> None:
        """Answer."""
        self._end(cygrpc.StatusCode.ok, b"", answer)

    def fail(self, error: BaseException) -> None:
        """End with the status that belongs to an error. What is not Wayline's own is a defect: its text is not told."""
        if isinstance(error, WaylineError):
            self.refuse(status_of(error), str(error))
        else:
            log.error("call_failed", exc_info=error)
            self.refuse(grpc.StatusCode.INTERNAL, "a defect of the service; its log says more")

    def refuse_late(self) -> None:
        """End it unanswered, since its client has given up."""
        self.refuse(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline was over before it was this call's turn")

    def refuse(self, status: grpc.StatusCode, problem: str) -> None:
        """End without an answer."""
        self._end(status.value[0], problem.encode("utf-8", "replace"))

    def _end(self, code: int, details: bytes, answer: bytes | None = None) -> None:
        try:
            operations = [
                cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS),
                cygrpc.SendStatusFromServerOperation(None, code, details, _NO_FLAGS),
                cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),
            ]
            if answer is not None:
                operations.append(cygrpc.SendMessageOperation(answer, _NO_FLAGS))
            self._call.start_server_batch(operations, self._ended)
        except BaseException:
            self._over(self)  # the core cancels a call that nobody holds
            raise

    def _ended(self, _event: Any) -> None:
        self._over(self)
