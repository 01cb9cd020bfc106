"""How a commit is written to PostgreSQL: first what it builds on is checked, then everything goes in at once.

Commits are made one after the other, in the order of the row of counters, which each of them locks first; what is
slow, the folding, happens before. So what a commit builds on cannot change while it is checked, not even what was
absent, and the number of a commit orders all that was ever written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, LiteralString

from psycopg import Connection, Cursor, Pipeline

from wayline_profile.core.changes import Commit
from wayline_profile.store import Conflict, PositionMoved
from wayline_profile.store.keys import entry_key, message_key

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
_DELETE_IDENTITIES: LiteralString = "DELETE FROM identities WHERE key = ANY(%b)"
_DELETE_TIMELINES: LiteralString = "DELETE FROM timeline WHERE key = ANY(%b)"
_DELETE_LINES: LiteralString = """
    DELETE FROM timeline USING unnest(%b::bytea[], %b::bigint[], %b::bytea[]) AS gone (key, at_ms, entry)
    WHERE (timeline.key, timeline.at_ms, timeline.entry) = (gone.key, gone.at_ms, gone.entry)
"""
_PUT_PROFILES: LiteralString = """
    INSERT INTO profiles (version, id, data) SELECT %b::bigint, * FROM unnest(%b::bytea[], %b::bytea[])
    ON CONFLICT (id) DO UPDATE SET data = excluded.data, version = excluded.version
"""
_PUT_IDENTITIES: LiteralString = """
    INSERT INTO identities (version, key, profile_id) SELECT %b::bigint, * FROM unnest(%b::bytea[], %b::bytea[])
    ON CONFLICT (key) DO UPDATE SET profile_id = excluded.profile_id, version = excluded.version
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
    INSERT INTO records (version, kind, key, value)
    SELECT %b::bigint, * FROM unnest(%b::text[], %b::bytea[], %b::bytea[])
    ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, version = excluded.version
