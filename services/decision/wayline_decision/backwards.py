"""Decision records from the newest bundle to the oldest: who looks for the latest need not read all of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import NamedTuple

from google.protobuf.message import DecodeError
from nats.aio.client import Client

from wayline import logging, streams
from wayline.bus import DECISIONS
from wayline.errors import NotFound
from wayline.v1 import decision_pb2

_FIRST_MESSAGES, _MOST_MESSAGES = 16, 2_048
"""A message has some 512 KiB at most."""
_ENOUGH_BYTES = 4 << 20
_TOO_MANY_BYTES = 16 << 20
log = logging.get("backwards")


class Window(NamedTuple):
    """Bundles that stand one after the other in the stream.

    What was decided is stored afterwards: no record of a later window was decided after `stored_since`, but for the
    clocks of two machines.
    """

    records: list[decision_pb2.DecisionRecord]
    stored_since: datetime
    done: int
    """How far it is through what is to be read, of `total`."""
    total: int


async def windows(client: Client, since: datetime | None) -> AsyncGenerator[Window]:
    """All records that are stored since a time and now, some MiB at a time; those of the newest window first.

    A bundle that was written anew, without the decisions for a customer who was erased, stands where it was written.
    For a moment both it and the old one are there: a decision may come twice.

    Raises:
        NotFound: nothing was ever recorded.
        Retryable: NATS cannot be reached.
    """
    held = await streams.state(client, DECISIONS)
    if held is None:
        raise NotFound(f"the stream {DECISIONS} does not exist: nothing was recorded yet")
    first, last, size = held.first_seq, held.last_seq, _FIRST_MESSAGES
    if since is not None:
        found = await streams.page(client, DECISIONS, since=since, at_most=1)
        first = found[0].sequence if found else last + 1
    end = last  # the last that was not read yet
    while end >= first:
        begin = max(first, end - size + 1)
        messages = await _read(client, begin, end)
        if messages is None:
            size //= 8
            continue
        end = begin - 1
        if sum(len(one.data) for one in messages) < _ENOUGH_BYTES // 2:
            size = min(size * 2, _MOST_MESSAGES)
        if messages:
            records = [record for one in messages for record in _records(one)]
            yield Window(records, _stored_at(messages[0]), last - end, last - first + 1)


async def _read(client: Client, begin: int, end: int) -> list[streams.Stored] | None:
    """The messages between two sequences; None: these are too many to hold."""
    messages: list[streams.Stored] = []
    after = begin - 1
    while after < end:
        found = await streams.page(client, DECISIONS, after=after, at_most=min(end - after, streams.PAGE_MESSAGES))
        messages += (one for one in found if one.sequence <= end)
        if end - begin >= _FIRST_MESSAGES and sum(len(one.data) for one in messages) > _TOO_MANY_BYTES:
            return None
        after = found[-1].sequence if found else end
    return messages


def _stored_at(message: streams.Stored) -> datetime:
    return datetime.fromisoformat(message.headers["Nats-Time-Stamp"]).astimezone(UTC)


def _records(message: streams.Stored) -> list[decision_pb2.DecisionRecord]:
    try:
        return list(decision_pb2.DecisionRecordBundle.FromString(message.data).records)
    except DecodeError:
        log.error("decision_records_unreadable", sequence=message.sequence)
        return []
