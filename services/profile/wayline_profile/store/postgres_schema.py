"""The tables of the profile store on PostgreSQL, and how a database gets them."""

from __future__ import annotations

from typing import Any, LiteralString

from psycopg import Connection

from wayline import logging
from wayline.errors import WaylineError

SCHEMA = "wayline_profile"  # beside whatever else is in the database
_LOCK = 0x5741594C  # any number that no other program locks by
log = logging.get("store")

# A step once released is never edited: a change is a further step.
STEPS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE profiles (id bytea PRIMARY KEY, data bytea NOT NULL) WITH (fillfactor = 80);
    CREATE TABLE identities (key bytea PRIMARY KEY, profile_id bytea NOT NULL);
    CREATE TABLE message_ids (key bytea PRIMARY KEY, received_ms bigint NOT NULL);
    CREATE INDEX message_ids_by_age ON message_ids (received_ms);
    CREATE TABLE timeline (
        key bytea, at_ms bigint, entry bytea,
        partition integer NOT NULL, sequence bigint NOT NULL, event bytea NOT NULL,
        PRIMARY KEY (key, at_ms, entry)
    );
    CREATE INDEX timeline_by_age ON timeline (at_ms);
    CREATE TABLE positions (partition integer PRIMARY KEY, sequence bigint NOT NULL);
    CREATE TABLE counters (
        id boolean PRIMARY KEY DEFAULT true CHECK (id),
        profiles bigint NOT NULL, folded bigint NOT NULL, duplicates bigint NOT NULL, poison bigint NOT NULL
    );
    INSERT INTO counters VALUES (true, 0, 0, 0, 0);
    """,
    """
    CREATE TABLE records (kind text, key bytea, value bytea NOT NULL, PRIMARY KEY (kind, key)) WITH (fillfactor = 80);
    """,
    # Which commit wrote a row last, and who may write: see postgres_writes and postgres_leases.
    """
    ALTER TABLE profiles ADD COLUMN version bigint NOT NULL DEFAULT 0;
    ALTER TABLE identities ADD COLUMN version bigint NOT NULL DEFAULT 0;
    ALTER TABLE records ADD COLUMN version bigint NOT NULL DEFAULT 0;
    ALTER TABLE counters ADD COLUMN last_commit bigint NOT NULL DEFAULT 0;
    CREATE TABLE workers (
        id text PRIMARY KEY, process text NOT NULL, since timestamptz NOT NULL, expires timestamptz NOT NULL
    );
    CREATE TABLE leases (
        name text PRIMARY KEY, worker text NOT NULL REFERENCES workers (id) ON DELETE CASCADE
    );
    """,
)


class SchemaTooNew(WaylineError):
    """A newer Wayline has changed the tables: this one must not write into them."""


def ensure_schema(connection: Connection[Any]) -> None:
    """Make or upgrade the tables, in one transaction. Of several that start at once one does it, the others wait.

    The session's search path must be `SCHEMA`. A database whose tables are current is only read: then no right to make
    tables is needed.

    Raises:
        SchemaTooNew: the tables are those of a newer version.
    """
    with connection.transaction():
        # Before anything is read: tables that another session has just made may be seen by halves until it lets go.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version = _version(connection)
        if version > len(STEPS):
            raise SchemaTooNew(
                f"the profile store has version {version} of its tables, and this Wayline knows up to {len(STEPS)}"
            )
        if version == 0:
            connection.execute("CREATE SCHEMA IF NOT EXISTS wayline_profile")
            connection.execute("CREATE TABLE version (version integer NOT NULL)")
            connection.execute("INSERT INTO version VALUES (0)")
        for step in STEPS[version:]:
            connection.execute(step, prepare=False)  # several statements cannot be prepared as one
        if version < len(STEPS):
            connection.execute("UPDATE version SET version = %s", (len(STEPS),))
    if version < len(STEPS):
        log.info("profile_store_schema", was=version, now=len(STEPS))


def _version(connection: Connection[Any]) -> int:
    # From the catalogue as it is now: `to_regclass` may answer from what this session knew before it got the lock.
    made = connection.execute("SELECT FROM pg_tables WHERE schemaname = %s AND tablename = 'version'", (SCHEMA,))
    row = connection.execute("SELECT version FROM version").fetchone() if made.rowcount else None
    return int(row[0]) if row else 0
