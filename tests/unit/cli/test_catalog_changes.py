"""What people read of two catalogues that differ, and of the revisions that are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType
from tests.support.decisions import a_catalog, an_action
from typer.testing import CliRunner

from wayline.catalog.diff import Difference, differences
from wayline.catalog.examples import example_path
from wayline.catalog.revisions import Kept
from wayline.catalog.store import Origin, Uptake
from wayline.cli import app
from wayline.cli.catalog_changes_view import in_words, render_differences, render_history, said_pair

AT = datetime(2026, 11, 24, 4, 30, tzinfo=UTC)


def drawn(parts: Iterable[RenderableType]) -> str:
    console = Console(width=180, record=True, file=StringIO())
    for part in parts:
        console.print(part)
    return console.export_text()


def changed(old: Any, new: Any, field: str = "value") -> Difference:
    return Difference("changed", "action", "red", field, f"issues[sales].groups[shoes].actions[red].{field}", old, new)


def test_a_difference_is_said_with_what_it_was_and_what_it_is():
    old = a_catalog([an_action("red", value=12), an_action("blue"), an_action("old")])
    new = a_catalog(
        [an_action("red", value=14, contact={"caps": {"limit": 1, "window": "7d"}}), an_action("blue", title="Blue")],
        timezone="Europe/Paris",
    )

    said = drawn(render_differences("revision 1", "new/", list(differences(old, new))))

    assert "revision 1 -> new/: 2 actions changed, 1 setting changed, 1 action removed" in said
    assert [" ".join(line.split()) for line in said.splitlines()[1:]] == [
        "changed action red",
        "value 12 -> 14",
        "contact.caps[0] added: outcome impression, limit 1, window 7d, per action",
        "changed action blue",
        'title "" -> Blue',
        "changed setting timezone",
        "UTC -> Europe/Paris",
        "removed action old",
        "group sales/shoes, propensity (base 0.1), treatments main",
    ]


def test_a_number_that_has_decimals_now_differs_to_be_seen():
    assert said_pair(changed(4, 4.0)) == ("4", "4.0")


@pytest.mark.parametrize(
    ("value", "field", "said"),
    [
        (604_800, "window", "7d"),
        (604_800, "total", "604800"),
        (True, "", "true"),
        (["hero", "list"], "placements", "hero, list"),
        ([], "days", "none"),
        ({"rule": "profile.views >\n 1", "because": "Looks"}, "", "profile.views > 1 (Looks)"),
        ([{"rule": "a", "because": ""}, {"rule": "b", "because": "B"}], "eligibility", "a; b (B)"),
        ({"share": 0.5, "control": None, "models": {}}, "", "share 0.5"),
    ],
)
def test_values_are_said_as_the_catalogue_writes_them(value: Any, field: str, said: str):
    assert in_words(value, field) == said


def test_of_long_texts_the_place_where_they_part_is_shown():
    rule = " && ".join(f"profile.trait_{number} > {number}" for number in range(20))

    was, now = said_pair(changed(rule, rule.replace("_15 > 15", "_15 > 99"), "eligibility[0].rule"))

    assert "_15 > 15 &&" in was
    assert "_15 > 99 &&" in now
    assert max(len(was), len(now)) <= 70


def test_a_text_that_only_grew_longer_is_shown_at_its_end():
    was, now = said_pair(changed("x" * 100, "x" * 100 + " and more"))

    assert was.endswith("x")
    assert now.endswith("x and more")


def test_a_catalogue_that_is_wholly_another_does_not_fill_the_screen():
    many = [changed(1.0, 2.0, f"attributes.fact_{number}") for number in range(250)]

    said = drawn(render_differences("revision 1", "revision 2", many))

    assert "… and 50 more: see --json." in said
    assert "1 action changed" in said


def test_what_has_only_another_order_is_said():
    one, other = an_action("red"), an_action("blue")
    found = list(differences(a_catalog([one, other]), a_catalog([other, one])))

    assert "the same in another order" in drawn(render_differences("a", "b", found))


def test_a_revision_is_shown_with_who_applied_it_and_what_became_of_it():
    revisions = [
        Kept(4, AT, Origin("eve\x1b[2J", 2), 26, 9),
        Kept(3, AT, Origin("unknown"), None, None),
        Kept(2, AT, Origin(), 1_200, 8),
    ]

    said = drawn(render_history(revisions, False, 4, Uptake(in_use=2, refused=4, because="no such trait")))

    lines = [" ".join(line.replace("│", " ").split()) for line in said.splitlines()]
    assert "4 2026-11-24 04:30:00 eve [2J 26 9 refused, as revision 2 was" in lines
    assert "3 2026-11-24 04:30:00 not known ? ?" in lines
    assert "2 2026-11-24 04:30:00 not known 1,200 8 serves" in lines
    assert "The decision service refuses revision 4: no such trait" in said
    assert "\x1b" not in said


def test_the_exit_code_does_not_say_whether_anything_differs(tmp_path: Path):
    (tmp_path / "one.yaml").write_text("timezone: Europe/Paris\n")
    run = CliRunner()
    for paths in ((example_path("shoe-shop"), tmp_path), (tmp_path, tmp_path)):
        result = run.invoke(app, ["catalog", "diff", *map(str, paths), "--json"])
        assert result.exit_code == 0, result.output
        assert bool(json.loads(result.stdout)["differences"]) == (paths[0] != paths[1])
