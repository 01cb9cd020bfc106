from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from wayline.quality import OTHER
from wayline.quality_report import MAX_ROWS, WEEK, Comparison, as_json_row, event_of
from wayline.v1 import events_pb2
from wayline.v1.quality_pb2 import QualityDelta, QualityFigures

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
_numbers = count(1)


def figures(at: datetime, source: str = "web", event: str = "Order", **values: Any) -> QualityFigures:
    kind = events_pb2.EVENT_TYPE_TRACK if event else values.pop("type", events_pb2.EVENT_TYPE_PAGE)
    return QualityFigures(source=source, event=event, type=kind, minute=int(at.timestamp() // 60), **values)


def delta(*parts: QualityFigures, process: str = "p", number: int | None = None) -> QualityDelta:
    return QualityDelta(process_id=process, number=number or next(_numbers), figures=parts)


def compared(*parts: QualityFigures, since: datetime = NOW - DAY, **only: str) -> Comparison:
    comparison = Comparison(since, NOW, **only)
    comparison.take(delta(*parts))
    return comparison


OLD = figures(NOW - WEEK - 2 * DAY, "old", accepted=1)
"""So that the figures reach back far enough."""


def test_a_period_is_compared_with_the_same_period_a_week_before():
    comparison = compared(
        OLD,
        figures(NOW - timedelta(hours=1), accepted=30, refused={"missing": 3}),
        figures(NOW - timedelta(hours=2), accepted=20, refused={"missing": 1, "too_long": 6}),
        figures(NOW - WEEK - timedelta(hours=3), accepted=100, refused={"missing": 20}),
        figures(NOW - WEEK + timedelta(hours=1), accepted=1_000),
        figures(NOW - 2 * DAY, accepted=1_000),
    )

    (row,) = comparison.rows()

    assert (row.source, row.event, row.volume, row.refused) == ("web", "Order", 60, 10)
    assert (row.before, row.change) == (120, -0.5)
    assert row.figures.refused == {"missing": 4, "too_long": 6}


def test_without_figures_of_the_week_before_nothing_is_compared():
    (row,) = compared(figures(NOW, accepted=1)).rows()

    assert (row.before, row.change) == (None, None)


def test_what_came_a_week_before_and_comes_no_more_is_there():
    (row,) = compared(OLD, figures(NOW - WEEK, accepted=7)).rows()

    assert (row.volume, row.before, row.change) == (0, 7, -1)


def test_what_is_new_has_no_change():
    (row,) = compared(OLD, figures(NOW, accepted=7)).rows()

    assert (row.before, row.change) == (0, None)


def test_a_message_that_was_published_twice_counts_once():
    comparison = Comparison(NOW - DAY, NOW)
    for number in (1, 2, 2, 1, 3):
        comparison.take(delta(figures(NOW, accepted=1), number=number))
    comparison.take(delta(figures(NOW, accepted=1), process="q", number=1))

    assert comparison.rows()[0].volume == 4


def test_a_repetition_is_no_volume():
    (row,) = compared(figures(NOW, accepted=1, duplicates=9)).rows()

    assert row.volume == 1


def test_the_greatest_trouble_comes_first():
    rows = compared(
        figures(NOW, event="Fine", accepted=1_000),
        figures(NOW, event="Refused", accepted=90, refused={"missing": 10}),
        figures(NOW, event="Flagged", accepted=100, flagged=10),
        figures(NOW, event="Late", accepted=100, late=10),
        figures(NOW, event="Denied", accepted=500, refused={"no_consent": 400, "suppressed": 100}),
    ).rows()

    assert [row.event for row in rows] == ["Refused", "Flagged", "Late", "Denied", "Fine"]


def test_a_report_may_be_of_one_source_or_one_event():
    parts = [figures(NOW, source, event, accepted=1) for source in ("web", "app") for event in ("Order", "")]

    assert [(row.source, row.event) for row in compared(*parts, source="app").rows()] == [
        ("app", "Order"),
        ("app", "page"),
    ]
    assert {row.source for row in compared(*parts, event="page").rows()} == {"web", "app"}


def test_beyond_its_limit_a_report_counts_the_rest_together():
    rows = compared(*(figures(NOW, event=f"E{i}", accepted=1) for i in range(MAX_ROWS + 5))).rows()

    assert len(rows) == MAX_ROWS + 1
    assert next(row for row in rows if row.event == OTHER).volume == 5


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (QualityFigures(event="Order", type=events_pb2.EVENT_TYPE_TRACK), "Order"),
        (QualityFigures(type=events_pb2.EVENT_TYPE_IDENTIFY), "identify"),
        (QualityFigures(), "(unreadable)"),
        (QualityFigures(event=OTHER), OTHER),
    ],
)
def test_an_event_is_called_as_people_call_it(one: QualityFigures, name: str):
    assert event_of(one) == name


def test_a_row_for_programs_has_ages_in_seconds():
    one = figures(NOW, accepted=2)
    one.freshness.count, one.freshness.max_ms, one.freshness.sum_ms = 2, 4_000, 5_000
    one.freshness.buckets.update({40: 1, 48: 1})

    (row,) = compared(one).rows()

    plain = as_json_row(row)
    assert plain["freshness_p50_seconds"] == 1.024
    assert plain["freshness_p99_seconds"] == plain["freshness_max_seconds"] == 4.0
    assert plain["volume_week_before"] is None
