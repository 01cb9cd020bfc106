"""The profile store on PostgreSQL: one transaction per commit, which checks what it builds on.

Who commits locks the positions of its partitions, compares them with those that it knows, and writes only if they are
the same. So of two processes that both believe to own a partition, one is refused, whatever happens in between. Of two
that own different partitions, and read and change the same customer, the second is refused likewise.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

from psycopg import Connection

from wayline.errors import Retryable
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.changes import Commit, Filed
from wayline_profile.store import Counters, PositionMoved
from wayline_profile.store.keys import message_key, parts_of_place, place_of
from wayline_profile.store.postgres_compaction import compact
from wayline_profile.store.postgres_link import Link, parameters_of
from wayline_profile.store.postgres_schema import SCHEMA, ensure_schema
from wayline_profile.store.postgres_unit import IDENTITIES, LAST_COMMIT, PROFILES, RECORDS, SEEN, PostgresUnit
from wayline_profile.store.postgres_writes import ReadSet, write

_PAGE = 500
_END_OF_TIME = (1 << 63) - 1
_SETTINGS = {
    "search_path": SCHEMA,
    # Every statement here goes by an index. A plan that was made, and kept, while the tables were small must do so too.
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
}
_Rows = Sequence[tuple[Any, ...]]

_POSITIONS: LiteralString = "SELECT partition, sequence FROM positions"
_COUNTERS: LiteralString = "SELECT profiles, folded, duplicates, poison FROM counters"
_PROFILES_OF: LiteralString = """
    SELECT id, data FROM profiles WHERE id IN (SELECT profile_id FROM identities WHERE key = ANY(%b))
"""
_SCAN: LiteralString = "SELECT key, value FROM records WHERE kind = %b AND key > %b ORDER BY key LIMIT %b::bigint"
_PAGE_OF_PROFILES: LiteralString = "SELECT id, data FROM profiles WHERE id > %b ORDER BY id LIMIT %b"
# For each key its own walk along the index, newest first, which ends at the limit.
_TIMELINE: LiteralString = """
    SELECT one.partition, one.sequence, one.event
    FROM unnest(%b::bytea[]) AS wanted (key) CROSS JOIN LATERAL (
        SELECT * FROM timeline WHERE timeline.key = wanted.key AND at_ms < %b::bigint
        ORDER BY at_ms DESC, entry DESC LIMIT %b::bigint
    ) AS one
    ORDER BY one.at_ms DESC, one.entry DESC LIMIT %b::bigint
"""
_PAGE_OF_IDENTITIES: LiteralString = (
    "SELECT key, profile_id FROM identities WHERE key > %b ORDER BY key LIMIT %b::bigint"
)
# Of each key no more than the page holds, oldest first.
_FILED: LiteralString = """
    SELECT one.key, one.at_ms, one.entry, one.partition, one.sequence, one.event
    FROM unnest(%b::bytea[]) AS wanted (key) CROSS JOIN LATERAL (
        SELECT * FROM timeline WHERE timeline.key = wanted.key
            AND (timeline.key, at_ms, entry) > (%b::bytea, %b::bigint, %b::bytea)
        ORDER BY at_ms, entry LIMIT %b::bigint
    ) AS one
    ORDER BY one.key, one.at_ms, one.entry LIMIT %b::bigint
"""
# Rows that another worker is sweeping are left to it.
_SWEEP_MESSAGE_IDS: LiteralString = """
    DELETE FROM message_ids WHERE key = ANY(ARRAY(
        SELECT key FROM message_ids WHERE received_ms < %b::bigint
        ORDER BY received_ms LIMIT %b::bigint FOR UPDATE SKIP LOCKED
    ))
"""
_SWEEP_TIMELINE: LiteralString = """
    DELETE FROM timeline USING (
        SELECT key, at_ms, entry FROM timeline WHERE at_ms < %b::bigint
        ORDER BY at_ms LIMIT %b::bigint FOR UPDATE SKIP LOCKED
    ) AS old WHERE (timeline.key, timeline.at_ms, timeline.entry) = (old.key, old.at_ms, old.entry)
