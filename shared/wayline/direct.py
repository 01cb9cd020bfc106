"""One unary method of a threaded gRPC server, answered on the thread that receives it.

grpcio's own server hands a call from thread to thread three times and makes some twenty objects for it, most of them
for streams, callbacks and metadata that a short unary method has no use for: a call that does nothing costs 80 µs
there, and 30 here, where the same core, on the same port, hands the calls of one method to a loop of ours.

That takes the module beneath grpcio's public face (`grpc._cython.cygrpc`), which promises nothing to others:
pyproject.toml holds grpcio to the release that this was tested with.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the published types leave it out

from wayline import logging
from wayline.direct_call import Call
from wayline.direct_poller import Poller

Later = Callable[[], bytes]
"""What is left to do for an answer."""
Handler = Callable[[bytes, float], "bytes | Later"]
"""Takes a request and the seconds until its caller gives up, both as they came."""

MOST_CALLS = 1_000
MOST_READ = 64
"""Requests in memory that wait for their turn; those of other calls are left to the core, which slows their senders."""
MOST_THREADS = 64
READ_SECONDS = 5.0
"""In which a request must have come, once its call has."""
_WATCH_SECONDS = 0.02
_DRAIN_SECONDS = 0.01
log = logging.get("direct")


class DirectMethod:
    """A method whose handler answers at once, or says what is left to do; that is then done on a pool.

    One thread takes call after call, so that no two compete for the interpreter's lock. Should it stand still in one of
    them, another takes over (`watch`). Nothing is done for a call whose deadline is over; that its client cancelled it
    is noticed only with the answer.
    """

    def __init__(
        self,
        path: str,
        handler: Handler,
        pool: Executor,
        *,
        most_calls: int = MOST_CALLS,
        most_threads: int = MOST_THREADS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Serve nothing yet.

        Args:
            path: '/package.Service/Method'.
            handler: see `Handler`. Its `WaylineError`s become the status that belongs to them.
            pool: for what has to wait.
            most_calls: that may be under way, those with the pool included. More are refused with RESOURCE_EXHAUSTED.
            most_threads: that may stand still.
            read_seconds: a call whose request has not come by then is ended, since it keeps others from being read.
        """
        self._path = path
        self._handler = handler
        self._pool = pool
        self._most_calls = most_calls
        self._most_threads = most_threads
        self._read_seconds = read_seconds
        self._queue = cygrpc.CompletionQueue()
        self._calls: set[Call] = set()
        """Under way. Adding, discarding and counting need no lock: the interpreter does each in one go."""
        self._refused: set[Call] = set()
        """Their refusals are under way."""
        self._unread: deque[Call] = deque()
        self._read: set[Call] = set()
        """Their requests are being read, or are there and wait for their turn."""
        self._ready: deque[tuple[Call, bytes]] = deque()
        """Requests that wait for their turn."""
        self._core: Any = None
        self._poller: Poller | None = None
        self._pollers: set[Poller] = set()
        self._last = False
        """No more calls come."""

    def add_to(self, server: grpc.Server) -> None:
        """Take this method's calls from the server. Before it starts."""
        self._core = server._cy_server  # type: ignore[attr-defined]
        self._core.register_method(self._path)
        self._core.register_completion_queue(self._queue)

    def start(self) -> None:
        """Answer from now on: the server has started."""
        self._ask()
        self._relieve()

    @property
    def hangs(self) -> bool:
        """As many threads as there may be stand still, each in a call of its own."""
        return len(self._pollers) >= self._most_threads

    async def watch(self) -> None:
        """Until `stop`: where a call keeps the thread that takes them, let another take the next ones."""
        while not self._last:
            poller = self._poller
            seen = poller.steps if poller else 0
            await asyncio.sleep(_WATCH_SECONDS)
            self._pollers = {one for one in self._pollers if one.thread.is_alive()}
            if poller and not self._last and not self.hangs:
                stands_still = poller.busy and poller.steps == seen
                if stands_still or not poller.thread.is_alive():
                    self._relieve()
            late = time.monotonic() - self._read_seconds
            for call in [one for one in self._read if 0 < one.reads_since < late]:
                call.give_up(f"the request did not come within {self._read_seconds:g} s")

    def stop(self, timeout_seconds: float) -> None:
        """End the threads, after the server has stopped and what was with the pool has ended.

        The core says that a server has stopped when its connections are gone. Calls may be under way still, and it ends
        the process when one of them goes on after its queue was shut down: so that has to wait.
        """
        until = time.monotonic() + timeout_seconds
        while self._calls or self._refused or not self._last:
            if time.monotonic() >= until:
                log.error("calls_hang", calls=len(self._calls))
                return
            time.sleep(_DRAIN_SECONDS)
        self._queue.shutdown()
        for poller in self._pollers:
            poller.thread.join(timeout_seconds)

    def _relieve(self) -> None:
        if self._poller is not None:
            self._poller.relieved = True
        self._poller = Poller(self, self._queue, f"direct_{self._path.rpartition('/')[2]}")
        self._pollers.add(self._poller)

    def _ask(self) -> None:
        try:
            self._core.request_registered_call(self._queue, self._queue, self._path, self._arrived)
        except ValueError:  # the server is shutting down
            self._last = True

    def _arrived(self, event: Any) -> None:
        if not event.success:  # no call, but the end of the server
            self._last = True
            return
        call = Call(event, self._received, self._over)
        refused = len(self._calls) >= self._most_calls
        (self._refused if refused else self._calls).add(call)
        self._ask()
        if refused:
            problem = f"{self._most_calls} calls are under way already; try again later"
            call.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, problem)
        else:
            self._unread.append(call)
            self._read_on()

    def _read_on(self) -> None:
        while self._unread and len(self._read) < MOST_READ:
            try:
                call = self._unread.popleft()
            except IndexError:  # a thread that was relieved was faster
                return
            self._read.add(call)
            call.read()

    def _received(self, call: Call, data: bytes) -> None:
        self._ready.append((call, data))

    def _over(self, call: Call) -> None:
        self._refused.discard(call)
        self._calls.discard(call)
        self._read.discard(call)
        self._read_on()

    @property
    def waits(self) -> bool:
        """Whether a request waits for its turn."""
        return bool(self._ready)

    def answer_next(self) -> None:
        """Answer a request that waits, at once or where waiting holds up nobody."""
        try:
            call, data = self._ready.popleft()
        except IndexError:  # a thread that was relieved was faster
            return
        self._read.discard(call)
        self._read_on()
        self._answer(call, data)

    def _answer(self, call: Call, data: bytes) -> None:
        remaining_seconds = call.remaining_seconds()
        if not remaining_seconds:
            call.refuse_late()
            return
        try:
            answer = self._handler(data, remaining_seconds)
        except BaseException as error:  # whatever it is, the call must end
            call.fail(error)
            return
        if isinstance(answer, bytes):
            call.send(answer)
            return
        try:
            self._pool.submit(_finish, call, answer)
        except RuntimeError as error:
            call.refuse(grpc.StatusCode.UNAVAILABLE, f"no thread takes it on: {error}")


def _finish(call: Call, left: Later) -> None:
    if not call.remaining_seconds():
        call.refuse_late()
        return
    try:
        answer = left()
    except BaseException as error:
        call.fail(error)
    else:
        call.send(answer)
