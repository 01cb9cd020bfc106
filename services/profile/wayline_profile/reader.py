"""Reads partitions of the event stream in order, each from its position, without gaps.

The positions live in the profile store, so the consumer at the server is ephemeral and acknowledges nothing. That
makes it the reader's duty to notice what got lost on the way (a connection that broke, a server that restarted):
deliveries are numbered, and after a gap, or silence, it starts a new consumer at the lowest position.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import nats.errors
from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from wayline import logging
from wayline.bus import EVENT_SUBJECTS, EVENTS, event_subject
from wayline.errors import WaylineError
from wayline.v1 import events_pb2
from wayline_profile.core.changes import Read

_WINDOW = 4_000
"""Messages that wait here, or are under way, at most. Half of them are asked for while the others are folded."""
_WINDOW_BYTES = 32 << 20
"""The same in bytes. Half of it holds any message: NATS takes none above 8 MiB."""
_BATCH_BYTES = 4 << 20
"""Of events that are folded at once, but for the last of them."""
_HEARTBEAT_SECONDS = 2.0
_EXPIRES_SECONDS = 30.0
_NANO = 1_000_000_000
_ALL_SENT = "Batch Completed"
_TOO_LARGE = "Message Size Exceeds MaxBytes"
log = logging.get("reader")


class StreamBehindStore(WaylineError):
    """The stream ends before a position of the store: it was deleted or restored from an older copy."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read: events, and how far in which partition; `poison` could not be read at all."""

    events: list[Read]
    positions: dict[int, int]
    poison: int

    def halves(self) -> Iterator[Batch]:
        """The same in two. The first half goes as far as its events do, the second takes the rest."""
        middle = len(self.events) // 2
        # Events come in the order of the stream: of each partition the last is the furthest.
        yield Batch(self.events[:middle], {one.partition: one.sequence for one in self.events[:middle]}, 0)
        yield Batch(self.events[middle:], self.positions, self.poison)


