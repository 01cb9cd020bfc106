"""How long ago the last event was."""

from __future__ import annotations

import pytest
from tests.support.events import DAY_MS, HOUR_MS, NOON_MS, page, track
from tests.support.traits import a_reading, expiry_after, folded, state_of, value_after

from wayline_profile.core.fold import merge

SINCE_VISIT = {"kind": "recency", "event": ["page", "Product Viewed"]}


def test_the_days_since_the_last_visit_grow_without_an_event() -> None:
    visits = [page("Home", at_ms=NOON_MS - 3 * DAY_MS), track("Product Viewed", at_ms=NOON_MS - 2 * DAY_MS)]
    assert value_after(SINCE_VISIT, visits) == 2
    assert value_after(SINCE_VISIT, visits, NOON_MS + 12 * DAY_MS - 1) == 13
    assert value_after(SINCE_VISIT, visits, NOON_MS + 12 * DAY_MS) == 14


def test_a_late_event_does_not_make_the_last_visit_earlier() -> None:
    visits = [page("Home", at_ms=NOON_MS - DAY_MS), page("Home", at_ms=NOON_MS - 9 * DAY_MS)]
    assert value_after(SINCE_VISIT, visits) == 1


def test_whoever_never_came_was_not_here_lately() -> None:
    assert value_after(SINCE_VISIT, []) == 36_500
    assert value_after({**SINCE_VISIT, "unit": "hours"}, [track("Order Completed")]) == 876_000
    assert value_after({**SINCE_VISIT, "default": -1}, []) == -1


def test_seconds_are_told_to_the_second() -> None:
    trait = {**SINCE_VISIT, "unit": "seconds"}
    assert value_after(trait, [page(at_ms=NOON_MS - 90_500)]) == 90
    assert expiry_after(trait, [page(at_ms=NOON_MS - 90_500)]) == NOON_MS + 500


def test_a_view_is_good_until_the_next_whole_day_has_gone_by() -> None:
    assert expiry_after(SINCE_VISIT, [page(at_ms=NOON_MS - 2 * DAY_MS - HOUR_MS)]) == NOON_MS + DAY_MS - HOUR_MS
    assert expiry_after(SINCE_VISIT, []) == 0


def test_a_visit_that_is_yet_to_come_by_its_own_clock_was_just_now() -> None:
    assert value_after(SINCE_VISIT, [page(at_ms=NOON_MS + 2 * DAY_MS)]) == 0
    assert expiry_after(SINCE_VISIT, [page(at_ms=NOON_MS + 2 * DAY_MS)]) == NOON_MS + 3 * DAY_MS


@pytest.mark.parametrize("kind", ["first", "last"])
def test_customers_that_never_had_the_property_become_one(kind: str) -> None:
    reading = a_reading(it={"kind": kind, "event": "Product Viewed", "property": "color"})
    empty = folded([track("Product Viewed")], reading)
    red = folded([track("Product Viewed", {"color": "red"})], reading)
    assert state_of(merge(red, empty, reading.definitions), reading).moment.value.string_value == "red"
    assert state_of(merge(empty, red, reading.definitions), reading).moment.value.string_value == "red"
    assert state_of(merge(empty, empty, reading.definitions), reading) == state_of(empty, reading)
