"""What becomes of the events of a call: stored, known already, or refused and kept as dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from wayline import logging
from wayline.errors import InvalidField, Retryable
from wayline.v1 import ingestion_pb2
from wayline.v1.events_pb2 import Event
from wayline.v1.ingestion_pb2 import EventResult, RejectedEvent
from wayline_ingestion import codec
from wayline_ingestion.core.clock import nanoseconds, timestamp
from wayline_ingestion.core.judge import Judge
from wayline_ingestion.core.judgement import Judgement, Passed, Refused
from wayline_ingestion.core.tally import Tally
from wayline_ingestion.core.validate import MAX_EVENT_BYTES, MAX_NAME_CHARACTERS
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
        self,
        events: EventPublisher,
        dead_letters: DeadLetters,
        judge: Judge,
        tally: Tally,
        limits: Limits,
        clock: Callable[[], int],
    ) -> None:
        """Store what passes the `judge` with `events` and the others with `dead_letters`, and count both."""
        self._events = events
        self._dead_letters = dead_letters
        self._judge = judge
        self._tally = tally
        self._limits = limits
        self._clock = clock

    async def collect(self, call: bytes) -> list[EventResult]:
        """A result for each event of an encoded call, in its order.

        Raises:
            InvalidField: the call cannot be read, or holds no events.
            LimitExceeded: the call holds too many events, or the stream is full.
            Retryable: a stream is away. The same call can be sent again.
        """
        now = self._clock()
        passed: list[Passed] = []
        refused: dict[int, Refused] = {}
        for index, piece in enumerate(codec.split(call, self._limits.max_events)):
            judgement = self._judge.judge(codec.read(piece), f"events[{index}]", now, now, len(piece))
            if isinstance(judgement, Passed):
                passed.append(judgement)
            else:
                refused[index] = judgement
        stored = await self._events.publish([one.event for one in passed])
        letters = [self._letter(one, now) for one in refused.values() if one.keep]
        if letters:
            await self._keep(letters)
        # Counted when all of it is done: a client that is told to send the call again is not counted twice.
        self._tally.passed(((one, place.duplicate) for one, place in zip(passed, stored, strict=True)), now)
        self._tally.refused(refused.values(), now)
        self._report(stored, refused.values(), len(call), now)
        return _results(zip(passed, stored, strict=True), refused)

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
        passing: list[tuple[RejectedEvent, Passed]] = []
        unkept: list[RejectedEvent] = []
        for letter in letters:
            match self._judge_again(letter, now):
                case Passed() as passed:
                    passing.append((letter, passed))
                case Refused(keep=False):  # somebody who has withdrawn consent, or was erased, since
                    unkept.append(letter)
        stored = await self._events.publish([passed.event for _, passed in passing])
        # Only now: a letter that is stored twice counts once, one that is lost never.
        for letter in (*(letter for letter, _ in passing), *unkept):
            await self._dead_letters.delete(letter.sequence)
        found = ((passed, place.duplicate) for (_, passed), place in zip(passing, stored, strict=True))
        self._tally.passed(found, now)
        log.info("redriven", accepted=len(passing), rejected=len(letters) - len(passing), no_longer_kept=len(unkept))
        return len(passing), len(letters) - len(passing)

    def _judge_again(self, letter: RejectedEvent, now: int) -> Judgement | None:
        """None: it was not kept whole."""
        if letter.rejection.reason in _KEPT_IN_PART:
            return None
        event = Event()
        event.CopyFrom(letter.event)
        return self._judge.judge(event, "event", nanoseconds(letter.rejected_at), now, letter.event.ByteSize())

    def _letter(self, refused: Refused, now: int) -> RejectedEvent:
        kept = codec.keepsake(refused.event, self._limits.max_event_bytes)
        return RejectedEvent(rejection=refused.rejection, event=kept, rejected_at=timestamp(now))

    async def _keep(self, letters: Sequence[RejectedEvent]) -> None:
        try:
            await self._dead_letters.keep(letters)
        except Retryable as error:
            raise Retryable(f"the dead-letter stream cannot be reached ({error}); {SAFE_TO_REPEAT}") from error

    def _report(self, stored: Sequence[Stored], refused: Iterable[Refused], call_bytes: int, started: int) -> None:
        duplicates = sum(one.duplicate for one in stored)
        log.info(
            "collected",
            accepted=len(stored) - duplicates,
            duplicates=duplicates,
            rejected=dict(Counter(one.rejection.reason for one in refused)),
            bytes=call_bytes,
            ms=round((self._clock() - started) / 1e6, 3),
        )


def _results(passed: Iterable[tuple[Passed, Stored]], refused: Mapping[int, Refused]) -> list[EventResult]:
    """The results of what passed, with those of the refused put in where they stood."""
    results = []
    for one, stored in passed:
        status = ingestion_pb2.EVENT_STATUS_DUPLICATE if stored.duplicate else ingestion_pb2.EVENT_STATUS_ACCEPTED
        result = EventResult(message_id=one.event.message_id, status=status)
        token = result.token  # filled in place: an `EventToken` of its own would take as long as all the rest
        token.partition, token.sequence = stored.partition, stored.sequence
        results.append(result)
    for index, one_refused in refused.items():  # in rising order: each finds its place
        result = EventResult(
            message_id=one_refused.event.message_id[:MAX_NAME_CHARACTERS],
            status=ingestion_pb2.EVENT_STATUS_REJECTED,
            rejection=one_refused.rejection,
        )
        results.insert(index, result)
    return results
