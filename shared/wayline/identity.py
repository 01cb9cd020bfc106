"""Identity keys: how a customer's identifiers are compared, stored and spread over partitions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from hashlib import blake2b

from wayline.errors import InvalidField
from wayline.v1 import events_pb2

KINDS = ("user_id", "email", "phone", "loyalty_card", "device_id", "anonymous_id")
"""Built-in kinds of identifier, foremost first: a profile is named after its foremost identifier. Kinds that a
catalogue declares come between loyalty_card and device_id, by name."""

KEY_BYTES = 16
MAX_VALUE_CHARACTERS = 256
_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DECLARED = KINDS.index("device_id")
_RANK = {kind: (place + (place >= _DECLARED), "") for place, kind in enumerate(KINDS)}


def rank_of(kind: str) -> tuple[int, str]:
    """Where a kind stands: the lesser is the foremost."""
    return _RANK.get(kind) or (_DECLARED, kind)


def normalise(kind: str, value: str) -> str:
    """The form of `value` that is compared: e-mail addresses in lower case, phone numbers by their digits, everything
    without outer blanks. Empty: it identifies nobody.
    """
    value = value.strip()
    if kind == "email":
        return value.lower()
    if kind == "phone":
        digits = "".join(character for character in value if character in "0123456789")
        if not value.startswith("+") and not digits.startswith("00"):
            return digits
        while digits.startswith("00"):
            digits = digits[2:]
        return f"+{digits}" if digits else ""
    return value


def identity_key(kind: str, value: str) -> bytes:
    """16 bytes, BLAKE2b of kind, a zero byte and the normalised value: no personal data travels in keys and logs."""
    return blake2b(f"{kind}\0{normalise(kind, value)}".encode(), digest_size=KEY_BYTES).digest()


def check_identifier(identifier: events_pb2.Identifier, field: str, kinds: Collection[str] | None = None) -> bytes:
    """The identity key of an identifier from outside.

    Args:
        identifier: from outside.
        field: its name, as the caller wrote it.
        kinds: that the catalogue knows; None: the catalogue is not at hand, and any name of a kind will do.

    Raises:
        InvalidField: the kind is not known, or the value is empty or too long.
    """
    kind = identifier.kind
    if not kind and not identifier.value:
        raise InvalidField(field, "an identifier of the customer is required: a kind (user_id, …) and a value")
    if kind not in _RANK and (kind not in kinds if kinds is not None else not _KIND.fullmatch(kind)):
        known = ", ".join(KINDS if kinds is None else dict.fromkeys((*KINDS, *sorted(kinds))))
        hint = "; declare other kinds in the catalogue's section identifiers"
        raise InvalidField(f"{field}.kind", f"expected one of {known}, got '{kind[:64]}'{hint}")
    if len(identifier.value) > MAX_VALUE_CHARACTERS or not normalise(kind, identifier.value):
        raise InvalidField(f"{field}.value", f"expected 1 to {MAX_VALUE_CHARACTERS} characters")
    return identity_key(kind, identifier.value)


def foremost(identifiers: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """The identifier that names the profile: of the foremost kind, and of that the smallest value.

    It does not depend on the order in which identifiers became known.
    """
    return min(identifiers, key=lambda pair: (rank_of(pair[0]), pair[1]))


def partition_of(primary_id: str, partitions: int) -> int:
    """The partition, 0 to `partitions` - 1, of an event: a stable hash of its user id, else its anonymous id."""
    return int.from_bytes(blake2b(primary_id.encode(), digest_size=4).digest(), "big") % partitions
