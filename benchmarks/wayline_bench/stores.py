"""Where the profile service keeps profiles while it is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from wayline_bench.postgres_server import PostgresServer

StoreName = Literal["rocksdb", "postgresql"]


@contextmanager
def empty_stores(name: StoreName, *options: str) -> Iterator[Callable[[], str]]:
    """What gives each run a store of its own, as the setting for the profile service: 'rocksdb', or the address of an
    empty database of a server that we start, with these `options`.
    """
    if name == "rocksdb":
        yield lambda: name
    else:
        with PostgresServer(*options) as server:
            yield server.new_database
