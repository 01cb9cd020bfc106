"""What was decided, and what came of it: read back from the streams, a message at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from datetime import UTC, datetime
from hashlib import blake2b

import nats.errors
from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, NotFoundError

from wayline import logging
from wayline.bus import DECISIONS, EVENT_SUBJECTS, EVENTS
from wayline.errors import NotFound, Retryable
from wayline.v1 import decision_pb2, events_pb2

_BUNDLES = 8  # half a MiB each
_EVENTS = 500
_ALL = ">"
_PATIENCE_SECONDS = 10.0
_IDLE_SECONDS = 60.0
Progress = Callable[[int, int], None]
"""Told now and then how many messages were read, of how many."""
log = logging.get("history")


class Rewards:
    """Which actions of which decisions had an outcome: about 100 bytes for each."""

    def __init__(self) -> None:
        """None."""
        self._keys: set[bytes] = set()

    def add(self, decision_id: str, action: str) -> None:
        """There was an outcome; telling it again changes nothing."""
        self._keys.add(_key(decision_id, action))

    def of(self, decision_id: str, action: str) -> float:
        """1 when there was one, else 0."""
        return float(_key(decision_id, action) in self._keys)

    def __len__(self) -> int:
        """How many."""
        return len(self._keys)


def _key(decision_id: str, action: str) -> bytes:
    return blake2b(f"{decision_id}\0{action}".encode(), digest_size=12).digest()


async def decisions(
    js: JetStreamContext, since: datetime, progress: Progress | None = None
) -> AsyncGenerator[decision_pb2.DecisionRecord]:
    """The records of all decisions from `since` until now, in the order in which they were published.

    Bundles that were written anew, without the decisions for a customer who was erased, come where they are now. A
    bundle that cannot be read is logged and left out.

    Raises:
        NotFound: nothing was ever recorded.
        Retryable: NATS cannot be reached.
    """
    async for message in _messages(js, DECISIONS, _ALL, since, _BUNDLES, progress):
        try:
            bundle = decision_pb2.DecisionRecordBundle.FromString(message.data)
        except DecodeError:
            log.error("decision_records_unreadable", sequence=message.metadata.sequence.stream)
            continue
        for record in bundle.records:
            if record.decided_at.ToDatetime(UTC) >= since:
                yield record


async def rewards(
    js: JetStreamContext,
    since: datetime,
    names: Collection[Collection[str]],
    progress: Progress | None = None,
) -> list[Rewards]:
    """The outcomes that track events told from `since` until now.

    Args:
        js: JetStream.
        since: of the decisions: their outcomes come after them.
        names: kinds of outcome, each with the names of its events.
        progress: told now and then.

    Returns:
        One per kind, in the order of `names`.

    Raises:
        Retryable: NATS cannot be reached.
    """
    found = [Rewards() for _ in names]
    kind_of = {name: kind for kind, those in enumerate(names) for name in those}
    try:
        async for message in _messages(js, EVENTS, EVENT_SUBJECTS, since, _EVENTS, progress):
            for kind, decision_id, action in _outcome(message.data, kind_of):
                found[kind].add(decision_id, action)
    except NotFound:  # nothing was ever collected
        return found
    return found


def _outcome(data: bytes, kind_of: dict[str, int]) -> Iterable[tuple[int, str, str]]:
    """The kind, the decision and the action of an event that tells an outcome; what tells none is nothing."""
    if b"decision_id" not in data:  # most events: not worth reading
        return
    try:
        event = events_pb2.Event.FromString(data)
    except DecodeError:
        return  # the profile service has logged it
    kind = kind_of.get(event.name) if event.type == events_pb2.EVENT_TYPE_TRACK else None
    fields = event.properties.fields
    if kind is not None and "decision_id" in fields and "action" in fields:
        decision_id, action = fields["decision_id"].string_value, fields["action"].string_value
        if decision_id and action:
            yield kind, decision_id, action


async def stored_since(
    js: JetStreamContext, stream: str, subject: str, since: datetime, idle_seconds: float
) -> JetStreamContext.PullSubscription:
    """Reads what was stored from `since` on; the server forgets it when nothing was asked of it for so long."""
    config = ConsumerConfig(
        ack_policy=AckPolicy.NONE,
        deliver_policy=DeliverPolicy.BY_START_TIME,
        opt_start_time=since,
        filter_subject=subject,
        inactive_threshold=idle_seconds,
        mem_storage=True,
    )
    return await js.pull_subscribe(subject, stream=stream, config=config)


async def _messages(
    js: JetStreamContext, stream: str, subject: str, since: datetime, at_once: int, progress: Progress | None
) -> AsyncGenerator[Msg]:
    """Those that were stored from `since` until now; at most `at_once` are held in memory."""
    try:
        subscription = await stored_since(js, stream, subject, since, _IDLE_SECONDS)
        try:
            total = left = (await subscription.consumer_info()).num_pending or 0
            while left > 0:
                try:
                    messages = await subscription.fetch(min(left, at_once), timeout=_PATIENCE_SECONDS)
                except (TimeoutError, nats.errors.TimeoutError):
                    if not (await subscription.consumer_info()).num_pending:
                        return  # they went over their age meanwhile
                    raise
                # Under load it returns what an earlier request left over, too: that may be more than was asked for.
                for message in messages[:left]:
                    yield message
                left = max(0, left - len(messages))
                if progress:
                    progress(total - left, total)
        finally:
            await subscription.unsubscribe()
    except NotFoundError:
        raise NotFound(f"the stream {stream} does not exist: nothing was recorded yet") from None
    except (nats.errors.Error, APIError, TimeoutError) as error:
        raise Retryable(f"the stream {stream} cannot be read: {error!r}") from error
