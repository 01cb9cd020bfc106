"""How every store names what it keeps: short digests, so that no key grows with what a sender wrote."""

from __future__ import annotations

import struct
from hashlib import blake2b

from wayline.identity import KEY_BYTES

_TIME = struct.Struct(">Q")
_SIGN = 1 << 63  # so that times before 1970 sort first


def message_key(message_id: str) -> bytes:
    """16 bytes for a message id, among all that are remembered."""
    return blake2b(message_id.encode(), digest_size=16).digest()


def entry_key(message_id: str) -> bytes:
    """8 bytes for a message id, among a customer's events of one millisecond. Timelines are ordered by it last."""
    return blake2b(message_id.encode(), digest_size=8).digest()


def place_of(key: bytes, at_ms: int, entry: bytes) -> bytes:
    """Where a line of a timeline stands among all: by identity key, time, and message."""
    return key + _TIME.pack(at_ms + _SIGN) + entry


def parts_of_place(place: bytes) -> tuple[bytes, int, bytes]:
    """The identity key, the time in ms, and the message's key, of a place."""
    time_end = KEY_BYTES + _TIME.size
    return place[:KEY_BYTES], _TIME.unpack(place[KEY_BYTES:time_end])[0] - _SIGN, place[time_end:]
