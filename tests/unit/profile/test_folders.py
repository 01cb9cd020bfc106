"""Each kind of declared trait: what it takes up, and what it says."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.events import DAY_MS, HOUR_MS, NOON_MS, page, track

from wayline.catalog.model import Catalog
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core import affinities
from wayline_profile.core.fold import fold
from wayline_profile.core.tallies import MAX_VALUES
from wayline_profile.core.values import reading_of, values_of


def value_of(trait: dict[str, Any], events: list[events_pb2.Event], now_ms: int = NOON_MS) -> Any:
    """The value of one declared trait after some events; None without evidence."""
    return values_and_expiry(trait, events, now_ms)[0].get("it")


def values_and_expiry(
    trait: dict[str, Any], events: list[events_pb2.Event], now_ms: int = NOON_MS
) -> tuple[dict[str, Any], int]:
    affinity = {"kind": "affinity", "event": "Product Viewed", "property": "color", "half_life": "7d"}
    reading = reading_of(Catalog.model_validate({"traits": {"it": trait, "colours": affinity}}))
    profile = profile_pb2.Profile()
    for event in events:
        profile = fold(profile, event, reading.definitions)
    values, until_ms = values_of(profile, reading, now_ms)
    return values, until_ms


def viewed(**properties: Any) -> events_pb2.Event:
    return track("Product Viewed", properties)


def viewed_at(at_ms: int, **properties: Any) -> events_pb2.Event:
    return track("Product Viewed", properties, at_ms=at_ms)


def test_a_count_counts_events_of_its_names_only() -> None:
    trait = {"kind": "count", "event": ["Product Viewed", "Product Added"]}
    assert value_of(trait, [viewed(), track("Product Added"), track("Cart Viewed")]) == 2


def test_a_count_of_pages_counts_every_page_and_no_track_event() -> None:
    assert value_of({"kind": "count", "event": "page"}, [page("Home"), page("Shoes"), track("page")]) == 2


def test_a_count_may_ask_for_properties() -> None:
    trait = {"kind": "count", "event": "Product Viewed", "where": {"category": "sale", "stock": 3, "new": True}}
    events = [
        viewed(category="sale", stock=3, new=True),
        viewed(category="sale", stock=4, new=True),
        viewed(category="sale", stock=3),
    ]
    assert value_of(trait, events) == 1


def test_a_sum_leaves_out_events_without_a_number() -> None:
    trait = {"kind": "sum", "event": "Order Completed", "property": "total"}
    orders = [track("Order Completed", {"total": total}) for total in (20.5, 10, "free")]
    assert value_of(trait, [*orders, track("Order Completed")]) == 30.5


def test_the_last_value_is_that_of_the_latest_event_however_late_it_comes() -> None:
    trait = {"kind": "last", "event": "Product Viewed", "property": "category"}
    events = [viewed_at(NOON_MS, category="boots"), viewed_at(NOON_MS - HOUR_MS, category="sandals")]
    assert value_of(trait, events) == "boots"
    assert value_of({**trait, "kind": "first"}, events) == "sandals"


def test_a_value_of_another_type_gives_the_default() -> None:
    trait = {"kind": "last", "event": "Product Viewed", "property": "price", "type": "number", "default": 9.5}
    assert value_of(trait, [viewed(price="cheap")]) == 9.5


@pytest.mark.parametrize(
    ("kind", "given", "expected"), [("integer", 3.0, 3), ("integer", 3.5, 0), ("boolean", True, True)]
)
def test_numbers_and_booleans_are_read_as_declared(kind: str, given: Any, expected: Any) -> None:
    trait = {"kind": "last", "event": "Product Viewed", "property": "x", "type": kind, "default": type(expected)(0)}
    assert value_of(trait, [viewed(x=given)]) == expected


def test_distinct_tells_values_apart_up_to_its_limit() -> None:
    trait = {"kind": "distinct", "event": "Product Viewed", "property": "brand"}
    assert value_of(trait, [viewed(brand="a"), viewed(brand="b"), viewed(brand="a")]) == 2
    assert value_of(trait, [viewed(brand=str(n)) for n in range(MAX_VALUES + 10)]) == MAX_VALUES


def test_a_window_forgets_what_has_left_it_without_an_event() -> None:
    trait = {"kind": "count", "event": "Product Viewed", "window": "24h"}
    events = [viewed_at(NOON_MS - 20 * HOUR_MS), viewed_at(NOON_MS - HOUR_MS)]
    assert value_of(trait, events, NOON_MS) == 2
    assert value_of(trait, events, NOON_MS + 6 * HOUR_MS) == 1
    assert value_of(trait, events, NOON_MS + 2 * DAY_MS) == 0


def test_a_late_event_counts_in_the_window_of_its_own_time() -> None:
    trait = {"kind": "sum", "event": "Order Completed", "property": "total", "window": "30d"}
    orders = [track("Order Completed", {"total": 5}, at_ms=NOON_MS - days * DAY_MS) for days in (0, 10, 40)]
    assert value_of(trait, orders) == 10.0


def test_distinct_values_within_a_window() -> None:
    trait = {"kind": "distinct", "event": "Product Viewed", "property": "brand", "window": "1h"}
    events = [
        viewed_at(NOON_MS, brand="a"),
        viewed_at(NOON_MS - HOUR_MS // 2, brand="a"),
        viewed_at(NOON_MS, brand="b"),
    ]
    assert value_of(trait, [*events, viewed_at(NOON_MS - 3 * HOUR_MS, brand="c")]) == 2


def test_a_window_says_when_its_value_changes_by_itself() -> None:
    trait = {"kind": "count", "event": "Cart Viewed", "window": "24h"}
    events = [track("Cart Viewed", at_ms=NOON_MS)]
    values, until_ms = values_and_expiry(trait, events)
    assert values["it"] == 1
    assert NOON_MS + 24 * HOUR_MS <= until_ms <= NOON_MS + 24.5 * HOUR_MS
    assert values_and_expiry(trait, events, until_ms)[0]["it"] == 0
    assert values_and_expiry(trait, events, until_ms - 1)[0]["it"] == 1


def test_an_affinity_halves_in_its_half_life() -> None:
    trait = {"kind": "affinity", "event": "Product Viewed", "property": "color", "half_life": "7d"}
    events = [viewed_at(NOON_MS, color="red")]
    assert value_of(trait, events, NOON_MS) == {"red": 1.0}
    assert value_of(trait, events, NOON_MS + 7 * DAY_MS)["red"] == pytest.approx(0.5)


@pytest.mark.parametrize("shades", range(1, 40))
def test_all_values_of_an_affinity_decay_alike_however_many_there_are(shades: int) -> None:
    trait = {"kind": "affinity", "event": "Product Viewed", "property": "color", "half_life": "1d"}
    events = [viewed_at(NOON_MS - DAY_MS, color=f"shade-{n}") for n in range(shades)]
    weights = value_of(trait, [*events, viewed_at(NOON_MS, color="red")])
    assert weights.pop("red") == 1.0
    assert set(weights.values()) == {0.5}


def test_an_affinity_weighs_events_as_declared_and_forgets_what_is_negligible() -> None:
    trait = {
        "kind": "affinity",
        "event": ["Product Viewed", "Product Added"],
        "property": "color",
        "half_life": "7d",
        "weights": {"Product Added": 3},
    }
    events = [
        viewed_at(NOON_MS - 70 * DAY_MS, color="blue"),
        viewed(color="red"),
        track("Product Added", {"color": "red"}),
    ]
    assert value_of(trait, events) == {"red": 4.0}


def test_an_affinity_keeps_the_smallest_values_when_there_are_too_many() -> None:
    trait = {"kind": "affinity", "event": "Product Viewed", "property": "color", "half_life": "7d"}
    shades = [viewed(color=f"shade-{n:03}") for n in range(affinities.MAX_VALUES + 5)]
    weights = value_of(trait, [viewed(color="red"), viewed(color="red"), *shades])
    assert set(weights) == {"red", *(f"shade-{n:03}" for n in range(affinities.MAX_VALUES - 1))}
    assert weights["red"] == 2.0


def test_the_top_is_the_heaviest_and_of_equals_the_first_by_name() -> None:
    trait = {"kind": "top", "of": "colours"}
    assert value_of(trait, [viewed(color="red"), viewed(color="red"), viewed(color="blue")]) == "red"
    assert value_of(trait, [viewed(color="red"), viewed(color="blue")]) == "blue"


def test_the_top_is_empty_once_it_has_faded() -> None:
    trait = {"kind": "top", "of": "colours", "min_weight": 0.5}
    events = [viewed(color="red")]
    assert value_of(trait, events, NOON_MS + 6 * DAY_MS) == "red"
    assert value_of(trait, events, NOON_MS + 8 * DAY_MS) == ""


def test_an_attribute_is_what_identify_said_and_else_unknown() -> None:
    assert value_of({"kind": "attribute", "attribute": "City", "default": "Rome"}, [viewed()]) is None
