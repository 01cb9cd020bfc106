"""Clusters of stand-ins: everything that the supervisor does, without the services."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from wayline.cluster import SERVICES

PATIENCE_SECONDS = 30.0
COMMANDS: dict[str, Sequence[str]] = {
    name: (sys.executable, "-P", str(Path(__file__).with_name("standin.py")), name) for name in SERVICES
}


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds; fail with `what` was expected when it does not in good time."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"expected: {what}"
        await asyncio.sleep(0.02)


def alive(pids: Sequence[int]) -> list[int]:
    """Those that still run; a zombie does not."""
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
