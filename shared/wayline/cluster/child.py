"""One process that is kept running: started, watched, started again when it dies, and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wayline.cluster.errors import ClusterError, StartFailed
from wayline.cluster.logs import open_for_child, rotate, tail
from wayline.health import Health

FIRST_DELAY_SECONDS = 0.1
LAST_DELAY_SECONDS = 5.0
STEADY_SECONDS = 10.0
"""Well for this long: the next death counts as the first one again."""
GRACE_SECONDS = 10.0
START_ATTEMPTS = 3
_PROBE_SECONDS = 0.05
BAD_SETTINGS = 2  # the exit code of `wayline.settings.read`: another attempt would end the same way
_LAUNCH = str(Path(__file__).with_name("launch.py"))
_HARMLESS = {signal.SIGSTOP, signal.SIGCONT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEvent:
    """Something that happened to a process, for people and logs."""

    kind: Literal["started", "healthy", "died", "stopped", "warning"]
    name: str
    pid: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run. `probe` tells whether it is well; `cpus` are the processors it may use, or None for all."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    probe: Callable[[], Awaitable[Health]]
    cpus: frozenset[int] | None = None


class Child:
    """Keeps one program running from `start` to `stop`."""

    def __init__(self, program: Program, report: Callable[[ClusterEvent], None]) -> None:
        """Nothing runs yet. Every event is handed to `report`."""
        self.name = program.name
        self.restarts = 0
        self._program = program
        self._report = report
        self._process: asyncio.subprocess.Process | None = None
        self._doomed: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._healthy = asyncio.Event()
        self._stopping = asyncio.Event()
        self._well_since: float | None = None
        self._was_well = False

    @property
    def pid(self) -> int:
        """Of the process that runs now.

        Raises:
            ClusterError: none does.
        """
        return self._running().pid

    def start(self) -> None:
        """Begin to run the program, with an empty log."""
        rotate(self._program.log)
        self._keeper = asyncio.create_task(self._keep(), name=f"keep-{self.name}")

    def kill(self, number: signal.Signals) -> None:
        """Send a signal. When it ends the process, `wait_healthy` waits for the next one.

        Raises:
            ClusterError: it does not run.
        """
        process = self._running()
        if number not in _HARMLESS:
            self._doomed = process
            self._healthy.clear()
        self._send(process, number)

    async def wait_healthy(self) -> None:
        """Until the process is well.

        Raises:
            StartFailed: it ended again and again before it was ever well.
            ClusterError: it was stopped.
        """
        keeper = self._keeper
        if keeper is None:
            raise ClusterError(f"{self.name} was stopped")
        waiting = asyncio.create_task(self._healthy.wait())
        try:
            await asyncio.wait({waiting, keeper}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                keeper.result()
                raise ClusterError(f"{self.name} was stopped")
        finally:
            waiting.cancel()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL to what is left after the grace. Twice is safe."""
        self._stopping.set()
        if self._keeper is None:
            return
        self._send(self._process, signal.SIGTERM)
        _, unfinished = await asyncio.wait({self._keeper}, timeout=GRACE_SECONDS)
        if unfinished:
            self._event("warning", f"did not stop within {GRACE_SECONDS:g} s: killed")
            self._send(self._process, signal.SIGKILL)
            await asyncio.wait({self._keeper})
        keeper, self._keeper = self._keeper, None
        with suppress(StartFailed):  # whoever waited for the start was told
            keeper.result()
        self._event("stopped")

    def abandon(self) -> None:
        """SIGKILL at once, and no other life; `stop` then has nothing to wait for."""
        self._stopping.set()
        self._send(self._process, signal.SIGKILL)

    async def _keep(self) -> None:
        deaths = 0
        while True:
            code = await self._run()
            if self._stopping.is_set():
                return
            steady = self._well_since is not None and _now() - self._well_since >= STEADY_SECONDS
            deaths = 1 if steady else deaths + 1
            if not self._was_well and (deaths >= START_ATTEMPTS or code == BAD_SETTINGS):
                raise StartFailed(self.name, f"ended {described(code)}", self._program.log, tail(self._program.log))
            delay = pause_after(deaths)
            self._event("died", f"ended {described(code)}; starts again in {delay:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
                return
            self.restarts += 1

    async def _run(self) -> int:
        """One process from its start to its end. Returns its exit code, negative for a signal."""
        program, self._well_since = self._program, None
        cpus = ",".join(map(str, sorted(program.cpus or ())))
        log = open_for_child(program.log)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", _LAUNCH, str(os.getpid()), cpus, *program.command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=program.env,
                process_group=0,  # Ctrl-C in the terminal reaches only the supervisor, which stops them in order
            )
        finally:
            os.close(log)
        self._process = process
        if self._stopping.is_set():
            self._send(process, signal.SIGTERM)
        self._event("started")
        probing = asyncio.create_task(self._probe(process), name=f"probe-{self.name}")
        try:
            return await process.wait()
        finally:
            self._process = None
            self._healthy.clear()
            probing.cancel()
            with suppress(asyncio.CancelledError):
                await probing

    async def _probe(self, process: asyncio.subprocess.Process) -> None:
        while True:
            if (await self._program.probe()).healthy:
                break
            await asyncio.sleep(_PROBE_SECONDS)
        if process is not self._doomed:
            self._well_since, self._was_well = _now(), True
            self._healthy.set()
            self._event("healthy")

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ClusterError(f"{self.name} does not run")
        return self._process

    def _send(self, process: asyncio.subprocess.Process | None, number: signal.Signals) -> None:
        if process is not None and process.returncode is None:
            # Not by `send_signal`, which takes the exit code away from who waits for it if the process has just ended.
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def _event(self, kind: Literal["started", "healthy", "died", "stopped", "warning"], detail: str = "") -> None:
        pid = self._process.pid if self._process else None
        self._report(ClusterEvent(kind=kind, name=self.name, pid=pid, detail=detail))


def _now() -> float:
    return asyncio.get_running_loop().time()


def pause_after(deaths: int) -> float:
    """Seconds until a process that has died so many times in a row is started again."""
    return min(LAST_DELAY_SECONDS, FIRST_DELAY_SECONDS * (1 << min(deaths - 1, 30)))


def described(code: int) -> str:
    """An exit code in words; negative: the signal."""
    return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
