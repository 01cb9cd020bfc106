"""What a profile store holds, read row by row from its files or tables: the thing that two runs must have in common.

Left out is what knows a clock or a place in the stream: when a message was received, its sequence, and the records that
say so by their kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from rocksdict import AccessType, Options, Rdict

from wayline.v1 import events_pb2
from wayline_profile.store.postgres_schema import SCHEMA
from wayline_profile.store.records import CLUSTER, CLUSTER_OF, STRAND

Rows = Iterator[tuple[bytes, bytes]]
COMPARED = (STRAND, CLUSTER, CLUSTER_OF)
"""Kinds of records that are a function of the events alone."""
_TABLES: Mapping[str, LiteralString] = {
    "profiles": "SELECT id, data FROM profiles",
    "identities": "SELECT key, profile_id FROM identities",
    "messages": "SELECT key, ''::bytea FROM message_ids",
    "timeline": "SELECT key || int8send(at_ms) || entry, event FROM timeline",
}
_RECORDS: LiteralString = "SELECT key, value FROM records WHERE kind = %b"
_PLACE_BYTES = 12  # partition and sequence, before the event in RocksDB's timeline


@dataclass(frozen=True, slots=True)
class Holdings:
    """Tables and kinds of records by name; in each, a digest of 16 bytes by key."""

    tables: Mapping[str, Mapping[bytes, bytes]]

    def sizes(self) -> dict[str, int]:
        """Rows by table."""
        return {name: len(rows) for name, rows in self.tables.items()}

    def differences(self, other: Holdings) -> dict[str, list[bytes]]:
        """Keys whose rows are not the same in both, by table; tables without any are left out."""
        found = {
            name: sorted(
                key
                for key in self.tables.get(name, {}).keys() | other.tables.get(name, {}).keys()
                if self.tables.get(name, {}).get(key) != other.tables.get(name, {}).get(key)
            )
            for name in self.tables.keys() | other.tables.keys()
        }
        return {name: keys for name, keys in sorted(found.items()) if keys}

    def digest(self, name: str) -> str:
        """Of a whole table, in hexadecimal digits."""
        whole = blake2b(digest_size=16)
        for key, row in sorted(self.tables[name].items()):
            whole.update(key + row)
        return whole.hexdigest()


def of_rocksdb(path: Path) -> Holdings:
    """Of a directory that no process has open."""
    names = Rdict.list_cf(str(path))
    families = {name: Options(raw_mode=True) for name in names}
    # Opened only to be read: what no flush has written yet is in the log, and counts.
    database: Any = Rdict(
        str(path), Options(raw_mode=True), column_families=families, access_type=AccessType.read_only()
    )
    try:
        tables = {
            "profiles": _digests(database.get_column_family("profiles").items()),
            "identities": _digests(database.get_column_family("identities").items()),
            "messages": _digests((key, b"") for key, _ in database.get_column_family("messages").items()),
            "timeline": _digests(
                (key, _without_clock(value[_PLACE_BYTES:]))
                for key, value in database.get_column_family("timeline").items()
            ),
        }
        for kind in COMPARED:
            tables[kind] = _digests(_records(database.get_column_family("records"), kind))
        return Holdings(tables)
    finally:
        database.close()


def of_postgresql(url: str) -> Holdings:
    """Of a database, in one transaction."""
    with psycopg.connect(url, options=f"-c search_path={SCHEMA}") as connection:
        connection.set_read_only(True)

        def rows(statement: LiteralString, *arguments: str) -> Rows:
            with (
                connection.cursor(name="holdings", binary=True)
                if not arguments
                else connection.cursor(binary=True) as cursor
            ):
                cursor.execute(statement, arguments or None)
                yield from cursor

        tables = {name: rows(statement) for name, statement in _TABLES.items()}
        tables["timeline"] = ((key, _without_clock(event)) for key, event in rows(_TABLES["timeline"]))
        found = {name: _digests(each) for name, each in tables.items()}
        return Holdings(found | {kind: _digests(rows(_RECORDS, kind)) for kind in COMPARED})


def _records(family: Any, kind: str) -> Rows:
    """Of one kind. They lie together, under the kind's name."""
    prefix = f"{kind}/".encode()
    for key, value in family.items(from_key=prefix):
        if not key.startswith(prefix):
            return
        yield key[len(prefix) :], value


def _digests(rows: Rows) -> dict[bytes, bytes]:
    return {bytes(key): blake2b(value, digest_size=16).digest() for key, value in rows}


def _without_clock(data: bytes) -> bytes:
    event = events_pb2.Event.FromString(data)
    event.ClearField("received_at")
    return event.SerializeToString(deterministic=True)