"""


class PostgresProfileStore:
    """See `ProfileStore`. Several processes may open one database; the positions decide which of them may write.

    `sync`: each commit reaches the server's disk before it counts. Without, a crash of the server may take back the
    last ones, each as a whole; the next commit is then refused, and the events are folded again.
    """

    def __init__(self, url: str, *, sync: bool = False, timeout_seconds: float = 10.0) -> None:
        """Connect to `url`, and make the tables if they are not there. No statement takes longer than the timeout.

        Raises:
            BadAddress: the URL cannot be read.
            SchemaTooNew: a newer Wayline has changed the tables.
            Retryable: the server cannot be reached.
        """
        settings = {**_SETTINGS, "synchronous_commit": "on" if sync else "off"}
        self._link = Link(url, timeout_seconds=timeout_seconds, settings=settings, prepare=ensure_schema)
        self._parameters = parameters_of(url)
        # Whoever only reads does so in a thread of its own, and need not wait for who is writing.
        self._readers = Link(url, timeout_seconds=timeout_seconds, settings=settings, prepare=ensure_schema)
        # Read again only by `take_over`: a commit builds on what was read at these positions.
        self._taken = self.positions()
        self._compacting, self._closed = threading.Lock(), False

    def positions(self) -> dict[int, int]:
        """See the port."""
        return dict(self._read(_POSITIONS))

    def counters(self) -> Counters:
        """See the port."""
        profiles, folded, duplicates, poison = self._read(_COUNTERS)[0]
        return Counters(profiles=profiles, folded=folded, duplicates=duplicates, poison=poison)

    def version(self) -> int:
        """See the port."""
        return int(self._read(LAST_COMMIT)[0][0])

    def take_over(self, partitions: Collection[int]) -> dict[int, int]:
        """See the port."""
        stored = self.positions()
        self._taken = {partition: stored[partition] for partition in partitions if partition in stored}
        return {partition: stored.get(partition, 0) for partition in partitions}

    @contextmanager
    def begin(self) -> Iterator[PostgresUnit]:
        """See the port. Who writes in another thread meanwhile waits."""
        with self._link.alone():
            unit = PostgresUnit(self._link, self._commit)
            try:
                yield unit
            finally:
                unit.close()

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """See the port."""
        return {key: found.hex() for key, found in self._read_many(IDENTITIES, list(keys))}

    def get_many(self, profile_ids: Collection[str]) -> dict[str, profile_pb2.Profile]:
        """See the port."""
        rows = self._read_many(PROFILES, [bytes.fromhex(one) for one in profile_ids])
        return {key.hex(): profile_pb2.Profile.FromString(data) for key, data in rows}

    def profiles_of(self, keys: Collection[bytes]) -> dict[str, profile_pb2.Profile]:
        """See the port."""
        rows = self._read_many(_PROFILES_OF, list(keys))
        return {key.hex(): profile_pb2.Profile.FromString(data) for key, data in rows}

    def seen(self, message_ids: Collection[str]) -> set[str]:
        """See the port."""
        names = {message_key(message_id): message_id for message_id in message_ids}
        return {names[key] for (key,) in self._read_many(SEEN, list(names))}

    def timeline(
        self, keys: Collection[bytes], *, limit: int, before_ms: int | None = None
    ) -> list[profile_pb2.TimelineEntry]:
        """See the port."""
        before = _END_OF_TIME if before_ms is None else before_ms
        rows = self._read_many(_TIMELINE, list(set(keys)), before, limit, limit)
        return [
            profile_pb2.TimelineEntry(
                event=events_pb2.Event.FromString(data),
                token=events_pb2.EventToken(partition=partition, sequence=sequence),
            )
            for partition, sequence, data in rows
        ]

    def records(self, kind: str, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """See the port."""
        return dict(self._read(RECORDS, kind, list(keys))) if keys else {}

    def scan(self, kind: str, *, after: bytes = b"", at_most: int) -> list[tuple[bytes, bytes]]:
        """See the port."""
        return list(self._read(_SCAN, kind, after, at_most))

    def identities(self, *, after: bytes = b"", at_most: int) -> list[tuple[bytes, str]]:
        """See the port."""
        return [(key, name.hex()) for key, name in self._read(_PAGE_OF_IDENTITIES, after, at_most)]

    def filed(self, keys: Collection[bytes], *, after: bytes = b"", at_most: int) -> list[Filed]:
        """See the port."""
        place = parts_of_place(after) if after else (b"", 0, b"")
        rows = self._read_many(_FILED, sorted(set(keys)), *place, at_most, at_most)
        return [Filed(place_of(*row[:3]), *row[3:]) for row in rows]

    def profiles(self, *, after: str = "") -> Iterator[profile_pb2.Profile]:
        """See the port. Read in pages, each as it is then: a long walk holds no transaction open."""
        last = bytes.fromhex(after)
        while rows := self._read(_PAGE_OF_PROFILES, last, _PAGE):
            for _, data in rows:
                yield profile_pb2.Profile.FromString(data)
            last = rows[-1][0]

    def commit(self, commit: Commit) -> int:
        """See the port."""
        return self._commit(commit, None)

    def _commit(self, commit: Commit, built_on: ReadSet | None) -> int:
        if any(sequence <= self._taken.get(partition, 0) for partition, sequence in commit.positions.items()):
            raise PositionMoved(f"the store has read further than this commit: {self._taken}")
        version = self._link.run(lambda connection: self._write(connection, commit, built_on))
        self._taken |= commit.positions
        return version

    def sweep(self, *, message_ids_before_ms: int, timeline_before_ms: int, at_most: int) -> int:
        """See the port. It finds the oldest by an index, so there is no place to go on from."""

        def work(connection: Connection[Any]) -> int:
            cursor = connection.cursor()
            forgotten = cursor.execute(_SWEEP_MESSAGE_IDS, (message_ids_before_ms, at_most)).rowcount
            return forgotten + cursor.execute(_SWEEP_TIMELINE, (timeline_before_ms, at_most)).rowcount

        return self._link.run(work)

    def compact(self) -> list[str]:
        """See the port. On a connection of its own: it takes as long as it takes."""
        with self._compacting:
            if self._closed:
                raise Retryable("the profile store was closed before it was compacted")
            return compact(self._parameters)

    def close(self) -> None:
        """See the port."""
        with self._compacting:
            self._closed = True
            self._link.close()
            self._readers.close()

    def _read_many(self, statement: LiteralString, keys: list[bytes], *more: int | bytes) -> _Rows:
        return self._read(statement, keys, *more) if keys else ()

    def _read(self, statement: LiteralString, *arguments: Any) -> _Rows:
        def work(connection: Connection[Any]) -> _Rows:
            return connection.cursor(binary=True).execute(statement, arguments).fetchall()

        return self._readers.run(work)

    def _write(self, connection: Connection[Any], commit: Commit, built_on: ReadSet | None) -> int:
        """Safe to do again when no answer came: if it was done, the positions say so, or what it was built on."""
        return write(connection, commit, self._taken, built_on)
