"""A process that hangs is told from one that has much to do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from time import sleep

import pytest

from wayline.pool import ElasticPool
from wayline_decision.pulse import Pulse, probed

SECONDS = 20
SHORT = 0.05


class Turn:
    """What decisions take turns at."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def comes(self, within_seconds: float) -> bool:
        if not self.lock.acquire(timeout=within_seconds):
            return False
        self.lock.release()
        return True


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Whoever waits at it goes on at the end of the test."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def pool(gate: threading.Event) -> Iterator[ElasticPool]:
    """Two threads, and no others in their place."""
    pool = ElasticPool(active=2, threads=2)
    yield pool
    gate.set()
    pool.shutdown()


async def test_whoever_has_nothing_to_do_can_work(pool: ElasticPool):
    assert await Pulse(pool, Turn().comes).felt(SECONDS)


async def test_a_turn_that_never_comes_is_a_hang_until_it_comes(pool: ElasticPool):
    turn = Turn()
    pulse = Pulse(pool, turn.comes)
    with turn.lock:
        assert not await pulse.felt(SHORT)
    assert await pulse.felt(SECONDS)


async def test_threads_that_all_stand_still_are_a_hang_until_they_go_on(pool: ElasticPool, gate: threading.Event):
    pulse = Pulse(pool, Turn().comes)
    stuck = [pool.submit(gate.wait, SECONDS) for _ in range(2)]
    while pool.steps < 2:
        await asyncio.sleep(0.001)
    assert not await pulse.felt(SHORT)
    assert not await pulse.felt(SHORT)
    gate.set()
    assert all(one.result(SECONDS) for one in stuck)
    assert await pulse.felt(SECONDS)


async def test_when_nobody_is_left_to_take_requests_it_is_a_hang(pool: ElasticPool):
    left = [0, 1]
    pulse = Pulse(pool, Turn().comes, lambda: not left.pop(0))
    assert [await pulse.felt(SECONDS), await pulse.felt(SECONDS)] == [False, True]


async def test_threads_that_all_wait_for_their_clients_do_not_hang(pool: ElasticPool, gate: threading.Event):
    def waits() -> bool:
        with pool.waiting():
            return gate.wait(SECONDS)

    for _ in range(2):
        pool.submit(waits)
    while not pool.all_wait:
        await asyncio.sleep(0.001)
    assert await Pulse(pool, Turn().comes).felt(SHORT)


async def test_threads_that_go_on_do_not_hang_though_the_queue_does_not_get_shorter():
    stop = threading.Event()

    def a_stream_without_end() -> None:
        while not stop.is_set():
            with pool.waiting():
                pass
            sleep(0.001)

    with ElasticPool(active=1, threads=1) as pool:
        pool.submit(a_stream_without_end)
        pulse = Pulse(pool, Turn().comes)
        try:
            assert [await pulse.felt(0.5) for _ in range(3)] == [True] * 3
        finally:
            stop.set()


async def test_probes_hear_that_a_process_hangs_and_that_it_goes_on(pool: ElasticPool):
    turn = Turn()
    told: asyncio.Queue[bool] = asyncio.Queue()
    async with asyncio.timeout(SECONDS), probed(Pulse(pool, turn.comes), 10 * SHORT, told.put_nowait):
        with turn.lock:
            assert await told.get() is False
        assert await told.get() is True
    assert told.empty()
