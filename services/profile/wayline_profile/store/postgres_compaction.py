"""Writes the tables anew, so that deleted rows do not stay in the database's files.

A deleted row stays where it was until its page is written over, and what was written stands in the write-ahead log as
well. VACUUM FULL writes each table into a new file; a checkpoint lets go of the old one and of the log before it. The
server keeps old files of the log under new names, with what was in them, unless `wal_recycle` is off.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

from wayline import logging
from wayline.errors import Retryable
from wayline_profile.store.postgres_schema import SCHEMA

_TABLES: LiteralString = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1"
# Twice: the log before the last checkpoint but one is what the server lets go of.
_STEPS: tuple[tuple[LiteralString, str], ...] = (
    ("CHECKPOINT", "its role may not: grant it pg_checkpoint, or run CHECKPOINT"),
    ("SELECT pg_switch_wal()", "its role may not: run SELECT pg_switch_wal(), CHECKPOINT"),
    ("CHECKPOINT", "its role may not: grant it pg_checkpoint, or run CHECKPOINT"),
)
log = logging.get("store")


def compact(parameters: dict[str, Any]) -> list[str]:
    """Write the tables anew, one after the other: each is locked for as long as that takes.

    Args:
        parameters: of the connection.

    Returns:
        What could not be done, in words.

    Raises:
        Retryable: the server went away, or a table is held by somebody else for too long.
    """
    left: list[str] = []
    try:
        with psycopg.connect(**parameters, autocommit=True) as connection:
            for (table,) in connection.execute(_TABLES, (SCHEMA,)).fetchall():
                connection.execute(
                    psycopg.sql.SQL("VACUUM (FULL) {}").format(psycopg.sql.Identifier(SCHEMA, table)), prepare=False
                )
            for statement, advice in _STEPS:
                try:
                    connection.execute(statement)
                except psycopg.errors.InsufficientPrivilege:
                    left.append(f"PostgreSQL: {statement}: {advice}")
            row = connection.execute(
                "SELECT current_setting('wal_recycle'), current_setting('archive_mode')"
            ).fetchone()
    except psycopg.OperationalError as error:
        # "from None": a traceback in the log would show variables, the password among them.
        raise Retryable(f"PostgreSQL did not write its tables anew: {' '.join(str(error).split())}") from None
    assert row is not None, "settings are always there"
    if row[0] != "off":
        left.append(
            "PostgreSQL: wal_recycle is on: old files of its log keep what was in them until they are used again"
        )
    if row[1] != "off":
        left.append("PostgreSQL: archive_mode is on: the archive of its log is yours to expire")
    return list(dict.fromkeys(left))
