"""Figures and their floors."""

from __future__ import annotations

import json

import pytest

from wayline_bench.compiled import core
from wayline_bench.report import Figure, Limit, Report, percentile, percentiles


def test_the_99th_percentile_of_a_hundred_values_is_the_second_largest() -> None:
    assert percentile(list(range(1, 101)), 0.99) == 99


def test_the_median_of_one_value_is_that_value() -> None:
    assert percentiles([4.0]) == {"p50": 4.0, "p99": 4.0}


def test_values_need_not_be_in_order() -> None:
    assert percentile([5.0, 1.0, 3.0], 0.5) == 3.0


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        percentile([], 0.5)


@pytest.mark.parametrize(
    ("limit", "value", "holds"),
    [
        (Limit(least=0.4), 0.4, True),
        (Limit(least=0.4), 0.39, False),
        (Limit(most=120.0), 120.0, True),
        (Limit(most=120.0), 120.1, False),
    ],
)
def test_a_floor_includes_its_own_value(limit: Limit, value: float, holds: bool) -> None:
    assert limit.holds(value) is holds


def test_json_has_every_figure_by_its_key_and_names_what_is_below() -> None:
    report = Report(
        "decide",
        [Figure("ratio", 0.3, "of the limit", Limit(least=0.4)), Figure("load", "own", "who called")],
        ["a note"],
    )
    assert json.loads(json.dumps(report.as_dict())) == {
        "benchmark": "decide",
        "core": core(),
        "ratio": 0.3,
        "load": "own",
        "limits": {"ratio": "at least 0.4"},
        "below": ["ratio"],
        "notes": ["a note"],
    }


def test_a_figure_without_a_floor_is_never_below() -> None:
    assert Figure("echo_per_s", 1.0, "").passed is None
