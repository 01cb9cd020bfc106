"""Accepted events, into the event stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from wayline.bus import event_subject
from wayline.errors import LimitExceeded, Retryable
from wayline.identity import partition_of
from wayline.publish import Ack, AckedPublisher, Message, StreamFull
from wayline.v1.events_pb2 import Event

SAFE_TO_REPEAT = "it is safe to send the same events again: their message ids keep them from counting twice"


class Stored(NamedTuple):
    """Where an event stands. `duplicate`: its message id was stored before, and nothing was stored now."""

    partition: int
    sequence: int
    duplicate: bool


class EventPublisher:
    """Stores events on `events.<partition>`, by customer, so that the events of one customer stay in order.

    A batch keeps its order. When a connection breaks in the middle, a first part of it is stored; the client is told
    to send it again, the first part is known by its message ids, and the rest follows in its order. That holds within
    the stream's duplicate window; beyond it, the profile's own memory of message ids keeps events from counting twice.
    """

    def __init__(self, publisher: AckedPublisher, partitions: int) -> None:
        """Publish with `publisher` to a stream of so many `partitions`."""
        self._publisher = publisher
        self._partitions = partitions
        self._subjects = tuple(map(event_subject, range(partitions)))

    async def publish(self, events: Sequence[Event]) -> list[Stored]:
        """Store the events and wait for JetStream's word; a place for each, in the same order.

        Raises:
            Retryable: the stream is away or did not answer in time.
            LimitExceeded: the stream is full.
        """
        if not events:
            return []
        partitions = [partition_of((event.user_id or event.anonymous_id).strip(), self._partitions) for event in events]
        first: dict[str, int] = {}  # message id to its place among the messages
        messages: list[Message] = []
        for event, partition in zip(events, partitions, strict=True):
            if first.setdefault(event.message_id, len(messages)) == len(messages):
                messages.append(Message(self._subjects[partition], event.SerializeToString(), event.message_id))
        acks = await self._store(messages)
        results, seen = [], 0
        for event, partition in zip(events, partitions, strict=True):
            place = first[event.message_id]
            repeated = place < seen
            seen += not repeated
            results.append(Stored(partition, acks[place].sequence, repeated or acks[place].duplicate))
        return results

    async def _store(self, messages: list[Message]) -> list[Ack]:
        try:
            return await self._publisher.publish(messages)
        except StreamFull as error:
            raise LimitExceeded(
                f"the event stream is full, and accepted events are not forgotten to make room ({error}). "
                "Raise WAYLINE_EVENTS_MAX_BYTES or lower WAYLINE_EVENTS_MAX_AGE_SECONDS, and restart ingestion"
            ) from error
        except Retryable as error:
            raise Retryable(f"the event stream cannot be reached ({error}); {SAFE_TO_REPEAT}") from error
