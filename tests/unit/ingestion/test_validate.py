from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from tests.support.events import an_event

from wayline.v1 import events_pb2
from wayline.v1.events_pb2 import Consent, Event, EventContext
from wayline.v1.ingestion_pb2 import Rejection
from wayline_ingestion.core.validate import validate

NOW = 1_750_000_000.0
REASONS = {
    "bad_characters",
    "missing",
    "not_a_value",
    "not_finite",
    "out_of_range",
    "too_deep",
    "too_large",
    "too_long",
    "too_many",
    "unknown_type",
}


def judge(event: Event, field: str = "events[3]") -> Rejection | None:
    return validate(event, field, NOW, encoded_bytes=event.ByteSize())


def struct(values: dict[str, Any]) -> Struct:
    made = Struct()
    made.update(values)
    return made


def nested(levels: int) -> Struct:
    made: dict[str, Any] = {"leaf": 1}
    for _ in range(levels - 1):
        made = {"a": made}
    return struct(made)


def at(seconds: float, nanos: int = 0) -> Timestamp:
    return Timestamp(seconds=int(seconds), nanos=nanos)


def test_a_rejection_names_the_field_and_what_was_expected():
    rejection = judge(an_event(properties=struct({"total": math.nan})))

    assert rejection == Rejection(
        reason="not_finite", field="events[3].properties.total", expected="expected a finite number"
    )


@pytest.mark.parametrize(
    ("event", "reason", "field"),
    [
        (an_event(message_id=""), "missing", "message_id"),
        (an_event(message_id="m" * 129), "too_long", "message_id"),
        (an_event(message_id="two words"), "bad_characters", "message_id"),
        (an_event(message_id="línea"), "bad_characters", "message_id"),
        (an_event(message_id="id\r\nNats-Rollup: all"), "bad_characters", "message_id"),
        (an_event(message_id="id\n"), "bad_characters", "message_id"),
        (an_event(type=events_pb2.EVENT_TYPE_UNSPECIFIED), "missing", "type"),
        (an_event(type=99), "unknown_type", "type"),
        (an_event(anonymous_id=""), "missing", "user_id"),
        (an_event(anonymous_id="   "), "missing", "anonymous_id"),
        (an_event(anonymous_id="a" * 257), "too_long", "anonymous_id"),
        (an_event(user_id="u" * 257), "too_long", "user_id"),
        (an_event(name=""), "missing", "name"),
        (an_event(name="n" * 129), "too_long", "name"),
        (an_event(type=events_pb2.EVENT_TYPE_ALIAS, user_id="u"), "missing", "previous_id"),
        (an_event(type=events_pb2.EVENT_TYPE_ALIAS, previous_id="p" * 257), "too_long", "previous_id"),
        (an_event(type=events_pb2.EVENT_TYPE_GROUP), "missing", "group_id"),
        (an_event(type=events_pb2.EVENT_TYPE_GROUP, group_id="g" * 257), "too_long", "group_id"),
        (an_event(source="s" * 65), "too_long", "source"),
        (an_event(timestamp=at(946_684_799)), "out_of_range", "timestamp"),
        (an_event(timestamp=at(NOW + 86_401)), "out_of_range", "timestamp"),
        (an_event(timestamp=at(NOW, 1_000_000_000)), "out_of_range", "timestamp.nanos"),
        (an_event(sent_at=at(10**15)), "out_of_range", "sent_at"),
        (an_event(properties=struct({f"k{i}": i for i in range(201)})), "too_many", "properties"),
        (an_event(properties=struct({"s": "x" * 8_193})), "too_long", "properties.s"),
        (an_event(properties=struct({"l": ["ok", {"s": "x" * 8_193}]})), "too_long", "properties.l[1].s"),
        (an_event(properties=struct({"l": [1.0, math.inf]})), "not_finite", "properties.l[1]"),
        (an_event(properties=Struct(fields={"v": Value()})), "not_a_value", "properties.v"),
        (an_event(properties=nested(7)), "too_deep", "properties.a.a.a.a.a.a"),
        (an_event(traits=struct({"age": -math.inf})), "not_finite", "traits.age"),
        (an_event(context=EventContext(locale="l" * 36)), "too_long", "context.locale"),
        (an_event(context=EventContext(timezone="t" * 65)), "too_long", "context.timezone"),
        (an_event(context=EventContext(channel="c" * 65)), "too_long", "context.channel"),
        (
            an_event(context=EventContext(other=struct({f"k{i}": i for i in range(101)}))),
            "too_many",
            "context.other",
        ),
        (
            an_event(context=EventContext(consent=Consent(category_preferences={f"p{i}": True for i in range(51)}))),
            "too_many",
            "context.consent.category_preferences",
        ),
        (
            an_event(context=EventContext(consent=Consent(category_preferences={"": True}))),
            "missing",
            "context.consent.category_preferences",
        ),
        (
            an_event(context=EventContext(consent=Consent(category_preferences={"p" * 65: True}))),
            "too_long",
            "context.consent.category_preferences." + "p" * 65,
        ),
    ],
)
def test_each_limit_of_the_contract_refuses_what_is_beyond_it(event: Event, reason: str, field: str):
    rejection = judge(event)

    assert rejection is not None
    assert (rejection.reason, rejection.field) == (reason, f"events[3].{field}")
    assert rejection.expected.startswith("expected ")


