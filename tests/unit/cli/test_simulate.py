from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from typer import BadParameter
from typer.testing import CliRunner

from wayline.cli import app
from wayline.cli.program import moment
from wayline.cli.simulate_view import render

NOW = datetime(2026, 9, 21, 12, 0, tzinfo=UTC)


def shown(result: dict[str, Any]) -> str:
    """What a person reads, without the line breaks of a narrow window."""
    console = Console(file=StringIO(), width=200)
    for part in render(result):
        console.print(part)
    assert isinstance(console.file, StringIO)
    return " ".join(console.file.getvalue().split())


def an_estimate(value: float | None = 0.1) -> dict[str, Any]:
    return {"value": value, "low": 0.05, "high": 0.2, "effective_sample_size": 1_234.5, "n": 2_000}


def a_result(**fields: Any) -> dict[str, Any]:
    """2,000 decisions, of which 500 would change."""
    shift = {"decisions": 2_000, "changed": 500, "share": 0.25}
    moved = {"before": 2_000, "after": 1_500, "gained": 0, "lost": 500}
    value = {
        "reward": "click",
        "outcomes": 200,
        "slots": 2_000,
        "rewards": 200,
        "without_probability": 0,
        "unsupported": 0,
        "recorded": an_estimate(),
        "new": {"ips": an_estimate(), "snips": an_estimate(None), "doubly_robust": an_estimate(0.125)},
        "later_slots": [],
    }
    return {
        "since": "2026-09-20T12:00:00+00:00",
        "until": "2026-09-21T12:00:00+00:00",
        "catalog": {"name": "shop", "revision": None},
        "models": {"accept": 12},
        "fell_back": 0,
        "skipped": {},
        "placements_gone": {},
        "changes": {
            "decisions": shift,
            "actions": {"red": moved},
            "channels": {"web": {**shift, "before": 2_000, "after": 2_000}},
            "segments": {"personalisation": {"full": shift}, "city": {f"[city-{n}]": shift for n in range(15)}},
        },
        "value": {**value, **fields.pop("value", {})},
        **fields,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("24h", NOW - timedelta(days=1)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-09-01T08:00Z", datetime(2026, 9, 1, 8, tzinfo=UTC)),
        ("2026-09-01", datetime(2026, 9, 1, tzinfo=UTC)),
        ("2026-09-01T08:00+02:00", datetime(2026, 9, 1, 6, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_a_time(text: str, expected: datetime):
    assert moment(text, NOW, "--since") == expected


@pytest.mark.parametrize("text", ["", "yesterday", "24", "3w", "-1h", "99999999d"])
def test_since_is_nothing_else(text: str):
    with pytest.raises(BadParameter, match="expected an age such as 90m, 24h or 7d"):
        moment(text, NOW, "--since")


def test_the_result_says_what_changes_and_what_it_is_worth():
    said = shown(a_result())
    assert "with catalogue 'shop', accept version 12, 500 of them would change (25.0%)" in said
    assert "Clicks per first slot" in said
    assert "0.1250" in said
    assert "unknown" in said  # SNIPS without a decision that agrees
    assert "1,234" in said
    assert "[city-3]" in said
    assert "3 more; see --json" in said


def test_what_the_figures_do_not_tell_is_told_below_them():
    said = shown(
        a_result(
            value={"unsupported": 400, "without_probability": 7, "rewards": 0},
            placements_gone={"hero": 3},
            skipped={"context.device": 2},
            fell_back=5,
        )
    )
    assert "400 of 2,000 first slots were filled without exploration" in said
    assert "7 first slots are left out of the estimates" in said
    assert "No click came of these decisions" in said
    assert "The placement 'hero' was asked for 3 times" in said
    assert "5 requests are left out: there was no time" in said
    assert "2 decisions are left out: context.device does not fit" in said


def test_no_decisions_is_one_line():
    nothing = a_result()
    nothing["changes"]["decisions"] = {"decisions": 0, "changed": 0, "share": 0.0}
    assert shown(nothing).endswith("0 of them would change (0.0%).")


def test_a_catalogue_with_a_problem_is_refused_before_anything_is_asked(tmp_path: Any):
    (tmp_path / "bad.yaml").write_text("name: [")
    result = CliRunner().invoke(app, ["simulate", "--catalog", str(tmp_path / "bad.yaml")])
    assert result.exit_code == 1
    assert "bad.yaml" in str(result.exception)


def test_later_slots_have_a_table_of_their_own():
    new = {"ips": an_estimate(), "snips": an_estimate(0.0321), "doubly_robust": an_estimate()}
    second = {"slot": 2, "slots": 1_500, "rewards": 9, "without_probability": 3, "unsupported": 0}
    third = {"slot": 3, "slots": 0, "rewards": 0, "without_probability": 4, "unsupported": 0}
    later = [{**second, "recorded": an_estimate(0.0456), "new": new}, {**third, "recorded": None, "new": None}]
    said = shown(a_result(value={"later_slots": later}))
    assert "Clicks per later slot, given those before it" in said
    assert "│ 2 │ 1,500 │ 0.0456 │ 0.0321 │ 0.0500 to 0.2000 │" in said
    assert "│ 3 │" not in said
    assert "7 later slots are left out, too" in said
    assert "later slot" not in shown(a_result())
