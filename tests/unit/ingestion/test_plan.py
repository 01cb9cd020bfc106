from __future__ import annotations

from typing import Any

import pytest
from tests.support.events import an_event
from tests.support.tracking import a_plan, an_order

from wayline.v1 import events_pb2
from wayline_ingestion.core.plan import MAX_VIOLATION_CHARACTERS, MAX_VIOLATIONS, CompiledPlan, Deviation

GOOD = {"total": 79.9, "currency": "EUR", "quantity": 2, "items": [{"sku": "SHOE-1"}], "x_test": True}


def judged(properties: dict[str, Any], **plan: Any) -> Deviation | None:
    return CompiledPlan(a_plan(**plan)).judge(an_order(properties))


def test_an_event_as_planned_has_nothing_to_be_said_about_it():
    assert judged(GOOD, violations="refuse", unplanned_properties="refuse", unplanned_events="refuse") is None


def test_what_is_wrong_is_flagged_with_its_path_and_without_its_value():
    found = judged({"total": "jane@example.com", "items": [{"sku": "SHOE-1"}, {"sku": "lower"}]})

    assert found is not None
    assert found.refusal is None
    assert set(found.violations) == {
        'properties.total: the value is not of type "number"',
        'properties.items[1].sku: the value does not match "^[A-Z]+-[0-9]+$"',
    }


def test_what_is_missing_is_flagged_where_it_is_missing():
    assert judged({}) == Deviation(('properties: "total" is a required property',))


def test_a_whole_number_is_an_integer_although_events_know_only_doubles():
    assert judged({"total": 1, "quantity": 3.0}) is None
    assert judged({"total": 1, "quantity": 3.5}) is not None


def test_what_is_wrong_is_refused_where_the_plan_says_so():
    found = judged({"total": -1}, violations="refuse")

    assert found is not None
    assert found.refusal is not None
    reason, path, expected = found.refusal
    assert (reason, path) == ("violation", "properties.total")
    assert expected.startswith("expected what version 3 of 'Order Completed' in the tracking plan says, but ")
    assert "less than the minimum of 0" in expected


def test_what_is_wrong_is_only_counted_where_the_plan_says_so():
    assert judged({"total": -1}, violations="allow") == Deviation()


@pytest.mark.parametrize("response", ["allow", "flag", "refuse"])
def test_properties_that_the_plan_does_not_name_are_found(response: str):
    found = judged({**GOOD, "gift": True, "voucher": "X"}, unplanned_properties=response)

    assert found is not None
    assert found.unplanned_properties == ("gift", "voucher")
    flags = ("properties.gift: is not planned", "properties.voucher: is not planned")
    assert found.violations == (flags if response == "flag" else ())
    refusal = found.refusal[:2] if found.refusal else None
    assert refusal == (("unplanned_property", "properties.gift") if response == "refuse" else None)


def test_one_event_may_be_held_stricter_than_the_others():
    strict = {"Order Completed": {"schema": {}, "unplanned_properties": "refuse"}}

    found = judged({"total": 1}, events=strict, unplanned_properties="allow")

    assert found is not None
    assert found.refusal is not None


@pytest.mark.parametrize(
    ("response", "flags", "refused"),
    [("allow", 0, False), ("flag", 1, False), ("refuse", 0, True)],
)
def test_events_that_the_plan_does_not_name_are_found(response: str, flags: int, refused: bool):
    found = CompiledPlan(a_plan(unplanned_events=response)).judge(an_event(name="Something Else"))

    assert found is not None
    assert found.unplanned
    assert (len(found.violations), found.refusal is not None) == (flags, refused)


def test_calls_that_the_plan_does_not_name_are_no_deviation():
    plan = CompiledPlan(a_plan(unplanned_events="refuse"))

    assert plan.judge(an_event(type=events_pb2.EVENT_TYPE_PAGE, name="Home")) is None


def test_of_identify_it_is_the_traits_that_are_looked_at():
    event = an_event(type=events_pb2.EVENT_TYPE_IDENTIFY, user_id="u", name="")
    event.traits.update({"age": "old"})

    found = CompiledPlan(a_plan()).judge(event)

    assert found is not None
    assert found.violations == ('traits.age: the value is not of type "integer"',)


def test_a_track_event_with_the_name_of_a_call_is_another_event():
    found = CompiledPlan(a_plan(unplanned_events="flag")).judge(an_event(name="identify"))

    assert found is not None
    assert found.unplanned


def test_without_a_plan_everything_passes():
    assert CompiledPlan(None).judge(an_order({"total": "no number"})) is None


def test_however_much_is_wrong_flags_stay_within_their_limits():
    items = [{"sku": "x" * 300} for _ in range(100)]
    found = judged({"total": 1, "items": items, "n" * 5_000: 1}, unplanned_properties="flag")

    assert found is not None
    assert len(found.violations) == MAX_VIOLATIONS
    assert all(len(one) <= MAX_VIOLATION_CHARACTERS for one in found.violations)


def test_a_pattern_that_would_take_for_ever_elsewhere_is_matched_in_linear_time():
    rules = {"properties": {"text": {"pattern": "^(a+)+$"}}}
    plan = CompiledPlan(a_plan(events={"Order Completed": {"schema": rules}}))

    assert plan.judge(an_order({"text": "a" * 8_000 + "!"})) is not None
