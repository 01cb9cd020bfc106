"""A unit of work on PostgreSQL: it reads the store as of one moment, and takes note of what it read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, LiteralString

from psycopg import Connection

from wayline.v1 import profile_pb2
from wayline_profile.core.changes import Commit
from wayline_profile.store import Conflict
from wayline_profile.store.keys import message_key
from wayline_profile.store.postgres_link import Link
from wayline_profile.store.postgres_writes import Found, ReadSet

_BEGIN: LiteralString = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
LAST_COMMIT: LiteralString = "SELECT last_commit FROM counters"
IDENTITIES: LiteralString = "SELECT key, profile_id FROM identities WHERE key = ANY(%b)"
PROFILES: LiteralString = "SELECT id, data FROM profiles WHERE id = ANY(%b)"
SEEN: LiteralString = "SELECT key FROM message_ids WHERE key = ANY(%b)"
RECORDS: LiteralString = "SELECT key, value FROM records WHERE kind = %b AND key = ANY(%b)"


class PostgresUnit:
    """See `UnitOfWork`. One moment: else a customer could be merged away between one reading and the next."""

    def __init__(self, link: Link, write: Callable[[Commit, ReadSet], int]) -> None:
        """Begin on `link`. `write` makes a commit, if what was read is still so."""
        self._link = link
        self._write = write
        self._reads, self._connection = link.run(_begin)

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """See the port."""
        rows = self._read(IDENTITIES, keys)
        self._reads.identities.add(keys, [key for key, _ in rows])
        return {key: found.hex() for key, found in rows}

    def get_many(self, profile_ids: Collection[str]) -> dict[str, profile_pb2.Profile]:
        """See the port."""
        ids = [bytes.fromhex(one) for one in profile_ids]
        rows = self._read(PROFILES, ids)
        self._reads.profiles.add(ids, [key for key, _ in rows])
        return {key.hex(): profile_pb2.Profile.FromString(data) for key, data in rows}

    def seen(self, message_ids: Collection[str]) -> set[str]:
        """See the port."""
        names = {message_key(message_id): message_id for message_id in message_ids}
        known = {key for (key,) in self._read(SEEN, names)}
        self._reads.messages |= names.keys() - known
        return {names[key] for key in known}

    def records(self, kind: str, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """See the port."""
        found = dict(self._read(RECORDS, keys, kind))
        self._reads.records.setdefault(kind, Found()).add(keys, found)
        return found

    def commit(self, commit: Commit) -> int:
        """See the port."""
        self.close()
        return self._write(commit, self._reads)

    def close(self) -> None:
        """End the reading. Twice is safe."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.closed:
            self._link.run(lambda current: current.execute("COMMIT") if current is connection else None)

    def _read(self, statement: LiteralString, keys: Collection[bytes], *first: str) -> list[tuple[Any, ...]]:
        if not keys:
            return []

        def work(connection: Connection[Any]) -> list[tuple[Any, ...]]:
            if connection is not self._connection:
                raise Conflict("the connection was lost: what was read before may be of another moment")
            return connection.cursor(binary=True).execute(statement, (*first, list(keys))).fetchall()

        return self._link.run(work)


def _begin(connection: Connection[Any]) -> tuple[ReadSet, Connection[Any] | None]:
    with connection.pipeline():
        connection.execute(_BEGIN)
        counted = connection.cursor(binary=True).execute(LAST_COMMIT)
    row = counted.fetchone()
    assert row is not None, "the row is made with the table"
    return ReadSet(after=int(row[0])), connection
