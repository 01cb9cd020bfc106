"""What is kept of the events of a trait, ever or in a window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.events import DAY_MS, HOUR_MS, NOON_MS, track
from tests.support.traits import a_reading, expiry_after, folded, state_of, value_after

from wayline.v1 import events_pb2
from wayline_profile.core.fold import merge
from wayline_profile.core.tallies import MAX_VALUES

BASKET = {"kind": "average", "event": "Order Completed", "property": "total"}
CHEAPEST = {"kind": "min", "event": "Order Completed", "property": "total", "default": 999.0}
DEAREST = {**CHEAPEST, "kind": "max", "default": 0}
FAVOURITE = {"kind": "most_frequent", "event": "Order Completed", "property": "brand", "default": "none yet"}
SPEND = {"kind": "sum", "event": "Order Completed", "property": "total"}


def bought(days_ago: float = 0, **properties: Any) -> events_pb2.Event:
    return track("Order Completed", properties, at_ms=NOON_MS - int(days_ago * DAY_MS))


def test_the_average_basket_is_that_of_the_orders_that_had_a_total() -> None:
    assert value_after(BASKET, [bought(total=10), bought(total=25.5), bought(), bought(total="free")]) == 17.75


def test_the_cheapest_and_the_dearest_order() -> None:
    orders = [bought(total=20), bought(total=-5.5), bought(total=90), bought(total="free")]
    assert value_after(CHEAPEST, orders) == -5.5
    assert value_after(DEAREST, orders) == 90.0


@pytest.mark.parametrize(
    ("trait", "expected"), [(BASKET, 0.0), (CHEAPEST, 999.0), (DEAREST, 0.0), (FAVOURITE, "none yet")]
)
@pytest.mark.parametrize("orders", [[], [bought()]], ids=["no order", "an order without the property"])
def test_without_evidence_there_is_the_default(trait: Mapping[str, Any], expected: Any, orders: list[Any]) -> None:
    assert value_after(trait, orders) == expected
    assert value_after({**trait, "window": "30d"}, orders) == expected


def test_the_most_frequent_brand_and_of_equals_the_first_by_name() -> None:
    assert (
        value_after(FAVOURITE, [bought(brand=brand) for brand in ("Passo", "Fell", "Passo", "Fell", "Passo")])
        == "Passo"
    )
    assert value_after(FAVOURITE, [bought(brand=brand) for brand in ("Passo", "Fell", "Passo", "Fell")]) == "Fell"


def test_a_brand_is_the_most_frequent_for_as_long_as_its_orders_are_in_the_window() -> None:
    trait = {**FAVOURITE, "window": "30d"}
    orders = [bought(28, brand="Passo"), bought(28, brand="Passo"), bought(1, brand="Fell")]
    assert value_after(trait, orders) == "Passo"
    assert value_after(trait, orders, NOON_MS + 4 * DAY_MS) == "Fell"
    assert value_after(trait, orders, NOON_MS + 40 * DAY_MS) == "none yet"


def test_the_cheapest_order_of_the_month_leaves_with_the_month() -> None:
    trait = {**CHEAPEST, "window": "30d"}
    orders = [bought(29, total=5), bought(2, total=50)]
    assert value_after(trait, orders) == 5.0
    assert value_after(trait, orders, NOON_MS + 3 * DAY_MS) == 50.0
    assert value_after(trait, orders, NOON_MS + 30 * DAY_MS) == 999.0


def test_a_late_order_counts_in_the_average_of_its_own_time() -> None:
    trait = {**BASKET, "window": "30d"}
    assert value_after(trait, [bought(0, total=10), bought(10, total=30), bought(40, total=1_000)]) == 20.0


@pytest.mark.parametrize(("window", "length_ms"), [("1h", HOUR_MS), ("365d", 365 * DAY_MS)])
def test_windows_are_from_an_hour_to_a_year(window: str, length_ms: int) -> None:
    until_ms = expiry_after({**BASKET, "window": window}, [bought(total=10)])
    assert NOON_MS + length_ms < until_ms <= NOON_MS + length_ms + length_ms // 48 + 1


def test_more_values_than_there_is_room_for_leave_the_counts_of_those_that_are_kept_whole() -> None:
    many = [bought(brand=f"brand-{number:04}") for number in range(MAX_VALUES + 10)]
    twice = [bought(brand="brand-0003"), *many, *(bought(brand="brand-1005") for _ in range(5))]
    assert value_after(FAVOURITE, twice) == value_after(FAVOURITE, twice[::-1]) == "brand-0003"


def test_the_first_values_by_name_are_told_apart_in_whatever_order_they_come() -> None:
    reading = a_reading(it={"kind": "distinct", "event": "Order Completed", "property": "brand"})
    many = [bought(brand=f"brand-{number:04}") for number in range(MAX_VALUES + 10)]
    for orders in (many, many[::-1]):
        kept = state_of(folded(orders, reading), reading).values.values
        assert (len(kept), kept[0], kept[-1]) == (MAX_VALUES, "brand-0000", "brand-0999")


def test_a_sum_of_prices_does_not_depend_on_their_order() -> None:
    prices = [0.1, 0.2, 0.3, 19.99, 1e15, -1e15]
    assert value_after(SPEND, [bought(total=price) for price in prices]) == 20.59
    assert value_after(SPEND, [bought(total=price) for price in prices[::-1]]) == 20.59


@pytest.mark.parametrize("amount", [1.7e308, -1.7e308, float("inf"), float("nan")])
def test_an_amount_that_no_shop_takes_is_none(amount: float) -> None:
    assert value_after(SPEND, [bought(total=5), bought(total=amount), bought(total=amount)]) == 5.0
    assert value_after(DEAREST, [bought(total=5), bought(total=amount)]) == 5.0


@pytest.mark.parametrize("kind", ["sum", "average", "min", "max", "distinct", "most_frequent"])
@pytest.mark.parametrize("window", [{}, {"window": "24h"}], ids=["ever", "24h"])
def test_customers_whose_orders_had_no_total_become_one(kind: str, window: dict[str, str]) -> None:
    reading = a_reading(it={"kind": kind, "event": "Order Completed", "property": "total", **window})
    empty, one = folded([bought()], reading), folded([bought(total=3)], reading)
    assert state_of(merge(empty, empty, reading.definitions), reading) == state_of(empty, reading)
    assert state_of(merge(empty, one, reading.definitions), reading) == state_of(one, reading)
    assert state_of(merge(one, empty, reading.definitions), reading) == state_of(one, reading)
