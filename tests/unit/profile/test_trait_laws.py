"""What holds for every kind of trait and every window, whatever the events: over 1,000 generated histories.

`direct` says what each kind means in a line of Python over the raw events; the fold has to agree with it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.events import DAY_MS, HOUR_MS, NOON_MS, track
from tests.support.traits import a_reading, folded

from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core import tallies
from wayline_profile.core.fold import merge
from wayline_profile.core.values import Reading, values_of, view_of, with_defaults

WINDOWS = {"ever": 0, "1h": HOUR_MS, "24h": DAY_MS, "365d": 365 * DAY_MS}
UNITS = {"seconds": 1_000, "minutes": 60_000, "hours": HOUR_MS, "days": DAY_MS}
NEVER = {"seconds": 3_153_600_000, "minutes": 52_560_000, "hours": 876_000, "days": 36_500}


class Order(NamedTuple):
    """What somebody bought, and when."""

    at_ms: int
    total: Any
    brand: Any


def amounts(orders: Sequence[Order]) -> list[Fraction]:
    return [Fraction(one.total) for one in orders if isinstance(one.total, int | float)]


def brands(orders: Sequence[Order]) -> list[str]:
    said = [str(one.brand).lower() if isinstance(one.brand, bool) else one.brand for one in orders]
    return [repr(float(one)) if isinstance(one, int) else one for one in said if one not in ("", None)]


def most_frequent(orders: Sequence[Order]) -> str:
    counts = Counter(brands(orders))
    known = sorted(counts)[: tallies.MAX_VALUES]
    return max(sorted(known), key=lambda brand: counts[brand], default="")


DIRECT: dict[str, Callable[[Sequence[Order]], Any]] = {
    "count": len,
    "sum": lambda orders: float(sum(amounts(orders))),
    "average": lambda orders: float(sum(amounts(orders))) / len(amounts(orders)) if amounts(orders) else -7.0,
    "min": lambda orders: float(min(amounts(orders), default=-7)),
    "max": lambda orders: float(max(amounts(orders), default=-7)),
    "distinct": lambda orders: min(tallies.MAX_VALUES, len(set(brands(orders)))),
    "most_frequent": most_frequent,
}
NUMERIC = ("sum", "average", "min", "max")


def declared(kind: str, window: str) -> dict[str, Any]:
    trait: dict[str, Any] = {"kind": kind, "event": "Order Completed"}
    if kind != "count":
        trait["property"] = "total" if kind in NUMERIC else "brand"
    if kind in ("average", "min", "max"):
        trait["default"] = -7.0
    return trait if window == "ever" else {**trait, "window": window}


TOTALS = {f"{kind}_{window}": declared(kind, window) for kind in DIRECT for window in WINDOWS}
RECENCIES = {f"since_{unit}": {"kind": "recency", "event": "Order Completed", "unit": unit} for unit in UNITS}
DERIVED: dict[str, dict[str, Any]] = {
    "spend_per_order": {"kind": "ratio", "of": "sum_24h", "per": "count_ever", "default": -1},
    "orders_per_brand": {"kind": "ratio", "of": "count_24h", "per": "distinct_1h"},
    "is_new": {"kind": "rule", "rule": "profile.count_ever < 2", "default": True},
    "is_at_risk": {"kind": "rule", "rule": "profile.since_days >= 2 && !profile.is_new"},
    "stage": {
        "kind": "rule",
        "rule": 'profile.is_at_risk ? "at risk" : profile.is_new ? "new" : profile.most_frequent_24h',
        "type": "string",
        "default": "new",
    },
    "worth": {"kind": "rule", "rule": "profile.average_ever * 2.0", "type": "number", "default": -14},
    "each_day": {"kind": "rule", "rule": "profile.count_ever * 10 / profile.since_days", "type": "integer"},
}
TRAITS = {**TOTALS, **RECENCIES, **DERIVED}
READING = a_reading(**TRAITS)


def direct(orders: Sequence[Order], now_ms: int) -> dict[str, Any]:
    """The value of every trait, straight from the events."""
    values: dict[str, Any] = {}
    for name in TOTALS:
        kind, _, window = name.rpartition("_")
        values[name] = DIRECT[kind](within(WINDOWS[window], orders, now_ms))
    latest = max((one.at_ms for one in orders), default=None)
    for unit, unit_ms in UNITS.items():
        values[f"since_{unit}"] = NEVER[unit] if latest is None else max(0, now_ms - latest) // unit_ms
    count = values["count_ever"]
    values["spend_per_order"] = values["sum_24h"] / count if count else -1.0
    values["orders_per_brand"] = values["count_24h"] / values["distinct_1h"] if values["distinct_1h"] else 0.0
    values["is_new"] = count < 2
    values["is_at_risk"] = values["since_days"] >= 2 and count >= 2
    rest = "new" if values["is_new"] else values["most_frequent_24h"]
    values["stage"] = "at risk" if values["is_at_risk"] else rest
    values["worth"] = values["average_ever"] * 2.0
    values["each_day"] = count * 10 // values["since_days"] if values["since_days"] else 0
    return values


def within(window_ms: int, orders: Sequence[Order], now_ms: int) -> Sequence[Order]:
    """The orders whose forty-eighth of the window reaches into it."""
    width_ms = -(-window_ms // 48)
    return [one for one in orders if not window_ms or (one.at_ms // width_ms + 1) * width_ms > now_ms - window_ms]


ages_ms = st.one_of(
    st.integers(0, 2 * HOUR_MS), st.integers(0, 2 * DAY_MS), st.integers(0, 400 * DAY_MS), st.sampled_from([0, DAY_MS])
)
prices = st.one_of(
    st.floats(-1e6, 1e6),
    st.sampled_from([0.1, 0.2, 19.99, 1e16, -1e16, 1e99, -1e99, 5e-324, -0.0]),
    st.integers(-100, 100),
    st.sampled_from(["free", True, None]).map(lambda one: f"{one}"),
)
orders_ = st.lists(
    st.builds(
        Order,
        ages_ms.map(lambda age_ms: NOON_MS - age_ms),
        prices,
        st.sampled_from(["Fell", "Passo", 7, True, "", None]),
    ),
    max_size=14,
)
later_ms = st.one_of(st.just(0), st.integers(0, 2 * HOUR_MS), st.integers(0, 3 * DAY_MS), st.integers(0, 800 * DAY_MS))


def events_of(orders: Sequence[Order]) -> list[events_pb2.Event]:
    return [
        track("Order Completed", one._asdict(), user="u", at_ms=one.at_ms, message_id=f"m{number:02}")
        for number, one in enumerate(orders)
    ]


def bytes_of(profile: profile_pb2.Profile) -> bytes:
    return profile.SerializeToString(deterministic=True)


def values_at(profile: profile_pb2.Profile, reading: Reading, now_ms: int) -> dict[str, Any]:
    return with_defaults(values_of(profile, reading, now_ms)[0], reading)


@pytest.fixture(scope="module", params=[1_000, 2], ids=["room for all values", "room for two values"], autouse=True)
def _room(request: pytest.FixtureRequest) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tallies, "MAX_VALUES", request.param)
        yield


@given(orders_, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_events_leaves_no_trace_in_the_bytes(orders: list[Order], rng: random.Random) -> None:
    events = events_of(orders)
    shuffled = rng.sample(events, len(events))
    assert bytes_of(folded(shuffled, READING)) == bytes_of(folded(events, READING))


@given(orders_, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_customers_that_became_one_are_as_if_they_always_had_been(orders: list[Order], rng: random.Random) -> None:
    events = events_of(orders)
    parts: list[list[events_pb2.Event]] = [[], [], []]
    for event in events:
        rng.choice(parts).append(event)
    one, two, three = (folded(part, READING) for part in parts)
    whole = bytes_of(folded(events, READING))
    definitions = READING.definitions
    assert bytes_of(merge(merge(one, two, definitions), three, definitions)) == whole
    assert bytes_of(merge(three, merge(two, one, definitions), definitions)) == whole


@given(orders_, later_ms)
@settings(max_examples=200, deadline=None)
def test_every_value_is_what_the_events_say_directly(orders: list[Order], after_ms: int) -> None:
    now_ms = NOON_MS + after_ms
    assert values_at(folded(events_of(orders), READING), READING, now_ms) == direct(orders, now_ms)


@cache
def reading_of_one(name: str) -> Reading:
    """A catalogue with one trait, and those that it is made of: with all others, no view would be good for long."""
    needed = {
        "spend_per_order": ("sum_24h", "count_ever"),
        "orders_per_brand": ("count_24h", "distinct_1h"),
        "is_new": ("count_ever",),
        "is_at_risk": ("since_days", "is_new", "count_ever"),
        "stage": ("is_at_risk", "is_new", "most_frequent_24h", "count_ever", "since_days"),
        "worth": ("average_ever",),
        "each_day": ("count_ever", "since_days"),
    }.get(name, ())
    return a_reading(**{one: TRAITS[one] for one in (name, *needed)})


@given(orders_, st.sampled_from(sorted(TRAITS)), later_ms, st.lists(st.floats(0, 1), max_size=5))
@settings(max_examples=250, deadline=None)
def test_a_view_holds_until_it_says_that_it_no_longer_does(
    orders: list[Order], name: str, after_ms: int, moments: list[float]
) -> None:
    reading, now_ms = reading_of_one(name), NOON_MS + after_ms
    profile = folded(events_of(orders), reading)
    view = view_of(profile, reading, now_ms, version=1)
    end_ms = view.valid_until_ms or now_ms + 4_000 * DAY_MS
    assert end_ms > now_ms
    for moment in (0.0, *moments, 1.0):
        at_ms = now_ms + int(moment * (end_ms - 1 - now_ms))
        assert view_of(profile, reading, at_ms, version=1).traits == view.traits
    assert values_at(profile, reading, end_ms - 1)[name] == direct(orders, end_ms - 1)[name]


@given(orders_, later_ms)
@settings(max_examples=50, deadline=None)
def test_a_view_says_what_the_profile_says(orders: list[Order], after_ms: int) -> None:
    now_ms = NOON_MS + after_ms
    profile = folded(events_of(orders), READING)
    traits = READING.schema.traits.FromString(view_of(profile, READING, now_ms, version=1).traits)
    assert {name: getattr(traits, name) for name in TRAITS} == values_at(profile, READING, now_ms)
