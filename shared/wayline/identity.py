"""Identity keys: how a customer's identifiers are compared, stored and spread over partitions."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from wayline.errors import InvalidField
from wayline.v1 import events_pb2

KINDS = ("user_id", "email", "anonymous_id")
"""Known kinds of identifier, foremost first: a profile is named after its foremost identifier."""

KEY_BYTES = 16
MAX_VALUE_CHARACTERS = 256
_RANK = {kind: rank for rank, kind in enumerate(KINDS)}


def normalise(kind: str, value: str) -> str:
    """The form of `value` that is compared: e-mail addresses in lower case, everything without outer blanks."""
    value = value.strip()
    return value.lower() if kind == "email" else value


def identity_key(kind: str, value: str) -> bytes:
    """16 bytes, BLAKE2b of kind, a zero byte and the normalised value: no personal data travels in keys and logs."""
    return blake2b(f"{kind}\0{normalise(kind, value)}".encode(), digest_size=KEY_BYTES).digest()


def check_identifier(identifier: events_pb2.Identifier, field: str) -> bytes:
    """The identity key of an identifier from outside.

    Raises:
        InvalidField: the kind is not known, or the value is empty or too long.
    """
    if not identifier.kind and not identifier.value:
        raise InvalidField(field, "an identifier of the customer is required: a kind (user_id, …) and a value")
    if identifier.kind not in _RANK:
        raise InvalidField(f"{field}.kind", f"expected one of {', '.join(KINDS)}, got '{identifier.kind[:64]}'")
    if not identifier.value.strip() or len(identifier.value) > MAX_VALUE_CHARACTERS:
        raise InvalidField(f"{field}.value", f"expected 1 to {MAX_VALUE_CHARACTERS} characters")
    return identity_key(identifier.kind, identifier.value)


def foremost(identifiers: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """The identifier that names the profile: of the foremost kind, and of that the smallest value.

    It does not depend on the order in which identifiers became known.
    """
    return min(identifiers, key=lambda pair: (_RANK[pair[0]], pair[1]))


def partition_of(primary_id: str, partitions: int) -> int:
    """The partition, 0 to `partitions` - 1, of an event: a stable hash of its user id, else its anonymous id."""
    return int.from_bytes(blake2b(primary_id.encode(), digest_size=4).digest(), "big") % partitions
