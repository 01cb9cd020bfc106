"""Leases in a real PostgreSQL: one holder for each, by the server's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import psycopg
import pytest
from tests.support.postgres import PostgresServer

from wayline.errors import Retryable
from wayline_profile.store.postgres_leases import PostgresLeases

NAMES = [f"partition/{number}" for number in range(4)]
Worker = Callable[..., PostgresLeases]


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.new_database()


@pytest.fixture
def worker(url: str) -> Iterator[Worker]:
    """Workers with names of their own, unless told otherwise."""
    tables: list[PostgresLeases] = []
    numbers = count()

    def make(name: str = "") -> PostgresLeases:
        tables.append(PostgresLeases(url, name or f"worker-{next(numbers)}", timeout_seconds=5.0))
        return tables[-1]

    yield make
    for table in tables:
        table.close()


def turn(table: PostgresLeases, *duties: str, seconds: float = 60.0) -> set[str]:
    return set(table.turn(NAMES, duties, seconds=seconds))


def test_who_comes_later_gets_its_share_when_the_first_has_given_it_up(worker: Worker) -> None:
    first, second = worker(), worker()
    assert turn(first) == set(NAMES)
    assert turn(second) == set()
    assert turn(first) == set(NAMES[:2])
    assert turn(second) == set(NAMES[2:])
    first.release()
    assert turn(second) == set(NAMES)


async def test_what_a_worker_held_that_fell_silent_is_taken_over_after_its_time(worker: Worker) -> None:
    silent, other = worker(), worker()
    assert turn(silent, "duty/sweep", seconds=0.5) == {*NAMES, "duty/sweep"}
    assert turn(other, "duty/sweep") == set()
    async with asyncio.timeout(20):
        while turn(other, "duty/sweep") != {*NAMES, "duty/sweep"}:
            await asyncio.sleep(0.02)
    assert turn(silent, "duty/sweep") == set()


def test_a_duty_is_done_by_one(worker: Worker) -> None:
    tables = [worker() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        held = list(pool.map(lambda table: turn(table, "duty/sweep", "duty/due"), tables))
    duties = [name for mine in held for name in mine if name.startswith("duty/")]
    assert sorted(duties) == ["duty/due", "duty/sweep"]


def test_a_process_that_is_started_again_goes_on_with_what_it_held(worker: Worker) -> None:
    assert turn(worker("profile-0")) == set(NAMES)
    assert turn(worker("profile-0")) == set(NAMES)


def test_of_two_that_go_by_one_name_the_first_takes_another(worker: Worker) -> None:
    one, other = worker("profile"), worker("profile")
    turn(one)
    assert turn(other) == set(NAMES)
    assert turn(one) == set()
    assert turn(other) == set(NAMES[:2])
    assert turn(one) == set(NAMES[2:])
    assert turn(other) == set(NAMES[:2])


def test_the_end_of_one_that_lost_its_name_takes_nothing_from_the_other(worker: Worker) -> None:
    one, other = worker("profile"), worker("profile")
    turn(one)
    turn(other)
    one.release()
    assert turn(other) == set(NAMES)


def test_a_server_that_does_not_answer_is_said_to_be_away(url: str) -> None:
    table = PostgresLeases(url, "worker", timeout_seconds=0.2)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE wayline_profile.workers")
        with pytest.raises(Retryable):
            turn(table)
    assert turn(table) == set(NAMES)
    table.close()


async def test_a_session_that_stands_still_in_the_middle_of_a_commit_is_ended(worker: Worker, url: str) -> None:
    table = worker()
    count = "UPDATE wayline_profile.counters SET folded = folded + 1"
    frozen = psycopg.connect(url, autocommit=True, application_name="wayline-profile")
    with psycopg.connect(url, autocommit=True, options="-c lock_timeout=20") as other:
        frozen.pgconn.enter_pipeline_mode()
        for statement in (b"BEGIN", count.encode()):
            frozen.pgconn.send_query_params(statement, None)
        frozen.pgconn.send_flush_request()  # it goes on its way, and no end of the pipeline follows
        frozen.pgconn.flush()
        async with asyncio.timeout(20):
            while locks(other, count):  # until it has begun
                await asyncio.sleep(0.01)
            while not locks(other, count):
                turn(table)
                await asyncio.sleep(0.02)
    frozen.close()


def locks(connection: psycopg.Connection, statement: str) -> bool:
    """Whether a row can be changed."""
    try:
        connection.execute(statement)
    except psycopg.errors.LockNotAvailable:
        return False
    return True
