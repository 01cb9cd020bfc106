"""The profile store on PostgreSQL: one transaction per commit, which checks the positions that it builds on.

Who commits locks the positions of its partitions, compares them with those that it knows, and writes only if they are
the same. So of two processes that both believe to own a partition, one is refused, whatever happens in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import Connection, Pipeline

from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.projector import Commit
from wayline_profile.store import Counters, PositionMoved
from wayline_profile.store.keys import entry_key, message_key
from wayline_profile.store.postgres_link import Link
from wayline_profile.store.postgres_schema import SCHEMA, ensure_schema

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
_RESOLVE: LiteralString = "SELECT key, profile_id FROM identities WHERE key = ANY(%b)"
_PROFILES: LiteralString = "SELECT id, data FROM profiles WHERE id = ANY(%b)"
_SEEN: LiteralString = "SELECT key FROM message_ids WHERE key = ANY(%b)"
_RECORDS: LiteralString = "SELECT key, value FROM records WHERE kind = %b AND key = ANY(%b)"
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
_BEGIN_PARTITIONS: LiteralString = """
    INSERT INTO positions SELECT unnest(%b::integer[]), 0 ON CONFLICT DO NOTHING
"""
_LOCK_POSITIONS: LiteralString = """
    SELECT partition, sequence FROM positions WHERE partition = ANY(%b::integer[]) ORDER BY partition FOR UPDATE
"""
_MOVE_POSITIONS: LiteralString = """
    UPDATE positions SET sequence = new.sequence
    FROM unnest(%b::integer[], %b::bigint[]) AS new (partition, sequence) WHERE positions.partition = new.partition
"""
_DELETE_PROFILES: LiteralString = "DELETE FROM profiles WHERE id = ANY(%b)"
_PUT_PROFILES: LiteralString = """
    INSERT INTO profiles SELECT * FROM unnest(%b::bytea[], %b::bytea[])
    ON CONFLICT (id) DO UPDATE SET data = excluded.data
"""
_PUT_IDENTITIES: LiteralString = """
    INSERT INTO identities SELECT * FROM unnest(%b::bytea[], %b::bytea[])
    ON CONFLICT (key) DO UPDATE SET profile_id = excluded.profile_id
"""
_PUT_MESSAGE_IDS: LiteralString = """
    INSERT INTO message_ids SELECT * FROM unnest(%b::bytea[], %b::bigint[])
    ON CONFLICT (key) DO UPDATE SET received_ms = excluded.received_ms
"""
_PUT_TIMELINE: LiteralString = """
    INSERT INTO timeline SELECT * FROM
        unnest(%b::bytea[], %b::bigint[], %b::bytea[], %b::integer[], %b::bigint[], %b::bytea[])
    ON CONFLICT (key, at_ms, entry)
    DO UPDATE SET partition = excluded.partition, sequence = excluded.sequence, event = excluded.event
"""
_DELETE_RECORDS: LiteralString = """
    DELETE FROM records USING unnest(%b::text[], %b::bytea[]) AS gone (kind, key)
    WHERE (records.kind, records.key) = (gone.kind, gone.key)
"""
_PUT_RECORDS: LiteralString = """
    INSERT INTO records SELECT * FROM unnest(%b::text[], %b::bytea[], %b::bytea[])
    ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value