class EventReader:
    """One ordered pass over some partitions, or all."""

    def __init__(self, nc: Client, js: JetStreamContext, positions: Mapping[int, int], *, whole: bool) -> None:
        """Start after the `positions`, by partition. `whole`: these are all partitions."""
        self._nc = nc
        self._js = js
        self._positions = dict(positions)
        self._subjects = [EVENT_SUBJECTS] if whole else [event_subject(one) for one in sorted(positions)]
        self._arrived: deque[Msg] = deque()
        self._arrived_bytes = 0
        self._wake = asyncio.Event()
        self._subscription: Subscription | None = None
        self._consumer = ""
        self._expected = 1
        self._under_way = 0
        self._broken = True

    def reset(self) -> None:
        """Start a new consumer before the next read: the connection was lost."""
        self._broken = True
        self._wake.set()

    async def read(self, at_most: int) -> Batch:
        """The next events, at least one message; waits for them as long as it takes.

        Raises:
            StreamBehindStore: the stream does not reach as far as the position.
        """
        while True:
            if self._broken:
                await self._restart()
            self._wake.clear()
            if batch := await self.take(at_most):
                return batch
            if self._arrived or self._broken:
                continue
            try:
                await asyncio.wait_for(self._wake.wait(), 3 * _HEARTBEAT_SECONDS)
            except TimeoutError:
                self._fell_silent()

    async def take(self, at_most: int) -> Batch | None:
        """The next events of those that have arrived; None: there are none, or they cannot be trusted. More are asked
        for before these are folded.
        """
        batch = None if self._broken or not self._arrived else self._take(at_most)
        if not self._broken:
            await self._request()
        return batch if batch and batch.positions else None

    async def close(self) -> None:
        """Stop reading. Twice is safe."""
        if self._subscription:
            subscription, self._subscription = self._subscription, None
            try:
                await subscription.unsubscribe()
            except nats.errors.Error as error:
                log.debug("unsubscribe", error=repr(error))

    def _take(self, at_most: int) -> Batch:
        events: list[Read] = []
        last = poison = 0
        least_left = self._arrived_bytes - _BATCH_BYTES
        while self._arrived and len(events) < at_most and self._arrived_bytes > least_left:
            message = self._arrived.popleft()
            self._arrived_bytes -= len(message.data)
            sequence, number = _numbers(message.reply)
            if number != self._expected:
                log.warning("event_reader_gap", expected=self._expected, got=number)
                self._broken = True
                break
            self._expected += 1
            last = sequence
            partition = int(message.subject.rsplit(".", 1)[1])
            if sequence <= self._positions.get(partition, 0):
                continue  # read before: another partition of this pass stands further back
            try:
                event = events_pb2.Event.FromString(message.data)
            except DecodeError:
                poison += 1
                log.error("poison_event", sequence=sequence, bytes=len(message.data))
                continue
            events.append(Read(partition, sequence, event, message.data))
        # All partitions of the pass are read so far: what comes in one of them comes later in the stream.
        moved = {partition: last for partition, position in self._positions.items() if position < last}
        self._positions |= moved
        return Batch(events, moved, poison)

    def _take_status(self, message: Msg) -> None:
        headers = message.headers or {}
        status, description = headers.get("Status", ""), headers.get("Description", "")
        if status == "100" or description == _ALL_SENT:
            return  # what was asked for has been counted as it came
        if status in ("404", "408") or description == _TOO_LARGE:
            self._under_way = 0  # the request is over, before all that it asked for
            return
        log.warning("event_reader_status", status=status, description=description)
        self._broken = True

    async def _request(self) -> None:
        """Ask for what there is room for. One request after the other: then its end says that nothing is under way."""
        if self._under_way or len(self._arrived) > _WINDOW // 2 or self._arrived_bytes > _WINDOW_BYTES // 2:
            return
        self._under_way = _WINDOW - len(self._arrived)
        body = {
            "batch": self._under_way,
            "max_bytes": _WINDOW_BYTES - self._arrived_bytes,
            "expires": int(_EXPIRES_SECONDS * _NANO),
            "idle_heartbeat": int(_HEARTBEAT_SECONDS * _NANO),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.{self._consumer}"
        reply = self._subscription.subject if self._subscription else ""
        try:
            await self._nc.publish(subject, json.dumps(body).encode(), reply=reply)
        except nats.errors.Error:
            self._fell_silent()

    def _fell_silent(self) -> None:
        log.warning("event_reader_silent", position=self._begins())
        self._broken = True

    async def _restart(self) -> None:
        await self.close()
        self._arrived.clear()
        self._arrived_bytes = 0
        while True:
            try:
                await self._start()
            except (nats.errors.Error, APIError, TimeoutError) as error:
                log.warning("event_reader_waits", error=repr(error))
                await asyncio.sleep(0.25)
            else:
                return

    async def _start(self) -> None:
        state = (await self._js.stream_info(EVENTS)).state
        furthest, begins = max(self._positions.values()), self._begins()
        if state.last_seq < furthest:
            raise StreamBehindStore(
                f"the event stream ends at {state.last_seq}, the profile store has read up to {furthest}. "
                "Restore the stream, or start with an empty profile store"
            )
        if state.first_seq > begins + 1 and state.messages:
            log.error("events_expired_unread", position=begins, first=state.first_seq)
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=begins + 1,
            filter_subjects=self._subjects,
            inactive_threshold=60.0,
            mem_storage=True,
            num_replicas=1,
        )
        self._consumer = (await self._js.add_consumer(EVENTS, config)).name
        self._subscription = await self._nc.subscribe(
            self._nc.new_inbox(), cb=self._arrive, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        self._expected = 1
        self._under_way = 0
        self._broken = False
        log.info("event_reader_started", position=begins, partitions=len(self._positions))

    def _begins(self) -> int:
        return min(self._positions.values())

    async def _arrive(self, message: Msg) -> None:
        if message.headers and not message.reply:
            self._take_status(message)
        else:
            self._under_way -= 1
            self._arrived_bytes += len(message.data)
            self._arrived.append(message)
        self._wake.set()


async def unread(js: JetStreamContext, positions: Mapping[int, int]) -> int:
    """How many events of the partitions stand behind the positions. Partitions that all stand at one place: counted by
    their sequences, which includes events that were deleted since.

    Raises:
        nats.errors.Error, APIError, TimeoutError: the stream cannot be reached.
    """
    last = (await js.stream_info(EVENTS)).state.last_seq
    places = set(positions.values())
    if len(places) <= 1:
        return max(0, last - max(places, default=0))
    found = 0
    for place in places:
        if place < last:
            found += await _unread_behind(js, place, [one for one, position in positions.items() if position == place])
    return found


async def _unread_behind(js: JetStreamContext, position: int, partitions: list[int]) -> int:
    config = ConsumerConfig(
        ack_policy=AckPolicy.NONE,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=position + 1,
        filter_subjects=[event_subject(one) for one in partitions],
        inactive_threshold=5.0,
        mem_storage=True,
        num_replicas=1,
    )
    consumer = await js.add_consumer(EVENTS, config)
    await js.delete_consumer(EVENTS, consumer.name)
    return consumer.num_pending or 0


def _numbers(reply: str) -> tuple[int, int]:
    """Stream sequence and delivery number from the reply subject, which ends …delivered.stream.consumer.time.pending
    (and, in its longer form, a token).
    """
    tokens = reply.split(".")
    at = 5 if len(tokens) == 9 else 7
    return int(tokens[at]), int(tokens[at + 1])
