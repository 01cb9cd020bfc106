"""A thread pool that keeps few threads at work, however many wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from math import inf
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_Item = tuple["Future[Any]", Callable[[], Any]]


class ElasticPool(Executor):
    """Runs tasks on `active` threads, and on others in place of those that wait; on at most `threads` in all.

    Threads that are all ready contend for the interpreter's lock, and switching between sixteen of them took as much of
    a processor as the decisions themselves. Too few, on the other hand, are all taken as soon as some wait. So a task
    says when it waits (`waiting`), and another thread takes its place. Up to `active` of the substitutes are kept for
    the next time; a queue in C hands the tasks out, as in the standard library's pool.
    """

    def __init__(self, *, active: int, threads: int) -> None:
        """Threads start with the first task."""
        self._active = active
        self._most = max(active, threads)
        self._tasks: SimpleQueue[_Item | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._started = 0
        self._spare = 0
        self._waiting = 0
        self._ended = False
        self.steps = 0
        """How often a thread began a task, or went on with one after it had waited, more or less: while this stays the
        same, none of them does.
        """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` as soon as a thread is free.

        Raises:
            RuntimeError: the pool was shut down.
        """
        if self._ended:
            raise RuntimeError("the pool was shut down")
        if self._started < self._active:
            with self._lock:
                if self._started < self._active:
                    self._start()
        future: Future[T] = Future()
        self._tasks.put((future, lambda: fn(*args, **kwargs)))
        return future

    @property
    def all_wait(self) -> bool:
        """Every thread that there may be waits for something: what comes now has to wait, though nothing hangs."""
        with self._lock:
            return self._waiting >= self._most

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For a task of this pool, around something that it waits for: another thread takes its place meanwhile."""
        with self._lock:
            self._waiting += 1
            replaced = self._spare > 0 or len(self._threads) < self._most
            if self._spare:
                self._spare -= 1
            elif replaced and not self._ended:
                self._start()
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                self.steps += 1
                self._spare += replaced

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; finish those that were taken, or cancel those that have not begun. Twice is safe."""
        with self._lock:
            self._ended = True
        while cancel_futures:
            try:
                item = self._tasks.get_nowait()
            except Empty:
                break
            if item is not None:
                item[0].cancel()
        self.close(inf if wait else 0.0)

    def close(self, timeout_seconds: float) -> bool:
        """The same, but wait for so long at most. Returns whether all threads have ended."""
        with self._lock:
            self._ended = True
            threads = list(self._threads)
        for _ in threads:
            self._tasks.put(None)
        until = time.monotonic() + timeout_seconds
        for thread in threads:
            thread.join(None if until == inf else max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _start(self) -> None:
        """One thread more. The lock is held."""
        thread = threading.Thread(target=self._work, name=f"rpc_{self._started}", daemon=True)
        self._started += 1
        self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        while (item := self._tasks.get()) is not None:
            future, task = item
            self.steps += 1
            if future.set_running_or_notify_cancel():
                try:
                    result = task()
                except BaseException as error:  # whoever holds the future decides what it means
                    future.set_exception(error)
                else:
                    future.set_result(result)
            del item, future, task
            if self._spare > self._active and self._retires():
                return

    def _retires(self) -> bool:
        with self._lock:
            if self._ended or self._spare <= self._active:
                return False
            self._spare -= 1
            self._threads.discard(threading.current_thread())
            return True
