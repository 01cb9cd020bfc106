"""Units of work: again when another process was faster, and not for ever."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_ident

import pytest

from wayline_profile.core.changes import Commit
from wayline_profile.store import Conflict, UnitOfWork
from wayline_profile.store.rocksdb import RocksProfileStore
from wayline_profile.writes import ATTEMPTS, Writer


class Contested(RocksProfileStore):
    """Another process is faster a number of times."""

    times = 0

    def commit(self, commit: Commit) -> int:
        if self.times:
            self.times -= 1
            raise Conflict("another process")
        return super().commit(commit)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Contested]:
    store = Contested(tmp_path / "store")
    yield store
    store.close()


async def test_what_another_process_has_changed_is_read_and_written_anew(store: Contested) -> None:
    attempts: list[int] = []

    def work(_: UnitOfWork) -> Commit:
        attempts.append(get_ident())
        return Commit(records={("kind", b"key"): str(len(attempts)).encode()})

    store.times = 2
    await Writer(store, None, chance=random.Random(1)).write(work)
    assert len(attempts) == 3
    assert store.records("kind", [b"key"]) == {b"key": b"3"}


async def test_after_some_attempts_it_is_given_up(store: Contested) -> None:
    store.times = 1_000
    with pytest.raises(Conflict):
        await Writer(store, None, chance=random.Random(1)).write(lambda _: Commit())
    assert store.times == 1_000 - ATTEMPTS


async def test_who_waits_for_a_server_does_so_in_a_thread_of_its_own(store: Contested) -> None:
    threads: list[int] = []

    def work(_: UnitOfWork) -> Commit:
        threads.append(get_ident())
        return Commit()

    with ThreadPoolExecutor(1) as executor:
        written = await Writer(store, executor, chance=random.Random(1)).write(work)
        await Writer(store, executor, chance=random.Random(1)).run(lambda: threads.append(get_ident()))
    assert threads[0] == threads[1] != get_ident()
    assert written.version == store.version()
