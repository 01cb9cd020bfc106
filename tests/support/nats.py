"""A real NATS server for tests: on a free port, with JetStream in a directory, that can be killed and started again."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

SERVER = Path(sys.executable).with_name("nats-server")
PATIENCE_SECONDS = 20.0
_POLL_SECONDS = 0.02


class NatsServer:
    """One server process. It keeps its port and its store from one start to the next.

    Use as a context manager, or call `start` and `stop` yourself; both are safe to call twice.
    """

    def __init__(self, directory: Path, *extra: str) -> None:
        """Keep everything under `directory`; `extra` are further arguments of the server, for instance `-c FILE`."""
        self._directory = directory
        self._extra = extra
        self._port = -1  # the server picks a free one at its first start
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect. Only known after the first start."""
        assert self._port > 0, "start the server first"
        return f"nats://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the server and wait until JetStream takes requests."""
        if self._process is not None:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        command = [str(SERVER), "-a", "127.0.0.1", "-p", str(self._port), "-js", "-sd", str(self._directory)]
        command += ["--ports_file_dir", str(self._directory), *self._extra]
        for left in self._directory.glob("*.ports"):
            left.unlink()  # of a server that was killed, whose process id may come again
        with (self._directory / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"nats-server did not start:\n{(self._directory / 'nats.log').read_text()}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End the server in good order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        """End the server as a crash does (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def forget(self, stream: str) -> None:
        """Remove what a deleted stream has left. A write that was under way when it was deleted may put its messages
        back into its directory, and the next stream of that name would hold them.
        """
        shutil.rmtree(self._directory / "jetstream" / "$G" / "streams" / stream, ignore_errors=True)

    def empty(self) -> None:
        """Go on with an empty store, on another port: meanwhile somebody may have taken the last. Deleting stream after
        stream would not do: the directory of all streams goes with the last of them, sometimes while the next test
        makes its first.
        """
        streams = self._directory / "jetstream" / "$G"
        if streams.exists():
            self.kill()
            shutil.rmtree(streams)
            self._port = -1
            self.start()

    def pause(self) -> None:
        """Keep the connections open but answer nothing (SIGSTOP)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> NatsServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._port < 0:
            ports = self._directory / f"nats-server_{self._process.pid}.ports"
            try:
                listening = json.loads(ports.read_text())["nats"]
            except (FileNotFoundError, json.JSONDecodeError):
                return False  # not written, or half written
            self._port = int(listening[0].rpartition(":")[2])
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                greeting = connection.makefile("rb").readline()
        except OSError:
            return False
        return greeting.startswith(b"INFO ") and bool(json.loads(greeting[5:]).get("jetstream"))
