"""Affinities fade, and neither the order of events nor merges leave a trace in their bytes."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.events import DAY_MS, HOUR_MS, NOON_MS, track
from tests.support.traits import a_reading, folded, value_after

from wayline.v1 import profile_pb2
from wayline_profile.core import affinities
from wayline_profile.core.fold import merge

LEANING = {
    "kind": "affinity",
    "event": ["Viewed", "Bought"],
    "property": "color",
    "half_life": "1h",
    "weights": {"Bought": 2.7},
}
READING = a_reading(colors=LEANING, color={"kind": "top", "of": "colors", "min_weight": 0.2})

visits = st.lists(
    st.tuples(
        st.sampled_from(["Viewed", "Bought"]),
        st.sampled_from(["red", "blue", "white", "black"]),
        st.one_of(st.integers(0, 3 * HOUR_MS), st.integers(0, 30 * HOUR_MS), st.sampled_from([0, HOUR_MS])),
    ),
    max_size=20,
)


@pytest.fixture(params=[200, 2], ids=["room for all values", "room for two values"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(affinities, "MAX_VALUES", request.param)
    return int(request.param)


def bytes_of(profile: profile_pb2.Profile) -> bytes:
    return profile.SerializeToString(deterministic=True)


@given(visits, st.randoms(use_true_random=False), st.integers(0, 20))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_neither_order_nor_merges_leave_a_trace(
    room: int, visits: list[tuple[str, str, int]], rng: random.Random, cut: int
) -> None:
    events = [
        track(name, {"color": color}, user="u", at_ms=NOON_MS - age_ms, message_id=f"m{number:02}")
        for number, (name, color, age_ms) in enumerate(visits)
    ]
    whole = bytes_of(folded(events, READING))
    rng.shuffle(events)
    assert bytes_of(folded(events, READING)) == whole
    one, other = folded(events[:cut], READING), folded(events[cut:], READING)
    assert bytes_of(merge(one, other, READING.definitions)) == whole
    assert bytes_of(merge(other, one, READING.definitions)) == whole


@given(visits, st.integers(0, 40 * HOUR_MS))
def test_a_weight_is_what_the_events_say_directly(visits: list[tuple[str, str, int]], after_ms: int) -> None:
    events = [track(name, {"color": color}, user="u", at_ms=NOON_MS - age_ms) for name, color, age_ms in visits]
    latest = min((age_ms for _, _, age_ms in visits), default=0)
    direct: dict[str, float] = {}
    for name, color, age_ms in visits:
        if age_ms - latest < 19 * HOUR_MS:  # what is older weighs next to nothing, and is dropped at some time
            weight = (2.7 if name == "Bought" else 1.0) * 2.0 ** (-(age_ms + after_ms) / HOUR_MS)
            direct[color] = direct.get(color, 0.0) + weight
    found = value_after(LEANING, events, NOON_MS + after_ms)
    for color, weight in direct.items():
        assert found.get(color, 0.0) == pytest.approx(weight, rel=1e-4, abs=0.0101 if weight < 0.0101 else 0)


def test_an_event_that_is_yet_to_come_weighs_no_more_than_one_of_now() -> None:
    assert value_after(LEANING, [track("Viewed", {"color": "red"}, at_ms=NOON_MS + DAY_MS)], NOON_MS) == {"red": 1.0}
