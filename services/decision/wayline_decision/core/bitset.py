"""Bit sets of rows: Python integers, bit i for row i."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def bits(mask: int) -> list[int]:
    """The positions of the bits that are set, ascending."""
    found: list[int] = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found


def rows_where(met: NDArray[np.bool_]) -> int:
    """The rows for which `met` [T] is true, as a bit set."""
    return int.from_bytes(np.packbits(met, bitorder="little").tobytes(), "little")


def indices_of(mask: int, width: int) -> NDArray[np.intp]:
    """The positions of the bits that are set, ascending, as an index array; `width` is the number of rows."""
    data = mask.to_bytes((width + 7) // 8, "little")
    return np.flatnonzero(np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little"))


def run_of(first: int, count: int) -> int:
    """The rows from `first`, so many."""
    return ((1 << count) - 1) << first
