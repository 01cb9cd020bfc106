from __future__ import annotations

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st
from tests.support.events import an_event

from wayline.errors import InvalidField, LimitExceeded
from wayline.v1.events_pb2 import Event
from wayline.v1.ingestion_pb2 import CollectRequest
from wayline_ingestion import codec

LIMIT = 1_000


@given(st.lists(st.text(max_size=400), min_size=1, max_size=20))
def test_a_batch_comes_apart_into_the_events_that_were_put_in(names: list[str]):
    events = [an_event(name=name) for name in names]

    pieces = codec.split(CollectRequest(events=events).SerializeToString(), LIMIT)

    assert [codec.read(piece) for piece in pieces] == events


@given(st.binary(max_size=200))
def test_any_bytes_are_split_or_refused(call: bytes):
    try:
        pieces = codec.split(call, LIMIT)
    except InvalidField:
        return
    assert sum(map(len, pieces)) < len(call)


def test_a_call_without_events_is_refused():
    with pytest.raises(InvalidField, match="events: expected 1 to 1,000 events, got none"):
        codec.split(b"", LIMIT)


def test_a_cut_off_call_is_refused():
    call = CollectRequest(events=[an_event()]).SerializeToString()

    with pytest.raises(InvalidField, match="not a CollectRequest"):
        codec.split(call[:-1], LIMIT)


def test_a_thousand_events_pass_and_one_more_does_not():
    assert len(codec.split(b"\x0a\x00" * 1_000, LIMIT)) == 1_000
    with pytest.raises(LimitExceeded, match="at most 1,000"):
        codec.split(b"\x0a\x00" * 1_001, LIMIT)


def test_fields_of_a_newer_contract_are_left_alone():
    event = an_event()
    varint, fixed64, text, fixed32 = b"\x10\x96\x01", b"\x19" + bytes(8), b"\x22\x03abc", b"\x2d" + bytes(4)
    call = varint + fixed64 + CollectRequest(events=[event]).SerializeToString() + text + fixed32

    assert [codec.read(piece) for piece in codec.split(call, LIMIT)] == [event]


def test_text_that_is_no_utf_8_is_unreadable():
    assert codec.read(b"\x0a\x02\xff\xfe") is None


def test_a_small_event_is_kept_whole():
    event = an_event(properties=Struct())

    assert codec.keepsake(event, 65_536) == event


def test_of_a_large_event_the_names_are_kept():
    event = an_event(user_id="u-1")
    event.properties.update({f"k{i}": "x" * 8_000 for i in range(10)})
    event.timestamp.FromSeconds(1_750_000_000)

    kept = codec.keepsake(event, 65_536)

    assert kept == an_event(message_id=event.message_id, user_id="u-1", timestamp=event.timestamp)


def test_an_event_that_is_large_by_its_name_is_kept_small():
    kept = codec.keepsake(Event(message_id="m" * 10_000_000), 65_536)

    assert kept == Event(message_id="m" * 256)
