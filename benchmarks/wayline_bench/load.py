"""Load on a gRPC method: by h2load where it is installed, else by our own generator. Both in the same shape."""

from __future__ import annotations

import asyncio
import re
import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wayline_bench import http2
from wayline_bench.machine import BenchError, python, run, run_json

CONNECTIONS = 4
STREAMS = 4
CONCURRENCY = CONNECTIONS * STREAMS
_RATE = re.compile(r"finished in [\d.]+m?s, ([\d.]+) req/s")
_COUNTS = re.compile(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
_DATA = re.compile(r"\((\d+)\) data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to call, and from where."""

    address: str
    path: str
    cpus: frozenset[int]


@dataclass(frozen=True, slots=True)
class Rate:
    """What a server managed."""

    calls_per_s: float
    response_bytes: float
    """On the average, with the five bytes of gRPC's prefix."""


def h2load_installed() -> bool:
    """h2load is part of nghttp2 (the package nghttp2-client of Debian and Ubuntu)."""
    return shutil.which("h2load") is not None


async def by_h2load(target: Target, bodies: Sequence[bytes], seconds: float, directory: Path) -> Rate:
    """One h2load per connection, since each knows only one request: `bodies` has one for each connection.

    Raises:
        BenchError: a call failed.
    """
    assert len(bodies) == CONNECTIONS, "one body for each connection"
    commands = []
    for at, body in enumerate(bodies):
        file = directory / f"body-{at}"
        await asyncio.to_thread(file.write_bytes, struct.pack(">BI", 0, len(body)) + body)
        commands.append(
            [
                "h2load",
                *("-D", f"{seconds * 1_000:.0f}ms", "-c", "1", "-m", str(STREAMS), "-d", str(file)),
                *("-H", "content-type: application/grpc", "-H", "te: trailers"),
                f"http://{target.address}{target.path}",
            ]
        )
    outputs = await asyncio.gather(*(run(command, target.cpus, seconds + 10) for command in commands))
    parts = [read_h2load(output) for output in outputs]
    return Rate(
        sum(part.calls_per_s for part in parts),
        sum(part.response_bytes for part in parts) / len(parts),
    )


async def by_ourselves(target: Target, bodies: Path, seconds: float, *, connections: int = CONNECTIONS) -> Rate:
    """Our own generator, which walks through all of `bodies` (see `http2.write_bodies`).

    Raises:
        BenchError: a call failed.
    """
    arguments = (target.address, target.path, str(bodies), str(seconds), str(connections), str(STREAMS))
    load = http2.Load(**await run_json(python("wayline_bench.http2", *arguments), target.cpus, seconds + 10))
    if load.failed or not load.calls:
        raise BenchError(f"{load.failed} of {load.calls} calls to {target.path} failed")
    return Rate(load.calls / load.seconds, load.response_bytes / load.calls)


def read_h2load(output: str) -> Rate:
    """What h2load says. It knows HTTP, not gRPC: a gRPC error is a success to it, but carries no data."""
    rate, counts, data = _RATE.search(output), _COUNTS.search(output), _DATA.search(output)
    if not rate or not counts or not data:
        raise BenchError(f"h2load said what we do not understand: {output[-1_000:]}")
    succeeded, *bad = map(int, counts.groups())
    if any(bad) or not succeeded:
        raise BenchError(f"h2load had calls that failed: {counts.group()}")
    return Rate(float(rate[1]), int(data[1]) / succeeded)
