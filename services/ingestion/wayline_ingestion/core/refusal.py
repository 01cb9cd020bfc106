"""How the rules of `events.proto` say no, from however deep within an event."""

from __future__ import annotations

from typing import NoReturn


class Refused(Exception):
    """Carries a rejection out of a nested object: the reason, the path within the event, and what was expected."""

    def __init__(self, reason: str, path: str, expected: str) -> None:
        """Name the reason, the path and what was expected."""
        self.rejection = (reason, path, expected)


def refuse(reason: str, path: str, expected: str) -> NoReturn:
    """Raise it."""
    raise Refused(reason, path, expected)


def refuse_long(path: str, limit: int) -> NoReturn:
    """For a text that is over its limit of characters."""
    raise Refused("too_long", path, f"expected at most {limit:,} characters")
