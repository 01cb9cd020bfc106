"""Units of work: again when another process was faster, and not for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from time import perf_counter
from typing import cast

import pytest

from wayline_profile.core.changes import Commit
from wayline_profile.store import Conflict, ProfileStore, UnitOfWork
from wayline_profile.store.rocksdb import RocksProfileStore
from wayline_profile.writes import ATTEMPTS, Steps, Writer

_PATIENCE_SECONDS = 20.0


class Contested:
    """A unit of work in which another process is faster a number of times."""

    def __init__(self, store: RocksProfileStore) -> None:
        """Never, for now."""
        self.store = store
        self.times = 0

    @contextmanager
    def begin(self) -> Iterator[Contested]:
        """As the store does."""
        yield self

    def commit(self, commit: Commit) -> int:
        """Refuse, or write."""
        if self.times:
            self.times -= 1
            raise Conflict("another process")
        return self.store.commit(commit)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RocksProfileStore]:
    store = RocksProfileStore(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def contested(store: RocksProfileStore) -> Contested:
    return Contested(store)


def writer(contested: Contested) -> Writer:
    return Writer(cast("ProfileStore", contested), None, chance=random.Random(1))


async def test_what_another_process_has_changed_is_read_and_written_anew(contested: Contested) -> None:
    attempts: list[int] = []

    def work(_: UnitOfWork) -> Commit:
        attempts.append(get_ident())
        return Commit(records={("kind", b"key"): str(len(attempts)).encode()})

    contested.times = 2
    await writer(contested).write(work)
    assert len(attempts) == 3
    assert contested.store.records("kind", [b"key"]) == {b"key": b"3"}


async def test_after_some_attempts_it_is_given_up(contested: Contested) -> None:
    contested.times = 1_000
    with pytest.raises(Conflict):
        await writer(contested).write(lambda _: Commit())
    assert contested.times == 1_000 - ATTEMPTS


async def test_who_waits_for_a_server_does_so_in_a_thread_of_its_own(store: RocksProfileStore) -> None:
    threads: list[int] = []

    def work(_: UnitOfWork) -> Commit:
        threads.append(get_ident())
        return Commit()

    with ThreadPoolExecutor(1) as executor:
        written = await Writer(store, executor, chance=random.Random(1)).write(work)
        await Writer(store, executor, chance=random.Random(1)).run(lambda: threads.append(get_ident()))
    assert threads[0] == threads[1] != get_ident()
    assert written.version == store.version()


def until(happened: asyncio.Event) -> Iterator[None]:
    """Steps without end, but for what happens between them."""
    gives_up = perf_counter() + _PATIENCE_SECONDS
    while not happened.is_set():
        assert perf_counter() < gives_up, "nobody was let in"
        yield


async def test_others_are_let_in_between_the_steps_of_long_work(store: RocksProfileStore) -> None:
    let_in = asyncio.Event()

    def work(_: UnitOfWork) -> Steps[Commit]:
        yield from until(let_in)
        return Commit(records={("kind", b"key"): b"value"})

    written = asyncio.create_task(Writer(store, None, chance=random.Random(1)).write_in_steps(work))
    await asyncio.sleep(0)
    assert not written.done()
    let_in.set()
    assert (await written).version == store.version() == 1


async def test_what_is_stored_stays_as_it_is_from_the_first_step_of_a_unit_of_work_to_its_commit(
    store: RocksProfileStore,
) -> None:
    writer, began, goes_on = Writer(store, None, chance=random.Random(1)), asyncio.Event(), asyncio.Event()
    order: list[str] = []

    def long(_: UnitOfWork) -> Steps[Commit]:
        began.set()
        yield from until(goes_on)
        order.append("long")
        return Commit()

    def short(_: UnitOfWork) -> Commit:
        order.append("short")
        return Commit()

    first = asyncio.create_task(writer.write_in_steps(long))
    await began.wait()
    others = [
        asyncio.create_task(writer.write(short)),
        asyncio.create_task(writer.run_alone(lambda: order.append("alone"))),
    ]
    await writer.run(lambda: order.append("run"))
    for _ in range(3):
        await asyncio.sleep(0)
    goes_on.set()
    await asyncio.gather(first, *others)
    assert order == ["run", "long", "short", "alone"]


async def test_work_that_is_given_up_between_two_steps_leaves_nothing_and_others_go_on(
    store: RocksProfileStore,
) -> None:
    writer, never = Writer(store, None, chance=random.Random(1)), asyncio.Event()
    left: list[str] = []

    def work(_: UnitOfWork) -> Steps[Commit]:
        try:
            yield from until(never)
        finally:
            left.append("the unit")
        return Commit()

    given_up = asyncio.create_task(writer.write_in_steps(work))
    await asyncio.sleep(0)
    given_up.cancel()
    with suppress(asyncio.CancelledError):
        await given_up
    assert left == ["the unit"]
    assert (await writer.write(lambda _: Commit())).version == 1


async def test_the_steps_for_a_server_are_taken_in_one_go_in_its_thread(store: RocksProfileStore) -> None:
    threads: set[int] = set()

    def work(_: UnitOfWork) -> Steps[Commit]:
        for _step in range(3):
            threads.add(get_ident())
            yield
        return Commit()

    with ThreadPoolExecutor(1) as executor:
        assert (await Writer(store, executor, chance=random.Random(1)).write_in_steps(work)).version == 1
    assert len(threads) == 1
    assert get_ident() not in threads