@pytest.mark.parametrize(
    "event",
    [
        an_event(message_id="m" * 128),
        an_event(message_id="!~:{}"),
        an_event(user_id="u" * 256, anonymous_id=""),
        an_event(name="n" * 128, source="s" * 64),
        an_event(type=events_pb2.EVENT_TYPE_PAGE, name=""),
        an_event(type=events_pb2.EVENT_TYPE_ALIAS, user_id="u", previous_id="p"),
        an_event(type=events_pb2.EVENT_TYPE_GROUP, group_id="g"),
        an_event(type=events_pb2.EVENT_TYPE_IDENTIFY, name="", traits=struct({"vip": True, "note": None})),
        an_event(timestamp=at(946_684_800), sent_at=at(-1)),
        an_event(timestamp=at(NOW + 86_400)),
        an_event(properties=struct({f"k{i}": "v" for i in range(200)})),
        an_event(properties=struct({"s": "é" * 8_192})),
        an_event(properties=nested(6)),
        an_event(context=EventContext(consent=Consent(category_preferences={f"p{i}": True for i in range(50)}))),
        an_event(context=EventContext(other=struct({f"k{i}": i for i in range(100)}), locale="en-GB")),
    ],
)
def test_what_stands_at_a_limit_is_good(event: Event):
    assert judge(event) is None


def test_a_large_event_is_refused_by_its_size_whatever_else_is_wrong():
    event = an_event(message_id="", properties=struct({f"k{i}": "x" * 8_000 for i in range(10)}))

    rejection = judge(event)

    assert rejection is not None
    assert (rejection.reason, rejection.field) == ("too_large", "events[3]")
    assert rejection.expected == f"expected at most 65536 bytes, got {event.ByteSize()}"


def test_a_long_path_is_cut_short():
    rejection = judge(an_event(properties=struct({"k" * 5_000: math.nan})))

    assert rejection is not None
    assert len(rejection.field) == 256


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


def levels(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(levels, value.values()), default=0)
    return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0


@given(st.dictionaries(st.text(max_size=20), json_values, max_size=10))
def test_whatever_json_holds_is_good_unless_it_is_nested_too_deep(values: dict[str, Any]):
    rejection = judge(an_event(properties=struct(values)))

    if levels(values) <= 6:
        assert rejection is None
    else:
        assert rejection is not None
        assert rejection.reason == "too_deep"


values = st.recursive(
    st.builds(Value, number_value=st.floats()) | st.builds(Value, string_value=st.text(max_size=20)) | st.builds(Value),
    lambda inner: (
        st.builds(lambda items: Value(list_value=ListValue(values=items)), st.lists(inner, max_size=3))
        | st.builds(
            lambda items: Value(struct_value=Struct(fields=items)),
            st.dictionaries(st.text(max_size=5), inner, max_size=3),
        )
    ),
    max_leaves=10,
)
moments = st.builds(Timestamp, seconds=st.integers(-(2**63), 2**63 - 1), nanos=st.integers(-(2**31), 2**31 - 1))
ids = st.text(max_size=300)
any_events = st.builds(
    Event,
    message_id=ids,
    type=st.integers(-3, 9),
    anonymous_id=ids,
    user_id=ids,
    previous_id=ids,
    group_id=ids,
    name=ids,
    properties=st.builds(Struct, fields=st.dictionaries(st.text(max_size=5), values, max_size=3)),
    timestamp=moments,
    sent_at=moments,
)


@given(any_events)
def test_any_event_gets_a_verdict_with_a_countable_reason(event: Event):
    rejection = judge(event)

    assert rejection is None or rejection.reason in REASONS


@given(any_events)
def test_the_verdict_depends_on_nothing_but_the_event_and_the_time(event: Event):
    assert judge(event) == judge(Event.FromString(event.SerializeToString()))
