"""What becomes of the events of a call: stored, known already, or refused and kept as dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from wayline import logging
from wayline.errors import InvalidField, Retryable
from wayline.v1 import ingestion_pb2
from wayline.v1.events_pb2 import Event, EventToken
from wayline.v1.ingestion_pb2 import EventResult, RejectedEvent, Rejection
from wayline_ingestion import codec
from wayline_ingestion.core.validate import MAX_EVENT_BYTES, MAX_NAME_CHARACTERS, validate
from wayline_ingestion.dead_letters import DeadLetters
from wayline_ingestion.publisher import SAFE_TO_REPEAT, EventPublisher, Stored

LIST_MAX_BYTES = 3 << 20
"""What one list of dead letters may hold: clients of gRPC take 4 MiB unless told otherwise."""

MAX_LETTERS = 1_000
_DEFAULT_LETTERS = 100
_KEPT_IN_PART = frozenset({"too_large", "unreadable"})

log = logging.get("collector")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one call."""

    max_events: int = 1_000
    max_event_bytes: int = MAX_EVENT_BYTES


class Collector:
    """The use cases of ingestion. `clock` gives nanoseconds since 1970."""

    def __init__(
        self, events: EventPublisher, dead_letters: DeadLetters, limits: Limits, clock: Callable[[], int]
    ) -> None:
        """Store good events with `events` and the others with `dead_letters`."""
        self._events = events
        self._dead_letters = dead_letters
        self._limits = limits
        self._clock = clock

    async def collect(self, call: bytes) -> list[EventResult]:
        """A result for each event of an encoded call, in its order.

        Raises:
            InvalidField: the call cannot be read, or holds no events.
            LimitExceeded: the call holds too many events, or the stream is full.
            Retryable: a stream is away. The same call can be sent again.
        """
        started = self._clock()
        received_at = _timestamp(started)
        good: list[Event] = []
        letters: dict[int, RejectedEvent] = {}
        for index, piece in enumerate(codec.split(call, self._limits.max_events)):
            event = codec.read(piece)
            rejection = self._judge(event, f"events[{index}]", started, len(piece))
            if event is not None and rejection is None:
                event.received_at.CopyFrom(received_at)
                good.append(event)
            else:
                kept = codec.keepsake(event or Event(), self._limits.max_event_bytes)
                letters[index] = RejectedEvent(rejection=rejection, event=kept, rejected_at=received_at)
        stored = await self._events.publish(good)
        if letters:
            await self._keep(list(letters.values()))
        self._report(stored, letters.values(), len(call), started)
        return _results(zip(good, stored, strict=True), letters)

    async def rejected(self, after_sequence: int, limit: int, reason: str) -> tuple[list[RejectedEvent], int]:
        """Dead letters, oldest first, and how many are held in all.

        Raises:
            InvalidField: an argument is out of its range.
            Retryable: the stream is away.
        """
        if after_sequence < 0:
            raise InvalidField("after_sequence", "expected 0 or more")
        if not 0 <= limit <= MAX_LETTERS:
            raise InvalidField("limit", f"expected 1 to {MAX_LETTERS:,}, or 0 for {_DEFAULT_LETTERS}")
        letters = await self._dead_letters.oldest(after_sequence, limit or _DEFAULT_LETTERS, reason, LIST_MAX_BYTES)
        return letters, await self._dead_letters.total()

    async def redrive(self, sequences: Sequence[int], reason: str) -> tuple[int, int]:
        """Try dead letters again: how many are stored now, and how many were refused again and stay.

        Raises:
            InvalidField: there are too many sequences, or the reason is none.
            NotFound: a sequence is not held; nothing was done.
            LimitExceeded, Retryable: as in `collect`; what is stored by then counts once when it is redriven again.
        """
        if len(sequences) > MAX_LETTERS:
            raise InvalidField("sequences", f"expected at most {MAX_LETTERS:,}, got {len(sequences):,}")
        if sequences:
            named = await self._dead_letters.get(dict.fromkeys(sequences))
            return await self._redrive([one for one in named if reason in ("", one.rejection.reason)])
        accepted = rejected = after = 0
        while (left := MAX_LETTERS - accepted - rejected) > 0:
            page = await self._dead_letters.oldest(after, left, reason, LIST_MAX_BYTES)
            if not page:
                break
            passed, refused = await self._redrive(page)
            accepted, rejected, after = accepted + passed, rejected + refused, page[-1].sequence
        return accepted, rejected

    async def _redrive(self, letters: Sequence[RejectedEvent]) -> tuple[int, int]:
        now = self._clock()
        passing = [letter for letter in letters if self._passes(letter, now)]
        for letter in passing:
            letter.event.received_at.CopyFrom(_timestamp(now))
        await self._events.publish([letter.event for letter in passing])
        for letter in passing:  # only now: a letter that is stored twice counts once, one that is lost never
            await self._dead_letters.delete(letter.sequence)
        log.info("redriven", accepted=len(passing), rejected=len(letters) - len(passing))
        return len(passing), len(letters) - len(passing)

    def _passes(self, letter: RejectedEvent, now: int) -> bool:
        if letter.rejection.reason in _KEPT_IN_PART:
            return False
        return self._judge(letter.event, "event", now, letter.event.ByteSize()) is None

    def _judge(self, event: Event | None, field: str, now: int, encoded_bytes: int) -> Rejection | None:
        if event is None:
            expected = "expected an encoded Event: text in UTF-8, nested less than 100 messages deep"
            return Rejection(reason="unreadable", field=field, expected=expected)
        return validate(event, field, now / 1e9, encoded_bytes=encoded_bytes, max_bytes=self._limits.max_event_bytes)

    async def _keep(self, letters: list[RejectedEvent]) -> None:
        try:
            await self._dead_letters.keep(letters)
        except Retryable as error:
            raise Retryable(f"the dead-letter stream cannot be reached ({error}); {SAFE_TO_REPEAT}") from error

    def _report(
        self, stored: Sequence[Stored], letters: Iterable[RejectedEvent], call_bytes: int, started: int
    ) -> None:
        duplicates = sum(one.duplicate for one in stored)
        log.info(
            "collected",
            accepted=len(stored) - duplicates,
            duplicates=duplicates,
            rejected=dict(Counter(letter.rejection.reason for letter in letters)),
            bytes=call_bytes,
            ms=round((self._clock() - started) / 1e6, 3),
        )


def _results(good: Iterable[tuple[Event, Stored]], letters: Mapping[int, RejectedEvent]) -> list[EventResult]:
    """The results of the good events, with those of the refused put in where they stood."""
    results = [
        EventResult(
            message_id=event.message_id,
            status=ingestion_pb2.EVENT_STATUS_DUPLICATE if stored.duplicate else ingestion_pb2.EVENT_STATUS_ACCEPTED,
            token=EventToken(partition=stored.partition, sequence=stored.sequence),
        )
        for event, stored in good
    ]
    for index, letter in letters.items():  # in rising order: each finds its place
        result = EventResult(
            message_id=letter.event.message_id[:MAX_NAME_CHARACTERS],
            status=ingestion_pb2.EVENT_STATUS_REJECTED,
            rejection=letter.rejection,
        )
        results.insert(index, result)
    return results


def _timestamp(nanoseconds: int) -> Timestamp:
    return Timestamp(seconds=nanoseconds // 1_000_000_000, nanos=nanoseconds % 1_000_000_000)
