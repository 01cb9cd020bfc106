"""Refused events, kept with their reasons until they are redriven or grow too old."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from wayline.bus import DEAD_LETTERS
from wayline.errors import InvalidField, NotFound, Retryable
from wayline.publish import AckedPublisher, Message
from wayline.v1.ingestion_pb2 import RejectedEvent

_REASON = re.compile(r"[a-z][a-z_]{0,31}")
_READ_SUBJECT = f"$JS.API.DIRECT.GET.{DEAD_LETTERS}"
_TIMEOUT_SECONDS = 5.0
_NOT_DELETED = 10057


class DeadLetters:
    """The stream of refused events: subject `rejected.<reason>`, one `RejectedEvent` each."""

    def __init__(self, publisher: AckedPublisher, client: Client) -> None:
        """Write with `publisher`; read and delete on `client`."""
        self._publisher = publisher
        self._client = client
        self._js = client.jetstream()

    async def keep(self, letters: Sequence[RejectedEvent]) -> None:
        """Store them, and wait until they are stored.

        Raises:
            Retryable: the stream is away or did not answer in time.
        """
        await self._publisher.publish([_message(letter) for letter in letters])

    async def total(self) -> int:
        """How many are held."""
        async with self._reaching():
            return (await self._js.stream_info(DEAD_LETTERS)).state.messages

    async def oldest(self, after_sequence: int, limit: int, reason: str, max_bytes: int) -> list[RejectedEvent]:
        """At most `limit` letters from after a sequence, oldest first, of one `reason` unless that is empty.

        They end with the letter that reaches `max_bytes`.

        Raises:
            InvalidField: the reason is none.
        """
        if reason and not _REASON.fullmatch(reason):
            raise InvalidField("reason", "expected a reason such as 'missing': lower-case letters and underscores")
        # One request, many answers (NATS 2.11): nats-py has no method for it, and one `get_msg` each takes 0.3 ms.
        request = {
            "batch": limit,
            "seq": after_sequence + 1,
            "next_by_subj": f"rejected.{reason or '*'}",
            "max_bytes": max_bytes,
        }
        letters: list[RejectedEvent] = []
        async with self._reaching():
            inbox = self._client.new_inbox()
            answers = await self._client.subscribe(inbox)
            try:
                await self._client.publish(_READ_SUBJECT, json.dumps(request).encode(), reply=inbox)
                while True:
                    answer = await answers.next_msg(_TIMEOUT_SECONDS)
                    headers = answer.headers or {}
                    if "Status" in headers:  # 204 after the last one, 404 when there is none
                        return letters
                    letters.append(_letter(answer.data, int(headers["Nats-Sequence"])))
            finally:
                await answers.unsubscribe()

    async def get(self, sequences: Iterable[int]) -> list[RejectedEvent]:
        """These letters.

        Raises:
            NotFound: one of them is not held.
        """
        letters = []
        for index, sequence in enumerate(sequences):
            try:
                async with self._reaching():
                    stored = await self._js.get_msg(DEAD_LETTERS, sequence)
            except nats.js.errors.NotFoundError:
                raise NotFound(f"sequences[{index}]: no dead letter {sequence} is held") from None
            letters.append(_letter(stored.data or b"", sequence))
        return letters

    async def delete(self, sequence: int) -> None:
        """Forget a letter. One that is gone already is no error."""
        try:
            async with self._reaching():
                await self._js.delete_msg(DEAD_LETTERS, sequence)
        except nats.js.errors.ServerError as error:
            if error.err_code != _NOT_DELETED:
                raise

    @asynccontextmanager
    async def _reaching(self) -> AsyncIterator[None]:
        """NATS that is away is told as Retryable."""
        if not self._client.is_connected:
            raise Retryable("NATS cannot be reached")
        try:
            yield
        except (nats.errors.Error, OSError) as error:
            away = isinstance(error, nats.js.errors.ServiceUnavailableError)
            if isinstance(error, nats.js.errors.APIError) and not away:
                raise
            raise Retryable(f"the dead letters cannot be reached: {error!r}") from error


def _message(letter: RejectedEvent) -> Message:
    """The same event, refused for the same reason, is kept once within the stream's duplicate window."""
    identity = letter.rejection.reason.encode() + b"\0" + letter.event.SerializeToString(deterministic=True)
    message_id = blake2b(identity, digest_size=16).hexdigest()
    return Message(f"rejected.{letter.rejection.reason}", letter.SerializeToString(), message_id)


def _letter(data: bytes, sequence: int) -> RejectedEvent:
    letter = RejectedEvent.FromString(data)
    letter.sequence = sequence
    return letter
