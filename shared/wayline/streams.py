"""Reads a stream by sequence, a page at a time, and deletes from it: without a consumer, to be left and taken up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import StreamState

from wayline.errors import Retryable

PAGE_MESSAGES = 500
PAGE_BYTES = 4 << 20
_TIMEOUT_SECONDS = 10.0
_NOT_FOUND, _NOT_DELETED = 10043, 10057
_NO_MORE = ("204", "404")
"""After the last message; when there is none. Any other status is no answer, and must not pass for an empty stream."""


class Stored(NamedTuple):
    """A message of a stream."""

    sequence: int
    subject: str
    data: bytes
    headers: dict[str, str]


async def page(
    client: Client,
    stream: str,
    *,
    after: int = 0,
    since: datetime | None = None,
    subject: str = ">",
    at_most: int = PAGE_MESSAGES,
    max_bytes: int = PAGE_BYTES,
) -> list[Stored]:
    """Messages from after a sequence, or from a time on, oldest first, that match `subject`. Empty: there are no more.

    The page ends with the message that reaches `max_bytes`. The stream must allow direct reads, as ours all do.

    Raises:
        Retryable: the server did not answer in time.
    """
    start = {"seq": after + 1} if since is None else {"start_time": since.isoformat()}
    request = {"batch": at_most, "next_by_subj": subject, "max_bytes": max_bytes, **start}
    found: list[Stored] = []
    async with reaching(client, stream):
        inbox = client.new_inbox()
        answers = await client.subscribe(inbox)
        try:
            await client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), reply=inbox)
            while True:
                answer = await answers.next_msg(_TIMEOUT_SECONDS)
                headers = dict(answer.headers or {})
                if headers.get("Status") in _NO_MORE:
                    return found
                if "Status" in headers:
                    raise Retryable(f"the stream {stream} cannot be read: {headers}")
                found.append(Stored(int(headers["Nats-Sequence"]), headers["Nats-Subject"], answer.data, headers))
        finally:
            await answers.unsubscribe()


async def message(client: Client, stream: str, sequence: int) -> Stored | None:
    """The message that stands at a sequence; None: there is none.

    Raises:
        Retryable: as in `page`.
    """
    found = await page(client, stream, after=sequence - 1, at_most=1)
    return found[0] if found and found[0].sequence == sequence else None


async def state(client: Client, stream: str) -> StreamState | None:
    """What the stream holds; None: there is no such stream.

    Raises:
        Retryable: the server did not answer in time.
    """
    try:
        async with reaching(client, stream):
            return (await client.jetstream().stream_info(stream)).state
    except nats.js.errors.NotFoundError:
        return None


async def delete(client: Client, stream: str, sequence: int) -> bool:
    """Delete a message, and have the server write random bytes over it. False: it was gone already.

    Raises:
        Retryable: the server did not answer in time.
    """
    try:
        async with reaching(client, stream):
            await client.jetstream().delete_msg(stream, sequence)
    except nats.js.errors.NotFoundError:
        return False
    except nats.js.errors.APIError as error:
        refused = error.err_code == _NOT_DELETED and "not permitted" in (error.description or "")
        if refused or error.err_code not in (_NOT_FOUND, _NOT_DELETED):
            raise
        return False
    return True


@asynccontextmanager
async def reaching(client: Client, stream: str) -> AsyncIterator[None]:
    """A server that is away is told as Retryable; what it refuses is not."""
    if not client.is_connected:
        raise Retryable("NATS cannot be reached")
    try:
        yield
    except (nats.errors.Error, OSError) as error:
        away = isinstance(error, nats.js.errors.ServiceUnavailableError)
        if isinstance(error, nats.js.errors.APIError) and not away:
            raise
        raise Retryable(f"the stream {stream} cannot be reached: {error!r}") from error
