"""Several processes on one port: each a whole replica, started, watched and stopped by one that serves nothing itself.

The kernel spreads new connections over all sockets that listen on the port (`SO_REUSEPORT`). At the start no worker
listens before all can decide; after that each listens when it can, and answers for itself. So whoever can connect finds
a worker that decides.

They share memory (see `port_memory`), and whoever takes the place of a worker has the same.

A worker that serves says again and again that it can work (see `seat`). One that stays silent hangs, and is replaced.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from wayline import logging
from wayline.cluster import launch
from wayline.cluster.child import BAD_SETTINGS, START_ATTEMPTS, STEADY_SECONDS, described, pause_after
from wayline_decision import port_memory
from wayline_decision.settings import DecisionSettings

# -P: a file in the current directory cannot stand in for a module.
COMMAND = (sys.executable, "-P", "-m", "wayline_decision")
WORD = b"."
"""What a worker and its supervisor say to each other."""
BEATS = 10
"""A worker says so often that it can work, in the time in which it may be silent."""
_HEARD_BYTES = 4_096
log = logging.get("workers")


def supervise(settings: DecisionSettings) -> None:
    """Run the workers until SIGTERM or SIGINT.

    Raises:
        SystemExit: the port is taken, or a worker cannot be started.
    """
    logging.configure("decision", settings.log_level, worker=0)
    with reserved(settings.host, settings.decision_port):
        workers = Workers(settings.decision_workers, silence_seconds=settings.decision_silence_seconds)
        asyncio.run(workers.run())
    if workers.failed:
        raise SystemExit(1)


@contextmanager
def reserved(host: str, port: int) -> Iterator[None]:
    """Keep a port for processes of this user that share it, also while none of them lives.

    Raises:
        SystemExit: somebody listens there.
    """
    try:
        kept = _held(host, port)
    except OSError as error:
        raise SystemExit(f"cannot listen on {host}:{port}: {error.strerror}") from None
    with kept:
        yield


def _held(host: str, port: int) -> socket.socket:
    """A socket on the port that does not listen: connections come only to those that do."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, socket.SOCK_STREAM) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind(address)
        alone.listen(1)
    kept = socket.socket(family, socket.SOCK_STREAM)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        kept.bind(address)
    except OSError:
        # Connections of a single process that was here before are still fading. Then others are not kept out while no
        # worker listens.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(address)
    return kept


class Workers:
    """Keeps so many processes running. Each talks with this one through its standard input, which is a socket."""

    def __init__(self, count: int, command: Sequence[str] = COMMAND, *, silence_seconds: float) -> None:
        """Nothing runs yet.

        Args:
            count: how many.
            command: of each.
            silence_seconds: one that serves, and says nothing for so long, is killed and started again.
        """
        self.failed = False
        """A worker ended again and again before it ever served."""
        self._count = count
        self._command = command
        self._silence_seconds = silence_seconds
        self._memory = -1
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._serving_since: dict[int, float] = {}
        self._able: set[int] = set()
        self._all_able = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`, or until a worker cannot be started."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        self._memory = port_memory.create(self._count)
        try:
            await asyncio.gather(*(self._keep(worker) for worker in range(1, self._count + 1)))
        finally:
            os.close(self._memory)
        log.info("workers_stopped")

    def stop(self) -> None:
        """Tell all to finish what they do and end. Twice is safe."""
        self._stopping.set()
        for process in self._processes.values():
            _terminate(process)

    async def _keep(self, worker: int) -> None:
        deaths, served = 0, False
        while not self._stopping.is_set():
            code = await self._run(worker)
            if self._stopping.is_set():
                return
            since = self._serving_since.pop(worker, None)
            served |= since is not None
            deaths = 1 if since is not None and _now() - since >= STEADY_SECONDS else deaths + 1
            if not served and (deaths >= START_ATTEMPTS or code == BAD_SETTINGS):
                log.critical("worker_cannot_start", worker=worker, ended=described(code))
                self.failed = True
                self.stop()
                return
            pause = pause_after(deaths)
            log.error("worker_died", worker=worker, ended=described(code), starts_again_in_seconds=pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _run(self, worker: int) -> int:
        """One process from its start to its end. Returns its exit code, negative for a signal."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                # Whatever becomes of this process, no worker survives it: launch.py sees to that.
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), "", *self._command),
                    stdin=theirs.fileno(),
                    env={
                        **os.environ,
                        "WAYLINE_DECISION_WORKER": str(worker),
                        "WAYLINE_DECISION_SIBLINGS": str(self._memory),
                    },
                    pass_fds=(self._memory,),
                    process_group=0,  # Ctrl-C in a terminal reaches only the supervisor, which tells them
                )
            self._processes[worker] = process
            if self._stopping.is_set():
                _terminate(process)
            hearing = asyncio.create_task(self._hear(worker, ours, process))
            try:
                return await process.wait()
            finally:
                del self._processes[worker]
                self._able.discard(worker)
                hearing.cancel()
                with suppress(asyncio.CancelledError):
                    await hearing

    async def _hear(self, worker: int, ours: socket.socket, process: asyncio.subprocess.Process) -> None:
        loop = asyncio.get_running_loop()
        ours.setblocking(False)
        with suppress(ConnectionError):
            if not await loop.sock_recv(ours, 1):
                return
            self._able.add(worker)
            if len(self._able) == self._count:
                self._all_able.set()
            await self._all_able.wait()
            await loop.sock_sendall(ours, WORD)
            if await loop.sock_recv(ours, 1):
                self._serving_since[worker] = _now()
                log.info("worker_serves", worker=worker, pid=process.pid)
                await self._watch(worker, ours, process)

    async def _watch(self, worker: int, ours: socket.socket, process: asyncio.subprocess.Process) -> None:
        """Until it ends, or is silent for too long.

        What counts is how often in a row nothing was heard: were this process held up, too, or all of them, it would
        not take its own silence for the worker's.
        """
        loop = asyncio.get_running_loop()
        silent = 0
        while silent < BEATS:
            try:
                if not await asyncio.wait_for(loop.sock_recv(ours, _HEARD_BYTES), self._silence_seconds / BEATS):
                    return  # it is on its way out, and drains
                silent = 0
            except TimeoutError:
                silent += 1
        log.error("worker_hangs", worker=worker, pid=process.pid, silent_seconds=self._silence_seconds)
        with suppress(ProcessLookupError):
            process.kill()  # it could not act on any other signal


def _terminate(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):  # it ended by itself, and its end is on the way to us
        process.terminate()


def _now() -> float:
    return asyncio.get_running_loop().time()
