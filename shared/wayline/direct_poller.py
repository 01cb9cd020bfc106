"""The thread of a method that is answered directly: see `direct`."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the published types leave it out

from wayline import logging

_IN_A_ROW = 4
"""Requests that are answered before it is looked who else has come: of too many, the last should hear it at once."""
_HEARD_IN_A_ROW = 32
"""What may happen to calls before some request has its turn: a flood must not keep all from being answered."""
_NOW = 0.0
log = logging.get("direct")


class Method(Protocol):
    """What the thread works for."""

    @property
    def waits(self) -> bool:
        """Whether a request waits for its turn."""

    def answer_next(self) -> None:
        """Answer one that waits, if it still does."""


class Poller:
    """A thread that takes what happens to calls, one after the other, until it is relieved or nothing can happen."""

    def __init__(self, method: Method, queue: Any, name: str) -> None:
        """Begin: take what comes from `queue`, on a thread of that name."""
        self._method = method
        self._queue = queue
        self.relieved = False
        """Another one takes over: end with what is under way."""
        self.busy = False
        self.steps = 0
        """Grows with each thing that it begins: while it is busy and this stays the same, it stands still."""
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        heard = 0
        while not self.relieved:
            event = None  # the core waits for whoever still holds a call
            waits = self._method.waits
            if not waits or heard < _HEARD_IN_A_ROW:
                try:
                    event = self._queue.poll(_NOW if waits else None)
                except BaseException as error:
                    log.error("thread_failed", exc_info=error)
                    return  # `watch` puts another in its place
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
            if self.relieved:  # the next one may sleep already: what this event brought would wait for another
                self._method.answer_next()
            self.busy = False

    def _answer_some(self) -> None:
        for _ in range(_IN_A_ROW):
            if self.relieved or not self._method.waits:
                return
            self.steps += 1
            self._method.answer_next()
