from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.events import an_event

from wayline.v1.events_pb2 import Event
from wayline_ingestion.core.clock import NS, correct, corrected_ns, nanoseconds, timestamp

RECEIVED_NS = 1_790_000_000 * NS + 987_654_321
MOMENTS = st.integers(-62_135_596_800 * NS, 253_402_300_799 * NS)
DISTANCES = st.integers(0, 20 * 365 * 86_400 * NS)


def timed(said_ns: int | None, sent_ns: int | None) -> Event:
    event = an_event()
    if said_ns is not None:
        event.timestamp.CopyFrom(timestamp(said_ns))
    if sent_ns is not None:
        event.sent_at.CopyFrom(timestamp(sent_ns))
    return event


@given(said=MOMENTS, ago=DISTANCES)
def test_an_event_happened_as_long_before_its_receipt_as_the_client_says_before_its_sending(said: int, ago: int):
    assert RECEIVED_NS - corrected_ns(said, said + ago, RECEIVED_NS) == ago


@given(said=MOMENTS, sent=MOMENTS, skew=st.integers(-(10**18), 10**18))
def test_how_wrong_the_clients_clock_is_makes_no_difference(said: int, sent: int, skew: int):
    assert corrected_ns(said, sent, RECEIVED_NS) == corrected_ns(said + skew, sent + skew, RECEIVED_NS)


@given(said=MOMENTS, sent=MOMENTS)
def test_nothing_happened_after_it_was_received(said: int, sent: int):
    assert corrected_ns(said, sent, RECEIVED_NS) <= RECEIVED_NS


@given(said=MOMENTS, ahead=DISTANCES)
def test_what_was_sent_before_it_happened_happened_when_it_was_received(said: int, ahead: int):
    assert corrected_ns(said, said - ahead, RECEIVED_NS) == RECEIVED_NS


@given(said=st.integers(946_684_800 * NS, RECEIVED_NS), ago=st.integers(0, 365 * 86_400 * NS))
def test_the_clients_own_time_is_kept_beside_the_right_one(said: int, ago: int):
    event = timed(said, said + ago)

    happened, moved = correct(event, RECEIVED_NS)

    assert happened == nanoseconds(event.timestamp) == RECEIVED_NS - ago
    assert moved == happened - said
    assert event.HasField("original_timestamp") == (moved != 0)
    assert not moved or nanoseconds(event.original_timestamp) == said


def test_without_the_time_of_sending_a_timestamp_stays_as_it_is():
    event = timed(RECEIVED_NS - 5 * NS, None)

    assert correct(event, RECEIVED_NS) == (RECEIVED_NS - 5 * NS, 0)
    assert not event.HasField("original_timestamp")


def test_an_event_that_does_not_say_when_it_happened_gets_no_time():
    event = timed(None, RECEIVED_NS)

    assert correct(event, RECEIVED_NS) == (None, 0)
    assert not event.HasField("timestamp")
