"""The audit log: who did what to whose data. Append-only, and chained by hashes, so that a change shows.

Each entry carries the SHA-256 of the one before, as it is stored. Two writers cannot both follow the same entry: the
stream takes an entry only behind the one that it names. An entry that is taken out or changed breaks the chain. One
that is taken off the end does not: receipts of erasures are signed, and name the entry that was the last then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import nats.js.errors
from google.protobuf.message import DecodeError
from nats.aio.client import Client

from wayline import bus, streams
from wayline.errors import LimitExceeded, Retryable
from wayline.v1.privacy_pb2 import AuditEntry

ACTOR = "wayline-actor"
"""The metadata of a call that says who calls."""
SYSTEM = "wayline"
UNKNOWN = "unknown"
_MAX_ACTOR_CHARACTERS = 128
_WRONG_SEQUENCE = (10071, 10164)
_STORE_FULL = (10047, 10077)
_ATTEMPTS = 20
_TIMEOUT_SECONDS = 5.0
_EMPTY: Mapping[str, str] = {}
_NO_LOG = "the audit log does not exist yet; the profile service makes it at its start"


class Anchor(NamedTuple):
    """An entry's place in the stream, and the hash of what is stored there."""

    sequence: int
    digest: bytes


class Line(NamedTuple):
    """An entry as it was read. `intact`: the chain holds between the line before and this one."""

    sequence: int
    entry: AuditEntry
    intact: bool


def audit_stream(*, max_bytes: int, max_age_seconds: float) -> bus.StreamSpec:
    """The stream of the audit log. When it is full it refuses, and so do the actions that need it."""
    return bus.StreamSpec(
        name=bus.AUDIT,
        subject=bus.AUDIT_SUBJECT,
        max_bytes=max_bytes,
        max_age_seconds=max_age_seconds,
        discard_new=True,
        append_only=True,
    )


def actor_of(metadata: Mapping[str, str | bytes]) -> str:
    """Who calls, as far as printable; 'unknown' when nobody says."""
    said = metadata.get(ACTOR, "")
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    # What the system does by itself cannot be claimed.
    actor = "".join(one for one in text.strip() if one.isprintable())[:_MAX_ACTOR_CHARACTERS]
    return actor if actor and actor != SYSTEM else UNKNOWN


class AuditLog:
    """Appends entries, one at a time."""

    def __init__(self, client: Client, *, now: Callable[[], datetime]) -> None:
        """Write on `client`, with times of `now`."""
        self._client = client
        self._now = now
        self._turn = asyncio.Lock()
        self._last: Anchor | None = None

    async def append(
        self,
        action: str,
        *,
        actor: str = SYSTEM,
        subject: str = "",
        outcome: str = "done",
        reason: str = "",
        facts: Mapping[str, str] = _EMPTY,
    ) -> Anchor:
        """Store an entry. What it is about must not be done before this returns.

        Raises:
            Retryable: it could not be stored, or it is not known whether it was.
            LimitExceeded: the audit log is full.
        """
        async with self._turn:
            for _ in range(_ATTEMPTS):
                last = self._last or await self._read_last()
                entry = AuditEntry(
                    previous=last.digest,
                    actor=actor,
                    action=action,
                    subject=subject,
                    outcome=outcome,
                    reason=reason,
                    facts=facts,
                )
                entry.time.FromDatetime(self._now())
                self._last = None  # until we know better: after a failure the end of the log is read again
                stored = await self._store(entry.SerializeToString(deterministic=True), last.sequence)
                if stored:
                    self._last = stored
                    return stored
            raise Retryable("the audit log is written by too many at once; try again")

    async def _store(self, data: bytes, after: int) -> Anchor | None:
        """None: somebody else was first."""
        headers = {"Nats-Expected-Last-Sequence": str(after)}
        async with streams.reaching(self._client, bus.AUDIT):
            try:
                ack = await self._client.jetstream().publish(
                    bus.AUDIT_SUBJECT, data, timeout=_TIMEOUT_SECONDS, headers=headers
                )
            except nats.js.errors.APIError as error:
                if error.err_code in _WRONG_SEQUENCE:
                    return None
                if error.err_code in _STORE_FULL:
                    raise LimitExceeded(
                        "the audit log is full, and nothing is done that cannot be written down; "
                        "raise WAYLINE_AUDIT_MAX_BYTES and restart the profile service"
                    ) from error
                raise
        return Anchor(ack.seq, sha256(data).digest())

    async def _read_last(self) -> Anchor:
        held = await streams.state(self._client, bus.AUDIT)
        if held is None:
            raise Retryable(_NO_LOG)
        if not held.messages:
            return Anchor(held.last_seq, b"")
        last = await anchor(self._client, held.last_seq)
        if last is None:  # a replica that lags answered; nothing may follow an entry that was not read
            raise Retryable(f"the audit log's last entry, {held.last_seq:,}, cannot be read; try again")
        return last


async def entries(client: Client, *, after: int = 0) -> AsyncIterator[Line]:
    """All entries from after a sequence, oldest first, each checked against the one before.

    The first one that is read has nothing to be checked against: those before it may be over their age.

    Raises:
        Retryable: the log cannot be read.
    """
    if await streams.state(client, bus.AUDIT) is None:
        raise Retryable(_NO_LOG)
    previous: bytes | None = None
    sequence = after
    while found := await streams.page(client, bus.AUDIT, after=sequence):
        for message in found:
            try:
                entry = AuditEntry.FromString(message.data)
            except DecodeError:
                entry = AuditEntry(action="unreadable")
            in_order = previous is None or message.sequence == sequence + 1
            yield Line(message.sequence, entry, in_order and previous in (None, entry.previous))
            sequence, previous = message.sequence, sha256(message.data).digest()


async def anchor(client: Client, sequence: int) -> Anchor | None:
    """What stands at a sequence of the log; None: nothing.

    Raises:
        Retryable: the log cannot be read.
    """
    found = await streams.message(client, bus.AUDIT, sequence)
    return Anchor(sequence, sha256(found.data).digest()) if found else None
