"""A pool of few workers and many who wait."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from time import sleep

import pytest

from wayline.pool import ElasticPool

SECONDS = 20


def test_tasks_give_results_and_errors() -> None:
    with ElasticPool(active=2, threads=4) as pool:
        futures = [pool.submit(lambda n=n: 10 // n) for n in (1, 2, 0)]
        assert [futures[0].result(SECONDS), futures[1].result(SECONDS)] == [10, 5]
        assert isinstance(futures[2].exception(SECONDS), ZeroDivisionError)


def test_no_more_than_so_many_run_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def task() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        sleep(0.001)
        with lock:
            running -= 1

    with ElasticPool(active=3, threads=16) as pool:
        for future in [pool.submit(task) for _ in range(60)]:
            future.result(SECONDS)
    assert 1 <= most <= 3


def test_a_task_that_waits_lets_another_run() -> None:
    with ElasticPool(active=1, threads=2) as pool:
        gate = threading.Event()

        def waits() -> str:
            with pool.waiting():
                return "opened" if gate.wait(SECONDS) else "shut"

        waiting = pool.submit(waits)
        pool.submit(gate.set).result(SECONDS)
        assert waiting.result(SECONDS) == "opened"


def test_there_are_never_more_threads_than_allowed() -> None:
    with ElasticPool(active=1, threads=3) as pool:
        gate = threading.Event()

        def waits() -> bool:
            with pool.waiting():
                return gate.wait(SECONDS)

        futures: list[Future[bool]] = [pool.submit(waits) for _ in range(10)]
        names = {thread.name for thread in threading.enumerate() if thread.name.startswith("rpc_")}
        assert len(names) <= 3
        gate.set()
        assert all(future.result(SECONDS) for future in futures)


def test_what_was_taken_is_finished_and_nothing_more_is_taken() -> None:
    pool = ElasticPool(active=1, threads=1)
    futures = [pool.submit(int, str(number)) for number in range(20)]
    pool.shutdown()
    pool.shutdown()
    assert [future.result(0) for future in futures] == list(range(20))
    with pytest.raises(RuntimeError):
        pool.submit(int)


def test_what_has_not_begun_can_be_cancelled() -> None:
    pool = ElasticPool(active=1, threads=1)
    began, gate = threading.Event(), threading.Event()

    def first_task() -> bool:
        began.set()
        return gate.wait(SECONDS)

    first = pool.submit(first_task)
    assert began.wait(SECONDS)
    second = pool.submit(int)
    pool.shutdown(wait=False, cancel_futures=True)
    gate.set()
    assert first.result(SECONDS)
    assert second.cancelled()
