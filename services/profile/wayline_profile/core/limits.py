"""How a map is kept within its limit, whatever the order in which its keys came."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any


def keep_smallest(held: MutableMapping[str, Any], most: int) -> None:
    """Of more than `most` keys the smallest stay, in place: one that has given way never comes back."""
    excess = len(held) - most
    if excess > 0:
        for key in sorted(held)[-excess:]:
            del held[key]
