"""Leases in PostgreSQL: a worker is alive until its time is over, and a lease lasts as long as its worker."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex
from typing import Any, LiteralString

from psycopg import Connection

from wayline import logging
from wayline_profile.leases import share
from wayline_profile.store.postgres_link import FROZEN_SECONDS, Link
from wayline_profile.store.postgres_schema import SCHEMA, ensure_schema

_LOCK = 0x4C454153  # any number that no other program locks by
_TAKE_TURN: LiteralString = "SELECT pg_advisory_xact_lock(%s)"
# A process that stands still while it sends a commit keeps all others from committing. The server sees no idle
# transaction then, since it waits in the middle of a pipeline: only the others can tell.
_END_FROZEN: LiteralString = """
    WITH frozen AS MATERIALIZED (
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND usename = current_user AND wait_event = 'ClientRead'
            AND application_name = current_setting('application_name')
            AND xact_start < clock_timestamp() - make_interval(secs => %s)
    )
    SELECT pg_terminate_backend(pid) FROM frozen
"""
_WHO: LiteralString = "SELECT process FROM workers WHERE id = %s"
_LIVE: LiteralString = """
    INSERT INTO workers VALUES (%s, %s, clock_timestamp(), clock_timestamp() + make_interval(secs => %s))
    ON CONFLICT (id) DO UPDATE SET expires = excluded.expires, process = excluded.process
"""
_BURY: LiteralString = "DELETE FROM workers WHERE expires < clock_timestamp()"
_WORKERS: LiteralString = "SELECT id FROM workers ORDER BY since, id"
_LEASES: LiteralString = "SELECT name, worker FROM leases"
_GIVE_UP: LiteralString = "DELETE FROM leases WHERE worker = %s AND name = ANY(%s)"
_TAKE: LiteralString = "INSERT INTO leases SELECT unnest(%s::text[]), %s ON CONFLICT DO NOTHING"
_LEAVE: LiteralString = "DELETE FROM workers WHERE id = %s AND process = %s"
log = logging.get("leases")


class PostgresLeases:
    """See `LeaseTable`. Workers take their turns one after the other.

    A process that is started again under the name of one that died goes on at once with what that one held.
    """

    def __init__(self, url: str, name: str, *, timeout_seconds: float) -> None:
        """Connect to the database of the profile store, as the worker `name`.

        Raises:
            BadAddress: the URL cannot be read.
            SchemaTooNew: a newer Wayline has changed the tables.
            Retryable: the server cannot be reached.
        """
        # A lease that the server's crash took back is taken anew at the next turn.
        settings = {"search_path": SCHEMA, "synchronous_commit": "off"}
        self._link = Link(url, timeout_seconds=timeout_seconds, settings=settings, prepare=ensure_schema)
        self._me = name
        self._process = token_hex(8)
        self._known = False

    def turn(self, partitions: Sequence[str], duties: Sequence[str], *, seconds: float) -> frozenset[str]:
        """See the port."""

        def work(connection: Connection[Any]) -> frozenset[str]:
            with connection.transaction():
                connection.execute(_TAKE_TURN, (_LOCK,))
                if ended := connection.execute(_END_FROZEN, (FROZEN_SECONDS,)).rowcount:
                    log.warning("frozen_sessions_ended", sessions=ended)
                self._find_a_name(connection)
                me = self._me
                connection.execute(_LIVE, (me, self._process, seconds))
                connection.execute(_BURY)
                workers = [worker for (worker,) in connection.execute(_WORKERS)]
                held: dict[str, str] = dict(connection.execute(_LEASES).fetchall())
                change = share(partitions, held, workers, me)
                take = [*change.take, *(duty for duty in duties if duty not in held)]
                connection.execute(_GIVE_UP, (me, list(change.give_up)))
                connection.execute(_TAKE, (take, me))
            self._known = True
            mine = {name for name, worker in held.items() if worker == me}
            return frozenset(mine.difference(change.give_up).union(take))

        return self._link.run(work)

    def release(self) -> None:
        """See the port."""
        self._link.run(lambda connection: connection.execute(_LEAVE, (self._me, self._process)))

    def close(self) -> None:
        """See the port."""
        self._link.close()

    def _find_a_name(self, connection: Connection[Any]) -> None:
        row = connection.execute(_WHO, (self._me,)).fetchone()
        if self._known and row is not None and row[0] != self._process:
            # Two machines that have the same name: the one that was there first takes another.
            log.warning("worker_name_taken", name=self._me)
            self._me = f"{self._me}-{self._process}"
