"""Receipts of erasures, as whoever holds one checks them."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from wayline.errors import InvalidField

MAX_BYTES = 4 << 20


def canonical(document: dict[str, Any]) -> str:
    """The one text of a document: sorted keys, no blanks, no escapes but those that JSON needs."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(public_key: str) -> str:
    """What names a key: SHA-256 of its PEM without blanks around it, in hexadecimal."""
    return sha256(public_key.strip().encode()).hexdigest()


def verify(receipt: str, public_key: str) -> dict[str, Any]:
    """The receipt, when it was signed with this key and was not changed since.

    Raises:
        InvalidField: it was not, or it is no receipt.
    """
    document = _read(receipt)
    signature = document.pop("signature", None)
    try:
        key = load_pem_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidField("key", "expected an Ed25519 public key, as PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidField("key", "expected an Ed25519 public key, as PEM")
    if document.get("key") != fingerprint(public_key):
        raise InvalidField("receipt.key", f"it was signed with another key; this one is {fingerprint(public_key)}")
    try:
        key.verify(bytes.fromhex(str(signature)), canonical(document).encode())
    except (InvalidSignature, ValueError):
        raise InvalidField(
            "receipt.signature", "it does not fit: the receipt was changed after it was signed"
        ) from None
    return document


def _read(receipt: str) -> dict[str, Any]:
    if len(receipt) > MAX_BYTES:
        raise InvalidField("receipt", f"expected at most {MAX_BYTES:,} characters")
    try:
        document = json.loads(receipt, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise InvalidField("receipt", f"expected JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidField("receipt", "expected a JSON object, as `wayline customers erase` prints it")
    return document


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. With a name twice, what a person reads need not be what was signed."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found
