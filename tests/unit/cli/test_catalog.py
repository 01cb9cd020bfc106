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


def test_what_limits_and_orders_actions_is_drawn_in_words(tmp_path: Path):
    path = tmp_path / "a.yaml"
    path.write_text(
        """\
timezone: Europe/Paris
channels: {web: {}, email: {direction: outbound, quiet_hours: {from: 21:00, to: 08:00}}}
placements:
  web.hero: {channel: web, exploration: {method: squarecb, gamma: 5}, silence: 0.1, diversity: 0.3}
  email.offer: {channel: email, exploration: {method: epsilon_greedy, epsilon: 0.05}}
contact: {caps: {limit: 20, period: day, per: customer, because: Enough}}
holdout: {share: 0.05}
personalise_only: [web.hero]
arbitration:
  formula: propensity * value
  smoothing: {evidence: 50}
  maturity: {}
  floors: {priority: 0.01}
  bundles: [{id: pair, actions: [red, blue]}]
  exclusions: [{id: one, actions: [red, green]}]
experiments:
  - {id: dear, arms: {a: {share: 0.5}, b: {share: 0.5, formula: value}}}
  - {id: impact, layer: impact, arms: {a: {share: 0.5}, b: {share: 0.5, control: random, models: {m: n}, catalog: 3}}}
issues:
  - id: sales
    schedule: {starts: 2026-11-27, ends: 2026-12-01T09:00:00+01:00, days: [fri], hours: {from: 09:00, to: 20:00}}
    groups:
      - id: shoes
        most: 2
        contact: {suppressions: {pause: 30d, per: group, because: Not wanted}}
        actions:
          - id: red
            attributes: {season: winter}
            priority: 5
            control: 0.1
            force: now.getMonth() == 1
            floors: {propensity: 0.01}
            budget: {total: 10000, per_day: 500}
            contact: {caps: {outcome: [click, conversion], limit: 1, window: 7d, channels: email}}
            treatments: [{id: a, placements: [web.hero], variants: {de: {}}}]
          - {id: blue, force: true, treatments: [{id: a, placements: [web.hero]}]}
          - {id: green, treatments: [{id: a, placements: [web.hero]}]}
"""
    )
    console = Console(width=250, record=True, file=StringIO())
    for part in render(load(path), 1):
        console.print(part)
    drawn = console.export_text()

    for words in (
        "time zone Europe/Paris",
        "schedule from 2026-11-27 until 2026-12-01 09:00+0100 fri 09:00 to 20:00",
        "at most 2 in a response",
        "suppression after 1 dismissal within 30d the group pauses for 30d  (Not wanted)",
        "facts season winter",
        "priority 5 · control group 10 %",
        "forced when now.getMonth() == 1",
        "floors propensity at least 0.01",
        "budget 10,000 in all, 500 a day",
        "cap 1 click or conversion per action within 7d on email",
        "cap 20 impression per customer a day  (Enough)",
        "also in de",
        "· forced",
        "formula propensity * value",
        "smoothing base rate and model weigh the same at 50 responses",
        "maturity new outbound actions reach 2 %, all from 200 positive responses on",
        "floors priority at least 0.01",
        "bundle pair: red, blue",
        "exclusion one: one at most of red, green",
        "personalised only web.hero",
        "holdout 5 % of all customers",
        "experiment dear: 100 % of layer default: a 50 %, b 50 % (formula: value)",
        "b 50 % (control: random; m: n; catalogue: revision 3)",
        "squarecb, gamma 5",
        "epsilon_greedy, 5 % by lot",
        "email (outbound)",
        "21:00 to 08:00 (customer)",
    ):
        assert words in drawn


def test_a_plain_catalogue_shows_only_what_it_declares():
    console = Console(width=200, record=True, file=StringIO())
    for part in render(load(BROKEN.parent / "good" / "split"), 1):
        console.print(part)
    drawn = console.export_text()

    assert "For all actions" not in drawn
    assert "exploration" not in drawn
