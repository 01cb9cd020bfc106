"""A connection to PostgreSQL that comes back when it breaks, and never waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from wayline import logging
from wayline.errors import Retryable, WaylineError

SCHEMES = ("postgresql://", "postgres://")
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
# Whether the other end is still there is asked after so long without a word, so often.
_IDLE_SECONDS, _PROBE_SECONDS, _PROBES = 5, 2, 3
FROZEN_SECONDS = 3.0
"""So long a client may keep a transaction waiting."""
T = TypeVar("T")
log = logging.get("store")


class BadAddress(WaylineError):
    """What should be the address of a database is none. Says nothing of the address: a password may be in it."""


class Link:
    """One connection, for one piece of work at a time, whichever thread it is of."""

    def __init__(
        self, url: str, *, timeout_seconds: float, settings: dict[str, str], prepare: Callable[[Connection[Any]], None]
    ) -> None:
        """Connect.

        Args:
            url: `postgresql://…`.
            timeout_seconds: the longest that one statement, and one attempt to get the server back, may take.
            settings: of the server, for each session.
            prepare: called with each new connection before it is used.

        Raises:
            BadAddress: the URL cannot be read.
            Retryable: the server did not answer in time, or refuses the connection.
        """
        self._parameters = parameters_of(url)
        self._where = "{host}:{port}/{dbname}".format_map(
            {"host": "localhost", "port": "5432", "dbname": ""} | self._parameters
        )
        self._timeout_seconds = timeout_seconds
        milliseconds = str(max(1, int(timeout_seconds * 1_000)))
        self._settings = {
            "statement_timeout": milliseconds,
            "lock_timeout": milliseconds,
            # A process that is frozen, or whose machine is gone, must not keep its locks: all others wait for them.
            "idle_in_transaction_session_timeout": str(max(1, int(min(timeout_seconds, FROZEN_SECONDS) * 1_000))),
            "tcp_keepalives_idle": str(_IDLE_SECONDS),
            "tcp_keepalives_interval": str(_PROBE_SECONDS),
            "tcp_keepalives_count": str(_PROBES),
            **settings,
        }
        self._prepare = prepare
        self._released = False
        self._turn = threading.RLock()
        self._connection = self._connect()

    def alone(self) -> AbstractContextManager[object]:
        """Keep other threads out, for work that `run` is called for several times."""
        return self._turn

    def run(self, work: Callable[[Connection[Any]], T]) -> T:
        """What `work` returns; when the connection breaks, what it returns at its second attempt, on a new one.

        `work` must be safe to do twice, or find out itself that it was done.

        Raises:
            Retryable: the server did not answer in time.
        """
        with self._turn:
            return self._run(work)

    def _run(self, work: Callable[[Connection[Any]], T]) -> T:
        if self._released:
            raise Retryable("the profile store was closed")
        if not self._connection.closed:
            try:
                return self._attempt(work)
            except _Lost as lost:
                reason = str(lost)
        else:
            reason = "closed"
        log.warning("profile_store_lost", server=self._where, error=reason)
        self._connection.close()
        began = time.monotonic()
        self._connection = self._connect()
        log.info("profile_store_back", server=self._where, after_seconds=round(time.monotonic() - began, 3))
        try:
            return self._attempt(work)
        except _Lost as lost:
            raise Retryable(f"the profile store at {self._where} went away twice in a row: {lost}") from None

    def close(self) -> None:
        """Release the connection, for good. Twice is safe."""
        self._released = True
        self._connection.close()

    def _attempt(self, work: Callable[[Connection[Any]], T]) -> T:
        # "from None": a traceback in the log would show variables, the password among them.
        try:
            return work(self._connection)
        except psycopg.Error as error:
            if self._connection.closed or isinstance(error, _SESSION_OVER):
                raise _Lost(_text(error)) from None
            if not isinstance(error, psycopg.OperationalError):
                raise  # a bug
            raise Retryable(f"the profile store at {self._where} did not do its part: {_text(error)}") from None

    def _connect(self) -> Connection[Any]:
        deadline = time.monotonic() + self._timeout_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._try_connect()
            except psycopg.OperationalError as error:
                reason = _text(error)
            if time.monotonic() + pause > deadline:
                raise Retryable(f"the profile store at {self._where} cannot be reached: {reason}") from None
            log.warning("profile_store_waits", server=self._where, error=reason)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _try_connect(self) -> Connection[Any]:
        connection: Connection[Any] = psycopg.connect(**self._parameters, autocommit=True, prepare_threshold=0)
        try:
            for name, value in self._settings.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def parameters_of(url: str) -> dict[str, Any]:
    """The parameters of a connection; what the URL leaves out that bounds the waiting is added.

    Raises:
        BadAddress: the URL cannot be read, or a password may stand where another part is expected.
    """
    expected = "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters in it written as %XX"
    if not url.startswith(SCHEMES):
        raise BadAddress(expected)
    try:
        parameters = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise BadAddress(expected) from None
    # "u:a@b@host" and "u:12/a@host" are read, with half of the password as host or database: messages would show it.
    shown = [str(parameters.get(name, "")) for name in ("host", "hostaddr", "port", "dbname", "user")]
    ports = str(parameters.get("port", "5432")).split(",")
    if any("@" in one for one in shown) or not all(port.isdigit() for port in ports if port):
        raise BadAddress(expected)
    defaults = {
        "application_name": "wayline-profile",
        "connect_timeout": 2,
        "target_session_attrs": "read-write",  # of several hosts the one that is not a standby
        "keepalives_idle": _IDLE_SECONDS,
        "keepalives_interval": _PROBE_SECONDS,
        "keepalives_count": _PROBES,
        "tcp_user_timeout": 1_000 * (_IDLE_SECONDS + _PROBES * _PROBE_SECONDS),
    }
    return {**defaults, **parameters}


class _Lost(Exception):
    """The connection is gone."""


_SESSION_OVER = (
    psycopg.errors.AdminShutdown,
    psycopg.errors.CrashShutdown,
    psycopg.errors.CannotConnectNow,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,  # it has become a standby
)


def _text(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
