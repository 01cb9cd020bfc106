"""Refused events, kept with their reasons until they are redriven or grow too old."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import nats.js.errors
from nats.aio.client import Client

from wayline import streams
from wayline.bus import DEAD_LETTERS
from wayline.errors import InvalidField, NotFound
from wayline.publish import AckedPublisher, Message
from wayline.v1.ingestion_pb2 import RejectedEvent

_REASON = re.compile(r"[a-z][a-z_]{0,31}")


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
        async with streams.reaching(self._client, DEAD_LETTERS):
            return (await self._js.stream_info(DEAD_LETTERS)).state.messages

    async def oldest(self, after_sequence: int, limit: int, reason: str, max_bytes: int) -> list[RejectedEvent]:
        """At most `limit` letters from after a sequence, oldest first, of one `reason` unless that is empty.

        They end with the letter that reaches `max_bytes`.

        Raises:
            InvalidField: the reason is none.
        """
        if reason and not _REASON.fullmatch(reason):
            raise InvalidField("reason", "expected a reason such as 'missing': lower-case letters and underscores")
        found = await streams.page(
            self._client,
            DEAD_LETTERS,
            after=after_sequence,
            subject=f"rejected.{reason or '*'}",
            at_most=limit,
            max_bytes=max_bytes,
        )
        return [_letter(one.data, one.sequence) for one in found]

    async def get(self, sequences: Iterable[int]) -> list[RejectedEvent]:
        """These letters.

        Raises:
            NotFound: one of them is not held.
        """
        letters = []
        for index, sequence in enumerate(sequences):
            try:
                async with streams.reaching(self._client, DEAD_LETTERS):
                    stored = await self._js.get_msg(DEAD_LETTERS, sequence)
            except nats.js.errors.NotFoundError:
                raise NotFound(f"sequences[{index}]: no dead letter {sequence} is held") from None
            letters.append(_letter(stored.data or b"", sequence))
        return letters

    async def delete(self, sequence: int) -> None:
        """Forget a letter. One that is gone already is no error."""
        await streams.delete(self._client, DEAD_LETTERS, sequence)


def _message(letter: RejectedEvent) -> Message:
    """The same event, refused for the same reason, is kept once within the stream's duplicate window."""
    identity = letter.rejection.reason.encode() + b"\0" + letter.event.SerializeToString(deterministic=True)
    message_id = blake2b(identity, digest_size=16).hexdigest()
    return Message(f"rejected.{letter.rejection.reason}", letter.SerializeToString(), message_id)


def _letter(data: bytes, sequence: int) -> RejectedEvent:
    letter = RejectedEvent.FromString(data)
    letter.sequence = sequence
    return letter