"""
_COUNT: LiteralString = """
    UPDATE counters SET profiles = profiles + %b::bigint, folded = folded + %b::bigint,
        duplicates = duplicates + %b::bigint, poison = poison + %b::bigint
    RETURNING profiles, folded, duplicates, poison
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
        # Never read again, not even after the connection was lost: a commit builds on what was read at these positions.
        self._positions: dict[int, int] = {}
        try:
            self._positions |= dict(self._read(_POSITIONS))
            self._counters = _counters_of(self._read(_COUNTERS)[0])
        except BaseException:
            self._link.close()
            raise

    def positions(self) -> dict[int, int]:
        """See the port."""
        return dict(self._positions)

    def counters(self) -> Counters:
        """See the port."""
        return self._counters

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """See the port."""
        return {key: found.hex() for key, found in self._read_many(_RESOLVE, list(keys))}

    def get_many(self, profile_ids: Collection[str]) -> dict[str, profile_pb2.Profile]:
        """See the port."""
        rows = self._read_many(_PROFILES, [bytes.fromhex(one) for one in profile_ids])
        return {key.hex(): profile_pb2.Profile.FromString(data) for key, data in rows}

    def seen(self, message_ids: Collection[str]) -> set[str]:
        """See the port."""
        names = {message_key(message_id): message_id for message_id in message_ids}
        return {names[key] for (key,) in self._read_many(_SEEN, list(names))}

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
        return dict(self._read(_RECORDS, kind, list(keys))) if keys else {}

    def scan(self, kind: str, *, after: bytes = b"", at_most: int) -> list[tuple[bytes, bytes]]:
        """See the port."""
        return list(self._read(_SCAN, kind, after, at_most))

    def profiles(self) -> Iterator[profile_pb2.Profile]:
        """See the port. Read in pages, each as it is then: a long walk holds no transaction open."""
        last = b""
        while rows := self._read(_PAGE_OF_PROFILES, last, _PAGE):
            for _, data in rows:
                yield profile_pb2.Profile.FromString(data)
            last = rows[-1][0]

    def commit(self, commit: Commit) -> None:
        """See the port."""
        if any(sequence <= self._positions.get(partition, 0) for partition, sequence in commit.positions.items()):
            raise PositionMoved(f"the store has read further than this commit: {self._positions}")
        writes = list(_writes_of(commit))
        self._counters = self._link.run(lambda connection: self._write(connection, commit, writes))
        self._positions |= commit.positions

    def sweep(self, *, message_ids_before_ms: int, timeline_before_ms: int, at_most: int) -> int:
        """See the port. It finds the oldest by an index, so there is no place to go on from."""

        def work(connection: Connection[Any]) -> int:
            cursor = connection.cursor()
            forgotten = cursor.execute(_SWEEP_MESSAGE_IDS, (message_ids_before_ms, at_most)).rowcount
            return forgotten + cursor.execute(_SWEEP_TIMELINE, (timeline_before_ms, at_most)).rowcount

        return self._link.run(work)

    def close(self) -> None:
        """See the port."""
        self._link.close()

    def _read_many(self, statement: LiteralString, keys: list[bytes], *more: int) -> _Rows:
        return self._read(statement, keys, *more) if keys else ()

    def _read(self, statement: LiteralString, *arguments: Any) -> _Rows:
        def work(connection: Connection[Any]) -> _Rows:
            return connection.cursor(binary=True).execute(statement, arguments).fetchall()

        return self._link.run(work)

    def _write(self, connection: Connection[Any], commit: Commit, writes: Sequence[_Write]) -> Counters:
        """Safe to do again when no answer came: if it was done, the positions say so."""
        counted = connection.cursor(binary=True)
        # Two journeys to the server: for the positions, and for everything else.
        with connection.pipeline() as pipeline, connection.transaction():
            if commit.positions:
                self._check(connection, pipeline, sorted(commit.positions))
            for write in writes:
                connection.execute(write.statement, write.arguments)
            counted.execute(_COUNT, (commit.created, commit.folded, commit.duplicates, commit.poison))
        row = counted.fetchone()
        assert row is not None, "the row is made with the table"
        return _counters_of(row)

    def _check(self, connection: Connection[Any], pipeline: Pipeline, partitions: list[int]) -> None:
        if any(partition not in self._positions for partition in partitions):
            connection.execute(_BEGIN_PARTITIONS, (partitions,))
        held = connection.cursor(binary=True).execute(_LOCK_POSITIONS, (partitions,))
        pipeline.sync()  # not only for the answer: from here the server counts how long the transaction is idle
        stored = dict(held.fetchall())
        expected = {partition: self._positions.get(partition, 0) for partition in partitions}
        if stored != expected:
            raise PositionMoved(f"someone else has committed: the store is at {stored}, this process was at {expected}")


@dataclass(frozen=True, slots=True)
class _Write:
    statement: LiteralString
    arguments: tuple[list[Any], ...]


def _writes_of(commit: Commit) -> Iterator[_Write]:
    gone = [bytes.fromhex(profile_id) for profile_id, profile in commit.profiles.items() if profile is None]
    profiles = {
        (bytes.fromhex(profile_id),): (profile.SerializeToString(deterministic=True),)
        for profile_id, profile in commit.profiles.items()
        if profile is not None
    }
    identities = {(key,): (bytes.fromhex(profile_id),) for key, profile_id in commit.identities.items()}
    messages = {(message_key(message_id),): (received_ms,) for message_id, received_ms in commit.message_ids.items()}
    timeline = {
        (row.key, row.timestamp_ms, entry_key(row.message_id)): (row.partition, row.sequence, row.data)
        for row in commit.timeline
    }
    positions = {(partition,): (sequence,) for partition, sequence in commit.positions.items()}
    records = {key: (value,) for key, value in commit.records.items() if value is not None}
    dropped: dict[Any, tuple[Any, ...]] = {key: () for key, value in commit.records.items() if value is None}
    if gone:
        yield _Write(_DELETE_PROFILES, (sorted(gone),))
    for statement, rows in (
        (_MOVE_POSITIONS, positions),
        (_PUT_PROFILES, profiles),
        (_PUT_IDENTITIES, identities),
        (_PUT_MESSAGE_IDS, messages),
        (_PUT_TIMELINE, timeline),
        (_DELETE_RECORDS, dropped),
        (_PUT_RECORDS, records),
    ):
        if rows:
            yield _Write(statement, _columns(rows))


def _columns(rows: Mapping[Any, tuple[Any, ...]]) -> tuple[list[Any], ...]:
    """By key, so that two commits which touch the same rows do it in the same order and never wait for each other."""
    return tuple(map(list, zip(*((*key, *rows[key]) for key in sorted(rows)), strict=True)))


def _counters_of(row: Sequence[int]) -> Counters:
    profiles, folded, duplicates, poison = row
    return Counters(profiles=profiles, folded=folded, duplicates=duplicates, poison=poison)
