from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console

from wayline.cli.quality_view import MOST_ROWS, render
from wayline.quality import OTHER
from wayline.quality_report import Row
from wayline.v1.quality_pb2 import QualityFigures

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)


def shown(*rows: Row) -> str:
    console = Console(width=220, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        for part in render(rows, NOW - timedelta(days=1), NOW):
            console.print(part)
    return captured.get()


def row(source: str = "web", event: str = "Order", before: int | None = None, **values: Any) -> Row:
    return Row(source, event, QualityFigures(**values), before)


def test_a_change_is_shown_with_its_sign():
    assert "-50%" in shown(row(accepted=50, before=100))
    assert "+25%" in shown(row(accepted=125, before=100))


def test_what_was_not_there_a_week_before_is_new():
    assert "new" in shown(row(accepted=1, before=0))


def test_refused_events_are_shown_by_reason_and_purpose():
    text = shown(row(accepted=1, refused={"no_consent": 2, "missing": 5}, without_consent={"analytics: denied": 2}))

    assert "87.5%" in text
    assert "- web, Order: refused: missing 5, no_consent 2; without consent: analytics: denied 2" in text


def test_the_most_frequent_unplanned_properties_are_named():
    names = {"gift": 9, "voucher": 8, "a": 7, "b": 6, "c": 5, "d": 4, "e": 3, OTHER: 1}

    assert "gift 9, voucher 8, a 7, b 6, c 5, d 4 and 2 more" in shown(row(accepted=1, unplanned_properties=names))


def test_what_senders_call_things_is_no_markup():
    assert "[red]web[/red]" in shown(row(source="[red]web[/red]", accepted=1))


def test_ages_have_units_that_people_read():
    one = QualityFigures(accepted=100)
    one.freshness.count, one.freshness.max_ms = 100, 200_000_000
    one.freshness.buckets.update({33: 98, 110: 2})

    text = shown(Row("web", "Order", one, None))

    assert "304 ms" in text
    assert "2.2 d" in text


def test_a_long_report_says_that_there_is_more():
    text = shown(*(row(event=f"E{i}", accepted=1) for i in range(MOST_ROWS + 3)))

    assert "3 more; see --source, --event, or --json" in text


def test_no_events_are_said_in_words():
    assert "No events from 2026-09-20 12:00 to 2026-09-21 12:00 UTC." in shown()
