"""Promises to customers as bytes, in which processes tell them to each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wayline_decision.core.contact import Met

Keys = Sequence[str | bytes]
"""All by which a customer may be asked for: profile ids are text, identity keys bytes."""


def encoded(promises: Sequence[tuple[Keys, Sequence[Met]]]) -> bytes:
    """JSON, which is encoded in C. Identity keys are bytes: they go in hexadecimal, apart from the profiles' ids."""
    return json.dumps(
        [
            {
                "ids": [key for key in keys if isinstance(key, str)],
                "keys": [key.hex() for key in keys if isinstance(key, bytes)],
                "contacts": contacts,
            }
            for keys, contacts in promises
        ]
    ).encode()


def decoded(data: bytes) -> list[tuple[Keys, list[Met]]]:
    """What `encoded` made.

    Raises:
        ValueError, TypeError, KeyError: it is something else.
    """
    promises: list[dict[str, Any]] = json.loads(data)
    return [
        (
            [*one["ids"], *(bytes.fromhex(key) for key in one["keys"])],
            [
                Met(str(outcome), str(action), str(channel), int(timestamp_ms), str(decision_id))
                for outcome, action, channel, timestamp_ms, decision_id in one["contacts"]
            ],
        )
        for one in promises
    ]
