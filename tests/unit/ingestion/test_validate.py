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
    "reserved",
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


@pytest.mark.parametrize("kind", ["RULING", "ERASURE", "RESTRICTION"])
def test_what_the_profile_service_alone_says_is_refused_from_outside(kind: str):
    rejection = judge(an_event(type=events_pb2.EventType.Value(f"EVENT_TYPE_{kind}")))

    assert rejection is not None
    assert (rejection.reason, rejection.field) == ("reserved", "events[3].type")


@pytest.mark.parametrize("kind", ["TRACK", "PAGE", "IDENTIFY"])
def test_what_was_decided_is_for_the_decision_service_to_say(kind: str):
    rejection = judge(an_event(type=events_pb2.EventType.Value(f"EVENT_TYPE_{kind}"), name="Decision Made"))

    assert rejection is not None
    assert (rejection.reason, rejection.field) == ("reserved", "events[3].name")


@pytest.mark.parametrize("name", ["Impression", "Click", "Conversion", "Dismissal", "decision made"])
def test_outcomes_are_for_anybody_to_report(name: str):
    assert judge(an_event(name=name)) is None


@pytest.mark.parametrize(
    "fields",
    [{"ruling": events_pb2.Ruling()}, {"erasure": events_pb2.Erasure()}, {"restriction": events_pb2.Restriction()}],
)
def test_an_ordinary_event_carries_no_order_of_staff(fields: dict[str, Any]):
    rejection = judge(an_event(**fields))

    assert rejection is not None
    assert (rejection.reason, rejection.field) == ("reserved", f"events[3].{next(iter(fields))}")


@pytest.mark.parametrize(
    ("kind", "value", "reason", "field"),
    [
        ("", "v", "missing", "kind"),
        ("E-mail", "v", "bad_characters", "kind"),
        ("e" * 65, "v", "bad_characters", "kind"),
        ("email", "", "missing", "value"),
        ("email", "  ", "missing", "value"),
        ("email", "v" * 257, "too_long", "value"),
    ],
)
def test_a_further_identifier_has_a_kind_and_a_value(kind: str, value: str, reason: str, field: str):
    good = events_pb2.Identifier(kind="phone", value="+33 1 23 45 67 89")

    rejection = judge(an_event(identifiers=[good, events_pb2.Identifier(kind=kind, value=value)]))

    assert rejection is not None
    assert (rejection.reason, rejection.field) == (reason, f"events[3].identifiers[1].{field}")


def test_an_event_has_at_most_twenty_further_identifiers():
    twenty = [events_pb2.Identifier(kind="email", value=f"{i}@example.org") for i in range(20)]

    assert judge(an_event(identifiers=twenty)) is None
    rejection = judge(an_event(identifiers=[*twenty, twenty[0]]))
    assert rejection is not None
    assert rejection.reason == "too_many"


@pytest.mark.parametrize(
    ("region", "good"), [("FR", True), ("US-CA", True), ("GB-ENG", True), ("fr", False), ("EU-", False)]
)
def test_a_region_is_a_code_of_iso_3166(region: str, good: bool):
    assert (judge(an_event(context=EventContext(region=region))) is None) == good


@pytest.mark.parametrize(
    ("consent", "reason", "field"),
    [
        (Consent(source="s" * 65), "too_long", "source"),
        (Consent(text_version="s" * 65), "too_long", "text_version"),
        (Consent(legal_bases={"analytics": "because"}), "not_a_value", "legal_bases.analytics"),
        (Consent(legal_bases={"": "consent"}), "missing", "legal_bases"),
        (Consent(legal_bases={f"p{i}": "consent" for i in range(51)}), "too_many", "legal_bases"),
    ],
)
def test_consent_says_where_and_on_what_basis_within_limits(consent: Consent, reason: str, field: str):
    rejection = judge(an_event(context=EventContext(consent=consent)))

    assert rejection is not None
    assert (rejection.reason, rejection.field) == (reason, f"events[3].context.consent.{field}")


def test_a_clients_clock_may_be_years_out_where_it_says_when_it_sent_the_event():
    long_ago = an_event(timestamp=at(1_000), sent_at=at(1_060))
    far_ahead = an_event(timestamp=at(NOW + 10**9), sent_at=at(NOW + 10**9 + 60))

    assert judge(long_ago) is None
    assert judge(far_ahead) is None


def test_an_event_from_before_the_year_2000_is_refused_by_the_corrected_time():
    rejection = judge(an_event(timestamp=at(0), sent_at=at(NOW)))

    assert rejection is not None
    assert (rejection.reason, rejection.field) == ("out_of_range", "events[3].timestamp")
    assert "by the same clock" in rejection.expected


def test_without_the_time_of_sending_a_timestamp_keeps_its_bounds():
    assert judge(an_event(timestamp=at(1_000))) is not None
    assert judge(an_event(timestamp=at(NOW + 86_401))) is not None
