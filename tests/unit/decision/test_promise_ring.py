"""A ring of records: what is read is what was written, in order, whatever is overwritten or cut off meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack_into

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayline_decision.promise_ring import HEADER_BYTES, Reader, Ring

FRAME_BYTES = 8
HEAD, FIRST = 0, 8


def a_ring(size: int = 64) -> tuple[Ring, bytearray]:
    memory = bytearray(HEADER_BYTES + size)
    return Ring(memoryview(memory)), memory


def records_of(count: int, length: int = 8) -> list[bytes]:
    return [f"{number:0{length}}".encode() for number in range(count)]


def test_an_empty_ring_has_nothing_to_read() -> None:
    ring, _ = a_ring()
    assert Reader(ring).read() == []


def test_records_are_read_once_and_in_order() -> None:
    ring, _ = a_ring()
    reader = Reader(ring)
    ring.append(b"boots")
    ring.append(b"")
    assert reader.read() == [b"boots", b""]
    ring.append(b"tote")
    assert reader.read() == [b"tote"]
    assert reader.read() == []


def test_every_reader_reads_all() -> None:
    ring, _ = a_ring()
    readers = [Reader(ring), Reader(ring)]
    ring.append(b"boots")
    assert [one.read() for one in readers] == [[b"boots"], [b"boots"]]


def test_round_after_round_nothing_is_lost_to_whoever_keeps_up() -> None:
    ring, _ = a_ring(50)  # no multiple of a record, so that the end cuts through each part of one
    reader, read = Reader(ring), list[bytes]()
    for record in records_of(100, 9):
        ring.append(record)
        read += reader.read()
    assert read == records_of(100, 9)
    assert reader.overruns == 0


def test_whoever_is_overrun_goes_on_with_the_oldest_that_is_left() -> None:
    ring, _ = a_ring(64)
    reader = Reader(ring)
    for record in records_of(10):
        ring.append(record)
    assert reader.read() == records_of(10)[-4:]
    assert reader.overruns == 1
    ring.append(b"next")
    assert reader.read() == [b"next"]
    assert reader.overruns == 1


def test_whoever_comes_later_reads_what_is_left() -> None:
    ring, _ = a_ring(64)
    for record in records_of(10):
        ring.append(record)
    late = Reader(ring)
    assert late.read() == records_of(10)[-4:]
    assert late.overruns == 0


def test_a_writer_that_comes_after_another_goes_on_where_that_one_ended() -> None:
    ring, memory = a_ring(64)
    reader = Reader(ring)
    ring.append(b"of the first")
    ring.append(b"read")
    assert len(reader.read()) == 2
    successor = Ring(memoryview(memory))
    successor.append(b"of the second")
    assert reader.read() == [b"of the second"]
    assert Reader(successor).read() == [b"of the first", b"read", b"of the second"]


def test_a_record_longer_than_the_ring_is_refused_and_changes_nothing() -> None:
    ring, _ = a_ring(64)
    ring.append(b"boots")
    with pytest.raises(ValueError, match="a record of 57 bytes does not fit into a ring of 64"):
        ring.append(bytes(57))
    assert Reader(ring).read() == [b"boots"]
    ring.append(bytes(56))
    assert Reader(ring).read() == [bytes(56)]


@pytest.mark.parametrize("rounds", [0, 7])
def test_a_writer_that_is_killed_at_any_byte_leaves_nothing_visible(rounds: int) -> None:
    """Its data and `first` are there up to some byte, and `head` is not."""
    ring, memory = a_ring(64)
    for record in records_of(rounds):
        ring.append(record)
    before, head = bytes(memory), ring.head
    kept = Reader(ring).read()
    ring.append(b"the last")
    after, first = bytes(memory), ring.first
    at = head % 64
    written = [HEADER_BYTES + (at + number) % 64 for number in range(ring.head - head)]
    for cut in range(len(written) + 1):
        memory[:] = before
        pack_into("<Q", memory, FIRST, first)
        for position in written[:cut]:
            memory[position] = after[position]
        left = kept[-3:] if rounds else []
        assert Reader(ring).read() == left, cut
        Ring(memoryview(memory)).append(b"of its successor")
        assert Reader(ring).read()[-1] == b"of its successor"


def test_data_is_written_after_the_oldest_were_given_up_and_before_anybody_can_see_it() -> None:
    class Watched(Ring):
        def _write(self, position: int, content: bytes) -> None:
            assert self.first >= position + len(content) - 64
            assert self.head == position
            super()._write(position, content)
            assert self.head == position

    ring = Watched(memoryview(bytearray(HEADER_BYTES + 64)))
    for record in records_of(20, 9):
        ring.append(record)
    assert ring.head == 20 * (FRAME_BYTES + 9)


def test_what_is_not_whole_yet_is_read_when_it_is() -> None:
    """On some processors another one may see `head` before the data."""
    ring, memory = a_ring()
    reader = Reader(ring)
    ring.append(b"boots")
    ring.append(b"tote")
    ring.append(b"scarf")
    whole = bytes(memory)
    second = HEADER_BYTES + FRAME_BYTES + len(b"boots")
    for torn in (second, second + 4, second + FRAME_BYTES):
        memory[torn] ^= 0xFF
        assert reader.read() == ([b"boots"] if torn == second else [])
        memory[:] = whole
    assert reader.read() == [b"tote", b"scarf"]


def test_a_record_of_an_earlier_round_is_not_taken_for_a_new_one() -> None:
    ring, memory = a_ring(64)
    reader = Reader(ring)
    for record in records_of(4):
        ring.append(record)
    assert len(reader.read()) == 4
    pack_into("<Q", memory, HEAD, ring.head + 16)  # seen before the data that it stands for
    assert reader.read() == []


class Overtaken(Ring):
    """Its writer goes on while it is read."""

    def __init__(self, memory: memoryview, meanwhile: Callable[[Ring], None]) -> None:
        super().__init__(memory)
        self._memory, self._meanwhile = memory, meanwhile

    def copy(self, start: int, end: int) -> bytes:
        """Half before, half after the writer went on."""
        half = (start + end) // 2
        before = super().copy(start, half)
        self._meanwhile(Ring(self._memory))
        return before + super().copy(half, end)


@pytest.mark.parametrize("more", range(12))
def test_what_is_overwritten_while_it_is_read_is_left_out(more: int) -> None:
    memory = memoryview(bytearray(HEADER_BYTES + 64))
    ring = Ring(memory)
    for record in records_of(4):
        ring.append(record)
    coming = [f"new-{number:04}".encode() for number in range(more)]

    def meanwhile(writer: Ring) -> None:
        while coming:
            writer.append(coming.pop(0))

    every = records_of(4) + coming
    reader = Reader(Overtaken(memory, meanwhile))
    read = reader.read()
    read += reader.read()
    assert read == every[-len(read) :]
    assert len(read) >= 4
    assert (len(read) < len(every)) == bool(reader.overruns)


@given(st.lists(st.one_of(st.binary(max_size=40), st.none()), max_size=60), st.integers(48, 200))
def test_what_is_read_is_part_of_what_was_written_in_order_and_all_of_it_unless_overrun(
    steps: list[bytes | None], size: int
) -> None:
    """None: the reader has its turn."""
    ring, _ = a_ring(size)
    reader, read, written = Reader(ring), list[bytes](), list[bytes]()
    for step in [*steps, None]:
        if step is None:
            read += reader.read()
        else:
            ring.append(step)
            written.append(step)
    rest = iter(written)
    assert all(record in rest for record in read)
    assert reader.overruns or read == written
    assert read[-1:] == written[-1:]
