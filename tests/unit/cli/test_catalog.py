from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.support.catalogs import BROKEN, GOOD
from typer.testing import CliRunner

from wayline.catalog.examples import example_path
from wayline.catalog.load import load
from wayline.cli import app
from wayline.cli.catalog_view import render

RUN = CliRunner()


def test_a_good_catalogue_is_counted():
    result = RUN.invoke(app, ["catalog", "validate", str(GOOD / "one_file.yaml")])

    assert result.exit_code == 0
    assert "no problems; 1 actions with 1 treatments" in result.output


def test_a_problem_is_shown_with_its_line_and_a_caret_below_the_column():
    path = BROKEN / "unknown_placement.yaml"

    result = RUN.invoke(app, ["catalog", "validate", str(path)])

    assert result.exit_code == 1
    head, line, caret, count = result.stderr.splitlines()
    assert head.startswith(
        f"{path}:16:30: issues[sales].groups[shoes].actions[red-shoes].treatments[a].placements[0]: "
    )
    assert line.endswith("placements: [web.hreo]")
    assert line[caret.index("^") :] == "web.hreo]"
    assert count == "1 problem"


def test_a_long_line_is_cut_around_the_column(tmp_path: Path):
    path = tmp_path / "a.yaml"
    path.write_text("traits: {" + ", ".join(f"t{n}: {{kind: attribute}}" for n in range(99)) + ", x: {kind: cuont}}\n")

    result = RUN.invoke(app, ["catalog", "validate", str(path)])

    _, line, caret, _ = result.stderr.splitlines()
    assert len(line) < 200
    assert line[caret.index("^") :] == "cuont}}"


def test_problems_as_json():
    result = RUN.invoke(app, ["catalog", "validate", "--json", str(BROKEN / "value_is_text.yaml")])

    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["valid"] is False
    assert said["problems"] == [
        {
            "file": str(BROKEN / "value_is_text.yaml"),
            "line": 14,
            "column": 20,
            "path": "issues[sales].groups[shoes].actions[red-shoes].value",
            "message": "expected a number, got 'ten'",
        }
    ]


def test_figures_as_json():
    result = RUN.invoke(app, ["catalog", "validate", "--json", str(example_path("shoe-shop"))])

    said = json.loads(result.stdout)
    assert said["valid"] is True
    assert said["placements"] == 4


def test_a_path_that_is_not_there_has_no_line_to_show(tmp_path: Path):
    result = RUN.invoke(app, ["catalog", "validate", str(tmp_path / "none")])

    assert result.exit_code == 1
    assert result.stderr.splitlines()[0].endswith("cannot be read: no such file or directory")


@pytest.mark.parametrize("command", ["validate", "apply", "show"])
def test_help_shows_examples(command: str):
    result = RUN.invoke(app, ["catalog", command, "--help"])

    assert "Examples:" in result.output
    assert f"wayline catalog {command}" in result.output


@pytest.mark.parametrize("path", [example_path("shoe-shop"), GOOD / "one_file.yaml"], ids=["shoe-shop", "one-file"])
def test_every_part_of_a_catalogue_can_be_drawn(path: Path):
    console = Console(width=200, record=True, file=StringIO())
    for part in render(load(path), 3):
        console.print(part)
    drawn = console.export_text()

    assert "revision 3" in drawn
    for _, _, action in load(path).actions():
        assert action.id in drawn
