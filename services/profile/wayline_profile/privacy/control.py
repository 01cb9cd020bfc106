"""Control events, of staff and of customers' rights: the profile service writes them to the event stream itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from wayline.bus import event_subject
from wayline.identity import partition_of
from wayline.publish import AckedPublisher, Message
from wayline.v1 import events_pb2


class ControlEvents:
    """Publishes them. They name identity keys, so the partition is by the first of these."""

    def __init__(self, publisher: AckedPublisher, partitions: int) -> None:
        """Publish to a stream of so many partitions."""
        self._publisher = publisher
        self._partitions = partitions

    async def publish_erasure(self, erasure: events_pb2.Erasure, at: datetime) -> events_pb2.EventToken:
        """An erasure. Publishing it again changes nothing: it is folded once.

        Raises:
            Retryable: the event stream cannot be reached.
            LimitExceeded: it is full.
        """
        name = erasure.erasure_id or f"age-{erasure.identity_keys[0].hex()}-{erasure.received_until_ms}"
        event = events_pb2.Event(
            message_id=f"erasure-{name}", type=events_pb2.EVENT_TYPE_ERASURE, source="wayline", erasure=erasure
        )
        return await self._publish(event, erasure.identity_keys[0], at)

    async def publish_readmission(self, keys: Sequence[bytes], since_ms: int, message_id: str, at: datetime) -> None:
        """Erased identifiers are taken again: those whose last erasure was received at `since_ms`.

        Raises:
            Retryable, LimitExceeded: as in `publish_erasure`.
        """
        event = events_pb2.Event(
            message_id=f"readmission-{message_id}",
            type=events_pb2.EVENT_TYPE_ERASURE,
            source="wayline",
            erasure=events_pb2.Erasure(identity_keys=keys, readmits_since_ms=since_ms),
        )
        await self._publish(event, keys[0], at)

    async def publish_restrictions(
        self, keys: Sequence[bytes], restricted: bool, message_id: str, at: datetime
    ) -> events_pb2.EventToken:
        """Restrict, or release, a customer: an event for each identity key, so that a later unmerge keeps it on both.

        `message_id` is new for each word of staff. The token is that of the first: from then on the profile has it.

        Raises:
            Retryable, LimitExceeded: as in `publish_erasure`. Some may be stored: restrict again.
        """
        events = [
            events_pb2.Event(
                message_id=f"restriction-{message_id}-{key.hex()}",
                type=events_pb2.EVENT_TYPE_RESTRICTION,
                source="wayline",
                restriction=events_pb2.Restriction(identity_key=key, restricted=restricted),
            )
            for key in keys
        ]
        messages = [self._message(event, key, at) for event, key in zip(events, keys, strict=True)]
        acks = await self._publisher.publish(messages)
        partition = partition_of(keys[0].hex(), self._partitions)
        return events_pb2.EventToken(partition=partition, sequence=acks[0].sequence)

    async def publish_ruling(self, ruling: events_pb2.Ruling, message_id: str, at: datetime) -> events_pb2.EventToken:
        """A ruling. `message_id` is new for each word of staff.

        Raises:
            Retryable, LimitExceeded: as in `publish_erasure`.
        """
        event = events_pb2.Event(
            message_id=f"ruling-{message_id}", type=events_pb2.EVENT_TYPE_RULING, source="wayline", ruling=ruling
        )
        return await self._publish(event, ruling.one, at)

    async def _publish(self, event: events_pb2.Event, key: bytes, at: datetime) -> events_pb2.EventToken:
        (ack,) = await self._publisher.publish([self._message(event, key, at)])
        return events_pb2.EventToken(partition=partition_of(key.hex(), self._partitions), sequence=ack.sequence)

    def _message(self, event: events_pb2.Event, key: bytes, at: datetime) -> Message:
        event.timestamp.FromDatetime(at)
        event.received_at.FromDatetime(at)
        partition = partition_of(key.hex(), self._partitions)
        return Message(event_subject(partition), event.SerializeToString(), event.message_id)
