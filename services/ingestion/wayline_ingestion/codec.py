"""The wire form of a batch, taken apart event by event.

`CollectRequest.FromString` would read all or nothing: one event with bytes that are no UTF-8, or nested deeper than
protobuf reads, would take its whole batch with it, and 16 MiB of empty events would become a gigabyte of objects
before anyone could count them.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from wayline.errors import InvalidField, LimitExceeded
from wayline.v1.events_pb2 import Event

_EVENTS_TAG = 0x0A  # field 1, length-delimited: `repeated Event events = 1`
_VARINT, _EIGHT_BYTES, _LENGTH_DELIMITED, _FOUR_BYTES = 0, 1, 2, 5


def split(call: bytes, max_events: int) -> list[bytes]:
    """The encoded events of an encoded `CollectRequest` or `CollectStreamRequest`.

    Raises:
        InvalidField: there are no events, or the bytes are not such a message.
        LimitExceeded: there are more than `max_events`.
    """
    pieces: list[bytes] = []
    position, end = 0, len(call)
    while position < end:
        tag, position = _varint(call, position)
        start, position = _value(call, tag & 7, position)
        if tag == _EVENTS_TAG:  # other fields belong to a newer contract: left alone, as protobuf does
            if len(pieces) == max_events:
                raise LimitExceeded(f"events: expected at most {max_events:,} in one call; send smaller batches")
            pieces.append(call[start:position])
    if not pieces:
        raise InvalidField("events", f"expected 1 to {max_events:,} events, got none")
    return pieces


def read(piece: bytes) -> Event | None:
    """One event, or None when the bytes are none."""
    try:
        return Event.FromString(piece)
    except DecodeError:
        return None


def keepsake(event: Event, max_bytes: int) -> Event:
    """The event as a dead letter keeps it: whole when it is small enough, else without its body."""
    if event.ByteSize() <= max_bytes:
        return event
    kept = Event(type=event.type)
    # Names are clipped too: any of them can be what makes the event large.
    for name in ("message_id", "anonymous_id", "user_id", "previous_id", "group_id", "name", "source"):
        setattr(kept, name, getattr(event, name)[:256])
    for name in ("timestamp", "sent_at"):
        if event.HasField(name):
            getattr(kept, name).CopyFrom(getattr(event, name))
    return kept


def _value(data: bytes, wire_type: int, position: int) -> tuple[int, int]:
    """Where the value that begins at `position` has its content, and where it ends."""
    if wire_type == _LENGTH_DELIMITED:
        size, position = _varint(data, position)
    elif wire_type == _VARINT:
        size = _varint(data, position)[1] - position
    elif wire_type in (_EIGHT_BYTES, _FOUR_BYTES):
        size = 8 if wire_type == _EIGHT_BYTES else 4
    else:
        raise _unreadable()
    if position + size > len(data):
        raise _unreadable()
    return position, position + size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise _unreadable()
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _unreadable() -> InvalidField:
    return InvalidField("request", "the bytes are not a CollectRequest")
