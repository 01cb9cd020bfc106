"""The profile service as processes of their own on PostgreSQL, and what its tables tell of them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
from tests.support.ports import free_port

PATIENCE_SECONDS = 60.0
LEASE_SECONDS = 1.5


@asynccontextmanager
async def a_process(
    nats_url: str, store: str, log: Path, **variables: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The profile service as it runs in production, with a short lease; it is killed at the end if it still lives."""
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wayline_profile"),
            stderr=file,
            env={
                **os.environ,
                "WAYLINE_NATS_URL": nats_url,
                "WAYLINE_PROFILE_STORE": store,
                "WAYLINE_PROFILE_DATA": str(log.parent),
                "WAYLINE_PROFILE_PORT": str(free_port()),
                "WAYLINE_PROFILE_LEASE_SECONDS": str(LEASE_SECONDS),
                **variables,
            },
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(url: str, query: str, reached: Callable[[Any], bool], *processes: asyncio.subprocess.Process) -> None:
    """Wait for what a query answers, while all of the processes live. The tables must be there."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with psycopg.connect(url, autocommit=True, options="-c search_path=wayline_profile") as connection:
            while not reached(connection.execute(query).fetchall()):
                assert all(one.returncode is None for one in processes), "a process has ended"
                await asyncio.sleep(0.01)


async def shared_by(url: str, workers: int, partitions: int, *processes: asyncio.subprocess.Process) -> None:
    """Wait until so many workers have their share of the partitions."""

    def evenly(rows: list[tuple[str, int]]) -> bool:
        shares = [count for _, count in rows]
        return len(shares) == workers and sum(shares) == partitions and max(shares) - min(shares) <= 1

    query = "SELECT worker, count(*) FROM leases WHERE name LIKE 'partition/%' GROUP BY worker"
    await until(url, query, evenly, *processes)
