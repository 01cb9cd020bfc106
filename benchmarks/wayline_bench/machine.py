"""This machine: which processor runs what, and programs that end with us."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wayline.cluster import launch
from wayline.errors import WaylineError

_BUSY = 0.15
_WATCH_SECONDS = 0.5


class BenchError(WaylineError):
    """A benchmark could not run. The message says why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """One processor for what is measured, another for the load and everything else."""

    server: frozenset[int]
    load: frozenset[int]

    @property
    def apart(self) -> bool:
        """Whether the load leaves the measured process alone."""
        return bool(self.server) and not self.server & self.load

    def describe(self) -> str:
        """For people."""
        return "one processor each for server and load" if self.apart else "server and load share the processors"


async def others_at_work() -> list[str]:
    """A note for the report when the machine is busy before anything was started, else nothing.

    Even work on another processor counts: two virtual processors are often the two threads of one core, and then each
    slows the other down, which no clock of processor time shows.
    """
    before, started = _busy_seconds(), time.monotonic()
    await asyncio.sleep(_WATCH_SECONDS)
    busy = (_busy_seconds() - before) / (time.monotonic() - started)
    if not busy > _BUSY:
        return []
    return [f"others used {busy:.1f} processors of this machine before it began: a quiet one gives better figures"]


def _busy_seconds() -> float:
    """Processor time that all processes have used; NaN where `/proc` does not tell."""
    try:
        user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    except FileNotFoundError:
        return math.nan
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def unpinned_after() -> Iterator[None]:
    """Whatever the block does to this process's processors is undone after it."""
    ours = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
    try:
        yield
    finally:
        pin(os.getpid(), ours)


class Budget:
    """The time that a benchmark may take in all. What set-up takes longer, measuring gets less."""

    def __init__(self, seconds: float = 45.0) -> None:
        """The time runs from now on."""
        self._deadline = time.monotonic() + seconds

    def for_measuring(self, wanted_seconds: float, *, reserve_seconds: float) -> float:
        """What is left of `wanted_seconds` when `reserve_seconds` are kept for what comes after; at least a second."""
        left = self._deadline - time.monotonic() - reserve_seconds
        return max(1.0, min(wanted_seconds, left))


def choose_cores() -> Cores:
    """The first two processors that we may use; none at all where processes cannot be pinned."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(frozenset(), frozenset())
    ours = sorted(os.sched_getaffinity(0))
    return Cores(frozenset(ours[:1]), frozenset(ours[1:2] or ours[:1]))


def pin(pid: int, cpus: frozenset[int]) -> None:
    """Keep a process that runs already, with all its threads, on `cpus`. Does nothing where it cannot be done."""
    if not cpus or not hasattr(os, "sched_setaffinity"):
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # it ended since
            os.sched_setaffinity(int(thread.name), cpus)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used; NaN where `/proc` does not tell.

    What others do on the machine at the same time changes this less than it changes any rate.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return math.nan
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules. -P: a file in the current directory cannot stand in for a module."""
    return [sys.executable, "-P", "-m", module, *arguments]


async def run(command: Sequence[str], cpus: frozenset[int], timeout_seconds: float = 40.0) -> str:
    """Run a program on `cpus` to its end; its output.

    Raises:
        BenchError: it failed, or took too long.
    """
    process = await asyncio.create_subprocess_exec(
        *_launched(command, cpus), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout_seconds)
    except TimeoutError:
        raise BenchError(f"{command[0]} took more than {timeout_seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise BenchError(f"{' '.join(command[:4])} ended with {process.returncode}: {err.decode()[-2_000:]}")
    return out.decode()


@asynccontextmanager
async def running(command: Sequence[str], cpus: frozenset[int]) -> AsyncIterator[int]:
    """Run a server on `cpus` for as long as the block lasts; its process id."""
    process = await asyncio.create_subprocess_exec(*_launched(command, cpus))
    try:
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def run_json(command: Sequence[str], cpus: frozenset[int], timeout_seconds: float = 40.0) -> Any:
    """Run a program that prints one JSON document."""
    return json.loads(await run(command, cpus, timeout_seconds))


@asynccontextmanager
async def started_json(
    command: Sequence[str], cpus: frozenset[int], timeout_seconds: float
) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Run a program that prints a line when it begins its work, and a JSON document at its end.

    The block begins after the line; what it is given waits for the document.

    Raises:
        BenchError: the program failed.
    """
    process = await asyncio.create_subprocess_exec(*_launched(command, cpus), stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None, "it was asked for"
    output = process.stdout

    async def document() -> Any:
        async with asyncio.timeout(timeout_seconds):
            text = await output.read()
            if await process.wait():
                raise BenchError(f"{' '.join(command[2:4])} ended with {process.returncode}")
        return json.loads(text)

    try:
        if not await output.readline():
            raise BenchError(f"{' '.join(command[2:4])} did not start")
        yield document
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _launched(command: Sequence[str], cpus: frozenset[int]) -> list[str]:
    """As the cluster starts its processes: tied to our life, and to its processors from its first instruction on."""
    return [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), ",".join(map(str, sorted(cpus))), *command]