"""
# The time in microseconds, unless that is not greater: so no number comes twice, even after a crash, or an older copy,
# has taken commits away.
_COUNT: LiteralString = """
    UPDATE counters SET profiles = profiles + %b::bigint, folded = folded + %b::bigint,
        duplicates = duplicates + %b::bigint, poison = poison + %b::bigint,
        last_commit = greatest(before.number + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    FROM (SELECT last_commit AS number FROM counters FOR UPDATE) AS before
    RETURNING before.number, last_commit
"""
_PROFILES_NOW: LiteralString = "SELECT count(*), coalesce(max(version), 0) FROM profiles WHERE id = ANY(%b)"
_IDENTITIES_NOW: LiteralString = "SELECT count(*), coalesce(max(version), 0) FROM identities WHERE key = ANY(%b)"
_RECORDS_NOW: LiteralString = """
    SELECT count(*), coalesce(max(version), 0) FROM records WHERE kind = %b AND key = ANY(%b)
"""
_MESSAGE_IDS_NOW: LiteralString = "SELECT count(*), 0 FROM message_ids WHERE key = ANY(%b)"


@dataclass(slots=True)
class Found:
    """Keys that were looked for, and those of them that were there."""

    keys: set[bytes] = field(default_factory=set)
    present: set[bytes] = field(default_factory=set)

    def add(self, keys: Collection[bytes], present: Collection[bytes]) -> None:
        """Take note of one reading."""
        self.keys.update(keys)
        self.present.update(present)


@dataclass(slots=True)
class ReadSet:
    """What was read of the store as it was after a commit, which is named by its number."""

    after: int
    identities: Found = field(default_factory=Found)
    profiles: Found = field(default_factory=Found)
    messages: set[bytes] = field(default_factory=set)
    """Message ids that were not known. Those that were may be forgotten meanwhile: that changes nothing."""
    records: dict[str, Found] = field(default_factory=dict)
    """By kind."""


@dataclass(frozen=True, slots=True)
class _Write:
    statement: LiteralString
    arguments: tuple[Any, ...]
    versioned: bool = False
    """Its first parameter is the number of the commit."""


def write(connection: Connection[Any], commit: Commit, expected: Mapping[int, int], built_on: ReadSet | None) -> int:
    """Write a commit in one transaction, or nothing of it. Returns its number.

    Args:
        connection: outside of a transaction.
        commit: what to write.
        expected: where the partitions stand, as far as this process knows; 0 where it knows nothing.
        built_on: what the commit was made of; None: of nothing.

    Raises:
        PositionMoved: a partition stands elsewhere.
        Conflict: what it was made of has changed.
    """
    writes = list(_writes_of(commit))  # before anything is locked: nobody else commits from there on
    with connection.pipeline() as pipeline, connection.transaction():
        former, version = _begin(connection, pipeline, commit, expected)
        if built_on is not None and built_on.after != former:
            _check(connection, pipeline, built_on)
        for one in writes:
            connection.execute(one.statement, (version, *one.arguments) if one.versioned else one.arguments)
    return version


def _begin(
    connection: Connection[Any], pipeline: Pipeline, commit: Commit, expected: Mapping[int, int]
) -> tuple[int, int]:
    """Lock, and compare positions. Returns the number of the last commit, and of this one."""
    counts = (commit.created, commit.folded, commit.duplicates, commit.poison)
    counted = connection.cursor(binary=True).execute(_COUNT, counts)
    partitions = sorted(commit.positions)
    held: Cursor[Any] | None = None
    if partitions:
        if any(partition not in expected for partition in partitions):
            connection.execute(_BEGIN_PARTITIONS, (partitions,))
        held = connection.cursor(binary=True).execute(_LOCK_POSITIONS, (partitions,))
    pipeline.sync()  # not only for the answer: from here the server counts how long the transaction is idle
    if held is not None:
        stored = dict(held.fetchall())
        known = {partition: expected.get(partition, 0) for partition in partitions}
        if stored != known:
            raise PositionMoved(f"someone else has committed: the store is at {stored}, this process was at {known}")
    row = counted.fetchone()
    assert row is not None, "the row is made with the table"
    return int(row[0]), int(row[1])


def _check(connection: Connection[Any], pipeline: Pipeline, built_on: ReadSet) -> None:
    asked = [
        (_IDENTITIES_NOW, ("identities", built_on.identities), ()),
        (_PROFILES_NOW, ("profiles", built_on.profiles), ()),
        (_MESSAGE_IDS_NOW, ("message ids", Found(built_on.messages)), ()),
        *((_RECORDS_NOW, (kind, found), (kind,)) for kind, found in built_on.records.items()),
    ]
    answers = [
        (name, found, connection.cursor(binary=True).execute(statement, (*first, list(found.keys))))
        for statement, (name, found), first in asked
        if found.keys
    ]
    pipeline.sync()
    for name, found, cursor in answers:
        # Gone: they are fewer. Changed, or come in the place of one that is gone: the version is a later one.
        ((count, version),) = cursor.fetchall()
        if count != len(found.present) or version > built_on.after:
            raise Conflict(f"another process has changed {name} that this commit builds on")


def _writes_of(commit: Commit) -> Iterator[_Write]:
    gone = [bytes.fromhex(profile_id) for profile_id, profile in commit.profiles.items() if profile is None]
    profiles = {
        (bytes.fromhex(profile_id),): (profile.SerializeToString(deterministic=True),)
        for profile_id, profile in commit.profiles.items()
        if profile is not None
    }
    identities = {(key,): (bytes.fromhex(led),) for key, led in commit.identities.items() if led is not None}
    strangers = sorted(key for key, led in commit.identities.items() if led is None)
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
    if strangers:
        yield _Write(_DELETE_IDENTITIES, (strangers,))
    if commit.erased:
        yield _Write(_DELETE_TIMELINES, (sorted(commit.erased),))
    if commit.unfiled:
        lines = [(row.key, row.timestamp_ms, entry_key(row.message_id)) for row in commit.unfiled]
        yield _Write(_DELETE_LINES, tuple(map(list, zip(*lines, strict=True))))
    for statement, rows, versioned in (
        (_MOVE_POSITIONS, positions, False),
        (_PUT_PROFILES, profiles, True),
        (_PUT_IDENTITIES, identities, True),
        (_PUT_MESSAGE_IDS, messages, False),
        (_PUT_TIMELINE, timeline, False),
        (_DELETE_RECORDS, dropped, False),
        (_PUT_RECORDS, records, True),
    ):
        if rows:
            yield _Write(statement, _columns(rows), versioned)


def _columns(rows: Mapping[Any, tuple[Any, ...]]) -> tuple[list[Any], ...]:
    """By key, so that rows go into the indexes in their order."""
    return tuple(map(list, zip(*((*key, *rows[key]) for key in sorted(rows)), strict=True)))
