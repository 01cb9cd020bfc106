"""A ring of records in shared memory that one process writes, and others read as they like.

`head` counts the bytes that were ever written, `first` is where the oldest whole record begins: positions that only
grow, and each a single store. A record is there once `head` is behind it; `first` moves on before anything is
overwritten. So whoever writes may be killed at any moment, and leaves nothing half done behind.
"""

from __future__ import annotations

from struct import Struct
from zlib import crc32

HEADER_BYTES = 64
"""`head` and `first`; the rest is free."""
_HEAD, _FIRST = 0, 1
_FRAME = Struct("<II")
"""Before each record: its length, and a checksum of it and of its position, which tells it from one of an earlier
round.
"""
_TRIES = 3


class Ring:
    """Written by one process at a time: by whoever comes after it, too."""

    def __init__(self, memory: memoryview) -> None:
        """Use a part of shared memory as it is; zeros are an empty ring.

        Args:
            memory: of bytes; begins at a multiple of 8.
        """
        self._words = memory[:HEADER_BYTES].cast("Q")  # so that a number is stored at once
        self._data = memory[HEADER_BYTES:]
        self._size = len(self._data)

    @property
    def head(self) -> int:
        """Where the next record will begin."""
        return self._words[_HEAD]

    @property
    def first(self) -> int:
        """Where the oldest record begins that is still whole."""
        return self._words[_FIRST]

    def append(self, record: bytes) -> None:
        """Add a record; the oldest make room for it.

        Raises:
            ValueError: it would not fit into the whole ring.
        """
        words, size, head = self._words, self._size, self._words[_HEAD]
        end = head + _FRAME.size + len(record)
        if end - head > size:
            raise ValueError(f"a record of {len(record)} bytes does not fit into a ring of {size}")
        first = words[_FIRST]
        while end - first > size:
            length, _ = _FRAME.unpack(self.copy(first, first + _FRAME.size))
            first = min(first + _FRAME.size + length, head)
        words[_FIRST] = first
        self._write(head, _FRAME.pack(len(record), _checksum(record, head)) + record)
        words[_HEAD] = end

    def copy(self, start: int, end: int) -> bytes:
        """The bytes between two positions, at most a ring's worth of them, whatever they are by now."""
        at, length, data = start % self._size, end - start, self._data
        found = bytes(data[at : at + length])
        return found if len(found) == length else found + bytes(data[: length - len(found)])

    def _write(self, position: int, content: bytes) -> None:
        at, data = position % self._size, self._data
        before_the_end = min(len(content), self._size - at)
        data[at : at + before_the_end] = content[:before_the_end]
        data[: len(content) - before_the_end] = content[before_the_end:]


class Reader:
    """Reads one ring from the oldest record on, each record once. Not for several threads at once."""

    def __init__(self, ring: Ring) -> None:
        """Nothing is read yet."""
        self._ring = ring
        self._position = ring.first
        self.overruns = 0
        """How often records were overwritten before they were read."""

    def read(self) -> list[bytes]:
        """What came since the last time, in order.

        What was overwritten is left out. A record that is not whole is left for the next time, and so is what follows.
        """
        ring, records = self._ring, list[bytes]()
        if ring.head == self._position:
            return records
        for _ in range(_TRIES):
            head, first = ring.head, ring.first
            start = max(self._position, first)
            if start > head:
                continue  # the writer has gone round once between two looks
            content = ring.copy(start, head)
            at = max(start, ring.first)  # what is before it may have been overwritten while it was copied
            if at <= head:
                self.overruns += at > self._position
                self._position = self._take(content, start, at, head, records)
                break
        return records

    def _take(self, content: bytes, start: int, at: int, head: int, records: list[bytes]) -> int:
        """Add the whole records from `at` on. Returns where they end."""
        while at + _FRAME.size <= head:
            offset = at - start + _FRAME.size
            length, checksum = _FRAME.unpack_from(content, offset - _FRAME.size)
            record = content[offset : offset + length]
            if len(record) != length or _checksum(record, at) != checksum:
                break
            records.append(record)
            at += _FRAME.size + length
        return at


def _checksum(record: bytes, position: int) -> int:
    return crc32(record, position & 0xFFFFFFFF)
