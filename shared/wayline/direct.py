"""One unary method of a threaded gRPC server, answered on the thread that receives it.

grpcio's own server hands a call from thread to thread three times and makes some twenty objects for it, most of them
for streams, callbacks and metadata that a short unary method has no use for: a call that does nothing costs 80 µs
there, and 30 here, where the same core, on the same port, hands the calls of one method to a loop of ours.

That takes the module beneath grpcio's public face (`grpc._cython.cygrpc`), which promises nothing to others:
pyproject.toml holds grpcio to the release that this was tested with.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the published types leave it out

from wayline import logging
from wayline.direct_call import Call

Later = Callable[[], bytes]
"""What is left to do for an answer."""
Handler = Callable[[bytes, float], "bytes | Later"]
"""Takes a request and the seconds until its caller gives up, both as they came."""

MOST_CALLS = 1_000
MOST_READ = 64
"""Requests in memory that wait for their turn; those of other calls are left to the core, which slows their senders."""
MOST_THREADS = 64
_IN_A_ROW = 4
"""Requests that are answered before it is looked who else has come: of too many, the last should hear it at once."""
_HEARD_IN_A_ROW = 32
"""What may happen to calls before some request has its turn: a flood must not keep all from being answered."""
_WATCH_SECONDS = 0.02
_NOW = 0.0
log = logging.get("direct")


class DirectMethod:
    """A method whose handler answers at once, or says what is left to do; that is then done on a pool.

    One thread takes call after call, so that no two compete for the interpreter's lock. Should it stand still in one of
    them, another takes over (`watch`).
    """

    def __init__(
        self,
        path: str,
        handler: Handler,
        pool: Executor,
        *,
        most_calls: int = MOST_CALLS,
        most_threads: int = MOST_THREADS,
    ) -> None:
        """Serve nothing yet.

        Args:
            path: '/package.Service/Method'.
            handler: see `Handler`. Its `WaylineError`s become the status that belongs to them.
            pool: for what has to wait.
            most_calls: that may be under way, those with the pool included. More are refused with RESOURCE_EXHAUSTED.
            most_threads: that may stand still.
        """
        self._path = path
        self._handler = handler
        self._pool = pool
        self._most_calls = most_calls
        self._most_threads = most_threads
        self._queue = cygrpc.CompletionQueue()
        self._calls: set[Call] = set()
        """Under way. Adding, discarding and counting need no lock: the interpreter does each in one go."""
        self._unread: deque[Call] = deque()
        self._read: set[Call] = set()
        """Their requests are being read, or are there and wait for their turn."""
        self._ready: deque[tuple[Call, bytes]] = deque()
        """Requests that wait for their turn."""
        self._core: Any = None
        self._poller: _Poller | None = None
        self._pollers: set[_Poller] = set()

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
        """For ever: where a call keeps the thread that takes them, let another take the next ones."""
        while True:
            poller = self._poller
            seen = poller.steps if poller else 0
            await asyncio.sleep(_WATCH_SECONDS)
            self._pollers = {one for one in self._pollers if one.thread.is_alive()}
            if poller and poller.busy and poller.steps == seen and not self.hangs:
                self._relieve()

    def stop(self, timeout_seconds: float) -> None:
        """End the threads. After the server has stopped and the pool was shut down: no call is left then."""
        self._queue.shutdown()
        for poller in self._pollers:
            poller.thread.join(timeout_seconds)

    def _relieve(self) -> None:
        if self._poller is not None:
            self._poller.relieved = True
        self._poller = _Poller(self, self._queue, f"direct_{self._path.rpartition('/')[2]}")
        self._pollers.add(self._poller)

    def _ask(self) -> None:
        try:
            self._core.request_registered_call(self._queue, self._queue, self._path, self._arrived)
        except ValueError:  # the server is shutting down: there is no next call
            return

    def _arrived(self, event: Any) -> None:
        if not event.success:
            return  # no call, but the end of the server
        self._ask()
        call = Call(event, self._received, self._over)
        if len(self._calls) < self._most_calls:
            self._calls.add(call)
            self._unread.append(call)
            self._read_on()
        else:
            problem = f"{self._most_calls} calls are under way already; try again later"
            call.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, problem)

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
            call.refuse(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline was over before it was this call's turn")
            return
        try:
            answer = self._handler(data, remaining_seconds)
        except Exception as error:
            call.fail(error)
            return
        if isinstance(answer, bytes):
            call.send(answer)
            return
        try:
            self._pool.submit(_finish, call, answer)
        except RuntimeError:
            call.refuse(grpc.StatusCode.UNAVAILABLE, "the server is shutting down")


def _finish(call: Call, left: Later) -> None:
    try:
        answer = left()
    except Exception as error:
        call.fail(error)
    else:
        call.send(answer)


class _Poller:
    """A thread that takes what happens to calls, one after the other, until it is relieved or nothing can happen."""

    def __init__(self, method: DirectMethod, queue: Any, name: str) -> None:
        self._method = method
        self._queue = queue
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.relieved = False
        self.busy = False
        self.steps = 0
        self.thread.start()

    def _run(self) -> None:
        heard = 0
        while not self.relieved:
            event = None  # the core waits for whoever still holds a call
            waits = self._method.waits
            if not waits or heard < _HEARD_IN_A_ROW:
                event = self._queue.poll(_NOW if waits else None)
                if event.completion_type == cygrpc.CompletionType.queue_shutdown:
                    return
            self.busy = True
            try:
                if event is None or event.completion_type == cygrpc.CompletionType.queue_timeout:
                    heard = 0
                    self._answer_some()
                else:
                    heard += 1
                    self.steps += 1
                    event.tag(event)
            except Exception as error:  # a defect: the call ends with it, the others must go on
                log.error("call_failed", exc_info=error)
            self.busy = False

    def _answer_some(self) -> None:
        for _ in range(_IN_A_ROW):
            if self.relieved or not self._method.waits:
                return
            self.steps += 1
            self._method.answer_next()
