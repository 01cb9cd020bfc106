"""Reads the event stream in order, from a position, without gaps.

The position lives in the profile store, so the consumer at the server is ephemeral and acknowledges nothing. That
makes it the reader's duty to notice what got lost on the way (a connection that broke, a server that restarted):
deliveries are numbered, and after a gap, or silence, it starts a new consumer at the position.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
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
from wayline.bus import EVENT_SUBJECTS, EVENTS
from wayline.errors import WaylineError
from wayline.v1 import events_pb2
from wayline_profile.core.projector import Read

_WINDOW = 2_000
"""Messages that may be under way at once."""
_HEARTBEAT_SECONDS = 2.0
_EXPIRES_SECONDS = 30.0
_NANO = 1_000_000_000
log = logging.get("reader")


class StreamBehindStore(WaylineError):
    """The stream ends before the store's position: it was deleted or restored from an older copy."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read: events, and up to which sequence; `poison` could not be read at all."""

    events: list[Read]
    last_sequence: int
    poison: int


class EventReader:
    """One ordered pass over all partitions."""

    def __init__(self, nc: Client, js: JetStreamContext, position: int) -> None:
        """Start after `position`."""
        self._nc = nc
        self._js = js
        self._position = position
        self._arrived: deque[Msg] = deque()
        self._wake = asyncio.Event()
        self._subscription: Subscription | None = None
        self._consumer = ""
        self._expected = 1
        self._requested = 0
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
            if self._arrived:
                batch = self._take(at_most)
                if batch.last_sequence:
                    return batch
                continue
            self._wake.clear()
            try:
                await self._request()
                await asyncio.wait_for(self._wake.wait(), 3 * _HEARTBEAT_SECONDS)
            except (TimeoutError, nats.errors.Error):
                log.warning("event_reader_silent", position=self._position)
                self._broken = True

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
        while self._arrived and len(events) < at_most:
            message = self._arrived.popleft()
            if message.headers and not message.reply:
                self._take_status(message)
                continue
            sequence, number = _numbers(message.reply)
            if number != self._expected:
                log.warning("event_reader_gap", expected=self._expected, got=number)
                self._broken = True
                self._arrived.clear()
                break
            self._expected += 1
            self._requested -= 1
            self._position = last = sequence
            try:
                event = events_pb2.Event.FromString(message.data)
            except DecodeError:
                poison += 1
                log.error("poison_event", sequence=sequence, bytes=len(message.data))
                continue
            events.append(Read(int(message.subject.rsplit(".", 1)[1]), sequence, event, message.data))
        return Batch(events, last, poison)

    def _take_status(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status", "")
        if status == "100":
            return
        if status in ("404", "408"):
            self._requested -= int(headers.get("Nats-Pending-Messages", self._requested))
            return
        log.warning("event_reader_status", status=status, description=headers.get("Description", ""))
        self._broken = True

    async def _request(self) -> None:
        if self._requested > _WINDOW // 2:
            return
        batch = _WINDOW - self._requested
        self._requested += batch
        body = {
            "batch": batch,
            "expires": int(_EXPIRES_SECONDS * _NANO),
            "idle_heartbeat": int(_HEARTBEAT_SECONDS * _NANO),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.{self._consumer}"
        reply = self._subscription.subject if self._subscription else ""
        await self._nc.publish(subject, json.dumps(body).encode(), reply=reply)

    async def _restart(self) -> None:
        await self.close()
        self._arrived.clear()
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
        if state.last_seq < self._position:
            raise StreamBehindStore(
                f"the event stream ends at {state.last_seq}, the profile store has read up to {self._position}. "
                "Restore the stream, or start with an empty profile store"
            )
        if state.first_seq > self._position + 1 and state.messages:
            log.error("events_expired_unread", position=self._position, first=state.first_seq)
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._position + 1,
            filter_subject=EVENT_SUBJECTS,
            inactive_threshold=60.0,
            mem_storage=True,
            num_replicas=1,
        )
        self._consumer = (await self._js.add_consumer(EVENTS, config)).name
        self._subscription = await self._nc.subscribe(
            self._nc.new_inbox(), cb=self._arrive, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        self._expected = 1
        self._requested = 0
        self._broken = False
        log.info("event_reader_started", position=self._position)

    async def _arrive(self, message: Msg) -> None:
        self._arrived.append(message)
        self._wake.set()


def _numbers(reply: str) -> tuple[int, int]:
    """Stream sequence and delivery number from the reply subject, which ends …delivered.stream.consumer.time.pending
    (and, in its longer form, a token).
    """
    tokens = reply.split(".")
    at = 5 if len(tokens) == 9 else 7
    return int(tokens[at]), int(tokens[at + 1])
