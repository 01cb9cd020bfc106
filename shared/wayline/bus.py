"""NATS: the connection, and the streams with their limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from wayline import logging

EVENTS = "EVENTS"
DEAD_LETTERS = "DEAD_LETTERS"
DECISIONS = "DECISIONS"
CHANGES = "CHANGES"
AUDIT = "AUDIT"
QUALITY = "QUALITY"
EVENT_SUBJECTS = "events.*"
DEAD_LETTER_SUBJECTS = "rejected.*"
DECISION_SUBJECT = "decisions"
REWRITTEN_SUBJECTS = "decisions.rewritten.*"
REWRITTEN_HEADER = "Wayline-Rewritten"
"""The sequence of the bundle that a rewritten one stands for."""
CHANGE_SUBJECTS = "changes.>"
VIEW_SUBJECT = "views"
RESERVED_SUBJECTS = "reserved.*"
AUDIT_SUBJECT = "audit"
QUALITY_SUBJECT = "quality"
SUPPRESSED_BUCKET = "suppressed"
CATALOG_BUCKET = "catalog"
REGISTRY_BUCKET = "registry"
MODEL_BUCKET = "models"

DUPLICATE_WINDOW_SECONDS = 120.0
PARTITIONS_KEY = "wayline-partitions"

log = logging.get("bus")
Callback = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """A stream and its limits. `discard_new` refuses when full, rather than forgetting what was accepted."""

    name: str
    subject: str
    max_bytes: int
    max_age_seconds: float
    discard_new: bool = False
    duplicate_window_seconds: float = DUPLICATE_WINDOW_SECONDS
    partitions: int | None = None
    also: tuple[str, ...] = ()
    """Further subjects."""
    append_only: bool = False
    """Nobody can delete from it, not even by its name: only age takes messages away. Fixed at creation."""


@asynccontextmanager
async def connect(
    url: str, name: str, *, on_disconnect: Callback | None = None, on_reconnect: Callback | None = None
) -> AsyncIterator[Client]:
    """A connection that comes back by itself for as long as the process lives, and drains at the end."""

    async def report(error: Exception) -> None:
        log.warning("nats", error=repr(error))

    closing = False

    async def lost() -> None:
        if closing:
            return
        log.warning("nats_disconnected")
        if on_disconnect:
            await on_disconnect()

    async def back() -> None:
        log.info("nats_reconnected")
        if on_reconnect:
            await on_reconnect()

    client = await nats.connect(
        url,
        name=name,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.25,
        connect_timeout=2,
        allow_reconnect=True,
        error_cb=report,
        disconnected_cb=lost,
        reconnected_cb=back,
    )
    try:
        yield client
    finally:
        closing = True
        with suppress(OSError):  # the server went first: what was not sent yet cannot be sent any more
            await client.close()


async def ensure_stream(js: JetStreamContext, spec: StreamSpec, replicas: int) -> int:
    """Create the stream, or bring its limits up to date. The number of partitions is fixed at creation.

    Returns:
        The number of partitions of the stream (1 for a stream without partitions).
    """
    try:
        existing = (await js.stream_info(spec.name)).config
    except NotFoundError:
        existing = None
    metadata = dict((existing.metadata if existing else None) or {})
    if existing is None and spec.partitions is not None:
        metadata[PARTITIONS_KEY] = str(spec.partitions)
    config = StreamConfig(
        name=spec.name,
        subjects=[spec.subject, *spec.also],
        max_bytes=spec.max_bytes,
        max_age=spec.max_age_seconds,
        discard=DiscardPolicy.NEW if spec.discard_new else DiscardPolicy.OLD,
        storage=StorageType.FILE,
        num_replicas=replicas,
        duplicate_window=min(spec.duplicate_window_seconds, spec.max_age_seconds),
        allow_direct=True,
        deny_delete=spec.append_only,
        deny_purge=spec.append_only,
        metadata=metadata,
    )
    if existing is None:
        await js.add_stream(config)
    elif _limits(existing) != _limits(config):
        await js.update_stream(config)
    return int(metadata.get(PARTITIONS_KEY, "1"))


def _limits(config: StreamConfig) -> tuple[object, ...]:
    subjects = tuple(config.subjects or ())
    return config.max_bytes, config.max_age, config.num_replicas, config.duplicate_window, config.discard, subjects


def event_subject(partition: int) -> str:
    """Where the events of a partition are."""
    return f"events.{partition}"


async def partitions_of(js: JetStreamContext, *, patience_seconds: float = 60.0) -> int:
    """How many partitions the event stream has; waits for ingestion to create it.

    Raises:
        NotFoundError: it was not created within `patience_seconds`.
    """
    deadline = asyncio.get_running_loop().time() + patience_seconds
    while True:
        try:
            config = (await js.stream_info(EVENTS)).config
            return int((config.metadata or {})[PARTITIONS_KEY])
        except NotFoundError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.1)


def rewritten_subject(decided_at_seconds: int) -> str:
    """Where a bundle of decision records is stored that was written anew: by the hour of its first decision."""
    return f"decisions.rewritten.{decided_at_seconds // 3_600}"
