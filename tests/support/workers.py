"""The decision service with several workers on one port, as real processes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from tests.support.ports import free_port


class Running:
    """A supervisor with its workers."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        """Talk with it by its port, and read its log."""
        self.process = process
        self.address = f"127.0.0.1:{port}"
        self._port = port
        self._log = log

    @property
    def workers(self) -> list[int]:
        """The processes that the supervisor has."""
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def listening(self) -> list[int]:
        """Those of them that listen on the port."""
        return self.with_port(psutil.CONN_LISTEN)

    def with_port(self, status: str) -> list[int]:
        """Those of them that have a connection of this kind on the port."""
        return [pid for pid in self.workers if any(one.status == status for one in self._connections(pid))]

    def _connections(self, pid: int) -> list[Any]:
        with suppress(psutil.Error):  # it ended a moment ago
            found = psutil.Process(pid).net_connections("tcp")
            return [one for one in found if one.laddr.port == self._port]
        return []

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Those of the log."""
        found = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith('{"service"')]
        return [line for line in found if line["event"] == event]


@asynccontextmanager
async def running_workers(nats_url: str, log: Path, count: int = 2, **variables: str) -> AsyncIterator[Running]:
    """The service as an operator starts it. No profile service answers: decisions are contextual."""
    port = free_port()
    environment = {
        "WAYLINE_NATS_URL": nats_url,
        "WAYLINE_DECISION_PORT": str(port),
        "WAYLINE_DECISION_WORKERS": str(count),
        "WAYLINE_PROFILE_ADDRESS": f"127.0.0.1:{free_port()}",
        "WAYLINE_DECISIONS_MAX_BYTES": str(64 << 20),
        "WAYLINE_MODELS_MAX_BYTES": str(64 << 20),
        "WAYLINE_SHUTDOWN_GRACE_SECONDS": "2",
        "WAYLINE_DECISION_SILENCE_SECONDS": "3",
    }
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "wayline_decision"),
            env={**os.environ, **environment, **variables},
            stderr=file,
        )
    try:
        yield Running(process, port, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
