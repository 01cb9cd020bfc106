"""Tells the changes of audiences and stages: from the records that a commit left, to the stream CHANGES.

A record goes when JetStream has acknowledged its change. What is left when the process ends is told at the next start;
what was told then and not yet removed bears the same Nats-Msg-Id, and JetStream keeps it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from nats.js import JetStreamContext

from wayline import logging
from wayline.bus import CHANGE_SUBJECTS, CHANGES, StreamSpec, ensure_stream
from wayline.errors import Retryable
from wayline.publish import AckedPublisher, Message
from wayline.v1 import audiences_pb2
from wayline_profile.core.changes import Commit
from wayline_profile.store import ProfileStore
from wayline_profile.store.records import CHANGE
from wayline_profile.writes import Writer

AT_MOST = 500
"""Changes that are told at once."""
DUPLICATE_WINDOW_SECONDS = 3_600.0
"""How long JetStream remembers what it was told: a process that is away for longer may tell its last changes twice."""
DUTY = "changes"
_LOOK_AGAIN_SECONDS = 1.0
_FROM_THE_FIRST_SECONDS = 10.0
_RETRY_SECONDS = 0.5
_DAY_SECONDS = 86_400
log = logging.get("changes")


async def make_stream(js: JetStreamContext, *, max_bytes: int, max_age_days: float, replicas: int) -> None:
    """The stream of changes. When it is full, the oldest are forgotten."""
    spec = StreamSpec(
        name=CHANGES,
        subject=CHANGE_SUBJECTS,
        max_bytes=max_bytes,
        max_age_seconds=max_age_days * _DAY_SECONDS,
        duplicate_window_seconds=DUPLICATE_WINDOW_SECONDS,
    )
    await ensure_stream(js, spec, replicas)


class Outbox:
    """Publishes the changes that commits have left, in their order."""

    def __init__(self, store: ProfileStore, writer: Writer, publisher: AckedPublisher) -> None:
        """Tell what is in `store`."""
        self._store = store
        self._writer = writer
        self._publisher = publisher
        self._wake = asyncio.Event()
        self._after = b""

    def wake(self) -> None:
        """A commit may have left changes."""
        self._wake.set()

    async def run(self, holds: Callable[[str], bool]) -> None:
        """Tell changes for ever, as they come. While JetStream is away they wait in the store.

        Args:
            holds: whether a duty is this process's. Two that tell the same for a moment are heard once.
        """
        clock = asyncio.get_running_loop().time
        from_the_first = clock()
        while True:
            if clock() >= from_the_first:
                # For what another process has left, whose clock is behind.
                self._after, from_the_first = b"", clock() + _FROM_THE_FIRST_SECONDS
            self._wake.clear()
            try:
                told = await self.tell() if holds(DUTY) else 0
            except Retryable as error:
                log.warning("changes_wait", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if not told:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _LOOK_AGAIN_SECONDS)

    async def tell(self) -> int:
        """Tell the next changes; how many there were.

        Raises:
            Retryable: JetStream did not acknowledge. What it has stored is not known; they are told again.
        """
        # Not from the beginning: there a store has to walk over what was removed a moment ago.
        rows = await self._writer.run(lambda: self._store.scan(CHANGE, after=self._after, at_most=AT_MOST))
        if not rows:
            return 0
        await self._publisher.publish([_message(data) for _, data in rows])
        told = Commit(records={(CHANGE, key): None for key, _ in rows})
        await self._writer.run(lambda: self._store.commit(told))
        self._after = rows[-1][0]
        return len(rows)


def subject_of(change: audiences_pb2.Change) -> str:
    """Where a change is told."""
    if change.kind == audiences_pb2.CHANGE_KIND_STAGE:
        return "changes.stage"
    entered = change.kind == audiences_pb2.CHANGE_KIND_ENTERED
    return f"changes.audience.{change.audience}.{'entered' if entered else 'exited'}"


def _message(data: bytes) -> Message:
    change = audiences_pb2.Change.FromString(data)
    return Message(subject_of(change), data, change.change_id)
