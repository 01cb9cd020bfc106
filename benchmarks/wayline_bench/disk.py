"""What a profile store takes on disk, when everything was written out and what is dead was dropped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql
from rocksdict import DBCompressionType, Options, Rdict

from wayline_profile.store.postgres_schema import SCHEMA

_TIMELINE = ("timeline", "messages", "message_ids")
"""What grows with events. Everything else grows with customers."""


def of_rocksdb(path: Path) -> dict[str, int]:
    """Bytes by column family of a directory that no process has open, flushed and compacted."""
    names = Rdict.list_cf(str(path))
    database = Rdict(str(path), _options(), column_families={name: _options() for name in names})
    try:
        sizes = {}
        for name in names:
            family = database.get_column_family(name)
            family.flush()
            family.compact_range(None, None)
            sizes[name] = int(family.property_int_value("rocksdb.live-sst-files-size") or 0)
        return sizes
    finally:
        database.close()


def _options() -> Options:
    options = Options(raw_mode=True)
    options.set_compression_type(DBCompressionType.lz4())  # as the store's own
    return options


def of_postgresql(url: str) -> dict[str, int]:
    """Bytes by table with its indexes, after VACUUM FULL."""
    with psycopg.connect(url, autocommit=True, options=f"-c search_path={SCHEMA}") as connection:
        names = [
            name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (SCHEMA,))
        ]
        for name in names:
            connection.execute(sql.SQL("VACUUM FULL {}").format(sql.Identifier(name)))
        return {
            name: size
            for name in names
            for (size,) in connection.execute("SELECT pg_total_relation_size(%s::regclass)", (f"{SCHEMA}.{name}",))
        }


def per_profile(sizes: Mapping[str, int], profiles: int) -> int:
    """Bytes for a customer, without timeline and message ids."""
    return round(sum(size for name, size in sizes.items() if name not in _TIMELINE) / profiles)


def per_event(sizes: Mapping[str, int], events: int) -> int:
    """Bytes for an event in its timeline, with its message id."""
    return round(sum(sizes.get(name, 0) for name in _TIMELINE) / events)
