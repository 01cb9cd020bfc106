"""The cluster as a whole: what runs, with which configuration, in which order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from wayline.cluster.addresses import Addresses, Ports, check_free, free_ports
from wayline.cluster.child import Child, ClusterEvent, Program
from wayline.cluster.errors import ClusterError, StartFailed
from wayline.cluster.lock import locked
from wayline.cluster.logs import tail, trim
from wayline.cluster.nats_server import Sync, configuration, find_nats_server
from wayline.health import Health, probe, probe_nats

NATS = "nats"
SERVICES = ("ingestion", "profile", "prediction", "decision")
START_SECONDS = 60.0
_TRIM_SECONDS = 2.0
_NOTHING: Mapping[str, str] = {}


class Cluster:
    """A NATS server and services on this machine, as an async context manager.

    Entering starts everything and waits until it is well; leaving stops it in reverse order. A process that dies in
    between is started again, on the same port and data. Processes end with this one, however it ends (Linux).

    The data directory holds `nats/` (streams), `profile/` (RocksDB), `logs/`, `nats.conf` and `lock`.
    """

    addresses: Addresses

    def __init__(
        self,
        data: Path,
        *,
        host: str = "127.0.0.1",
        ports: Ports | None = None,
        env: Mapping[str, str] = _NOTHING,
        sync: Sync = "periodic",
        services: Sequence[str] = SERVICES,
        decision_workers: int | None = None,
        cpus: Mapping[str, set[int]] | None = None,
        commands: Mapping[str, Sequence[str]] | None = None,
        on_event: Callable[[ClusterEvent], None] | None = None,
    ) -> None:
        """Nothing starts yet.

        Args:
            data: directory for all state; created when it is missing.
            host: address on which everything listens. There is no authentication: loopback, or a network you trust.
            ports: None for free ones.
            env: more environment variables for all processes.
            sync: see `wayline.cluster.nats_server.configuration`.
            services: which to start, in this order.
            decision_workers: processes that share the decision service's port, under one that starts them; None: as the
                environment says, else one. It is well when all of them can decide, or wait for the first catalogue.
            cpus: processors by name of the process (also 'nats'); all processors for those left out.
            commands: what to run instead of `python -m wayline_<name>`, by name.
            on_event: told about every start, death and stop, in the event loop's thread.

        Raises:
            ClusterError: a service is not known, or no port is free.
        """
        unknown = set(services) - set(SERVICES)
        if unknown:
            raise ClusterError(f"unknown service {min(unknown)}: expected some of {', '.join(SERVICES)}")
        self._data = data.resolve()
        self._host = host
        self._ports = ports or free_ports(host)
        self.addresses = Addresses.of(host, self._ports)
        self._env = env
        self._sync = sync
        self._services = tuple(services)
        self._workers = {} if decision_workers is None else {"WAYLINE_DECISION_WORKERS": str(decision_workers)}
        self._cpus = cpus or {}
        self._commands = commands or {}
        self._on_event = on_event or (lambda _: None)
        self._children: dict[str, Child] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything and wait until it is well.

        Raises:
            DataInUse, PortTaken, StartFailed: nothing is left running.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop everything."""
        await self.stop()

    async def stop(self) -> None:
        """Stop everything in reverse order: services before NATS. Twice is safe."""
        await self._stack.aclose()

    def abandon(self) -> None:
        """Kill everything at once, without draining: for a person who does not want to wait for `stop`."""
        for child in self._children.values():
            child.abandon()

    def kill(self, name: str, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process, as a test or a benchmark needs it.

        Raises:
            ClusterError: it does not run.
        """
        self._child(name).kill(sig)

    def pid(self, name: str) -> int:
        """The process id of 'nats' or a service.

        Raises:
            ClusterError: it does not run at this moment.
        """
        return self._child(name).pid

    def restarts(self, name: str) -> int:
        """How often a process was started again."""
        return self._child(name).restarts

    def log(self, name: str) -> Path:
        """The file that a process writes its log to."""
        return self._data / "logs" / f"{name}.log"

    async def wait_healthy(self, name: str | None = None, timeout_seconds: float = START_SECONDS) -> None:
        """Until one process, or all, are well.

        Raises:
            StartFailed: it took too long, or the process cannot be started.
        """
        names = list(self._children) if name is None else [name]
        await asyncio.gather(*(self._wait_healthy(one, timeout_seconds) for one in names))

    async def _wait_healthy(self, name: str, timeout_seconds: float) -> None:
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._child(name).wait_healthy()
        except TimeoutError:
            log = self.log(name)
            raise StartFailed(name, f"is not healthy after {timeout_seconds:g} s", log, tail(log)) from None

    async def _start(self) -> None:
        self._stack.enter_context(locked(self._data))
        check_free(self._host, self._ports, (NATS, *self._services))
        for directory in ("nats", "profile", "logs"):
            (self._data / directory).mkdir(parents=True, exist_ok=True)
        self._run(self._nats())
        await self.wait_healthy()
        for name in self._services:
            self._run(self._service(name))
        self._stack.push_async_callback(_cancel, asyncio.create_task(self._trim_logs(), name="trim-logs"))
        await self.wait_healthy()

    def _run(self, program: Program) -> None:
        child = Child(program, self._on_event)
        self._children[program.name] = child
        self._stack.push_async_callback(child.stop)
        child.start()

    def _nats(self) -> Program:
        file = self._data / "nats.conf"
        file.write_text(configuration(self._host, self._ports.nats, self._data / "nats", self._sync))
        command = self._commands.get(NATS) or (find_nats_server(), "-c", str(file))
        return self._program(NATS, command, partial(probe_nats, self.addresses.nats))

    def _service(self, name: str) -> Program:
        # -P: a file in the current directory cannot stand in for a module.
        command = self._commands.get(name) or (sys.executable, "-P", "-m", f"wayline_{name}")
        return self._program(name, command, partial(probe, getattr(self.addresses, name)))

    def _program(self, name: str, command: Sequence[str], check: Callable[[], Awaitable[Health]]) -> Program:
        cpus = self._cpus.get(name)
        return Program(
            name=name,
            command=command,
            env=self._environment(),
            log=self.log(name),
            probe=check,
            cpus=frozenset(cpus) if cpus else None,
        )

    def _environment(self) -> dict[str, str]:
        ports = {f"WAYLINE_{name.upper()}_PORT": str(port) for name, port in self._ports.items()}
        return {
            **os.environ,
            **ports,
            "WAYLINE_HOST": self._host,
            "WAYLINE_NATS_URL": self.addresses.nats,
            "WAYLINE_PROFILE_ADDRESS": self.addresses.profile,
            "WAYLINE_PROFILE_DATA": str(self._data / "profile"),
            **self._workers,
            **self._env,
        }

    async def _trim_logs(self) -> None:
        while True:
            await asyncio.sleep(_TRIM_SECONDS)
            for name in self._children:
                try:
                    await asyncio.to_thread(trim, self.log(name))
                except OSError as error:  # a full disk, most likely: the processes go on
                    self._on_event(ClusterEvent(kind="warning", name=name, detail=f"its log cannot be cut: {error}"))

    def _child(self, name: str) -> Child:
        try:
            return self._children[name]
        except KeyError:
            known = ", ".join(self._children) or "none"
            raise ClusterError(f"unknown process {name}: expected one of {known}") from None


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
