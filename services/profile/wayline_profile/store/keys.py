"""How every store names what it keeps: short digests, so that no key grows with what a sender wrote."""

from __future__ import annotations

from hashlib import blake2b


def message_key(message_id: str) -> bytes:
    """16 bytes for a message id, among all that are remembered."""
    return blake2b(message_id.encode(), digest_size=16).digest()


def entry_key(message_id: str) -> bytes:
    """8 bytes for a message id, among a customer's events of one millisecond. Timelines are ordered by it last."""
    return blake2b(message_id.encode(), digest_size=8).digest()
