"""What rules gave lately: remembered or evaluated anew, they give the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.traits import a_reading

from wayline_profile.core.remembered import RememberedRules

TRAITS = {
    "orders": {"kind": "count", "event": "Order Completed"},
    "spend": {"kind": "sum", "event": "Order Completed", "property": "total"},
    "city": {"kind": "attribute"},
    "colours": {"kind": "affinity", "event": "page", "property": "color", "half_life": "7d"},
    "points": {"kind": "rule", "rule": "profile.orders * 10", "type": "integer"},
    "is_negative": {"kind": "rule", "rule": "1.0 / profile.spend < 0.0"},
    "place": {"kind": "rule", "rule": "profile.points > 10 ? profile.city : 'none'", "type": "string"},
}
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "orders": st.integers(0, 3),
        "spend": st.sampled_from([0.0, -0.0, 1.0, -1.0, float("inf")]),
        "city": st.sampled_from(["", "None", "''", "0", "Oslo"]),
    },
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(VALUES, st.sampled_from([(), ("points",), ("place",)])), max_size=30), st.integers(1, 5))
@example([({"spend": 0.0}, ()), ({"spend": -0.0}, ())], 5)
@example([({"orders": 2, "city": "None"}, ()), ({"orders": 2}, ())], 5)
def test_whatever_came_before_the_rules_give_what_they_give_when_evaluated_anew(
    asked: list[tuple[dict[str, Any], tuple[str, ...]]], most: int
) -> None:
    reading = a_reading(**TRAITS)
    assert reading.rules is not None
    remembered = RememberedRules(reading.rules, reading.traits, most=most)
    for values, withheld in asked:
        anew, again = reading.schema.traits(**values), reading.schema.traits(**values)
        assert remembered.fill(again, values, withheld) == reading.rules.fill(anew, withheld)
        assert again.SerializeToString(deterministic=True) == anew.SerializeToString(deterministic=True)


class Counted:
    """Rules that count how often they are evaluated."""

    def __init__(self) -> None:
        self.times = 0

    def fill(self, profile: Any, withheld: Any = ()) -> dict[str, Any]:
        self.times += 1
        return {}


@pytest.mark.parametrize(
    ("rule", "times"),
    [
        ("profile.orders > 1", 1),
        ("'red' in profile.colours", 2),
        ("profile == profile", 2),
    ],
)
def test_rules_are_evaluated_once_for_equal_values_but_each_time_over_affinities_and_whole_profiles(
    rule: str, times: int
) -> None:
    reading = a_reading(**{**TRAITS, "it": {"kind": "rule", "rule": rule}})
    counted = Counted()
    remembered = RememberedRules(counted, reading.traits)  # type: ignore[arg-type]
    for _ in range(2):
        remembered.fill(reading.schema.traits(orders=2), {"orders": 2})
    assert counted.times == times


def test_rules_that_read_other_traits_are_remembered_apart() -> None:
    reading = a_reading(**TRAITS, many={"kind": "rule", "rule": "profile.orders > 1"})
    assert reading.rules is not None
    counted = Counted()
    remembered = RememberedRules(counted, reading.traits)  # type: ignore[arg-type]
    for values in ({"orders": 1, "spend": 1.0}, {"orders": 2, "spend": 2.0}, {"orders": 2, "spend": 1.0}):
        remembered.fill(reading.schema.traits(**values), values)
    assert counted.times == 2, "the third has the orders of the second and the spend of the first"
