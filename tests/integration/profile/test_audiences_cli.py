"""`wayline audiences`, from the command line down to a running profile service on a real NATS server."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext
from tests.support.audiences import Served, serving_audiences

from wayline.identity import identity_key


@pytest.fixture
async def service(js: JetStreamContext, nats_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """A shop with three customers."""
    async with serving_audiences(js, nats_url, tmp_path / "store") as served:
        yield served


async def run(service: Served, *arguments: str) -> tuple[int, str, str]:
    """Run the command: exit code, standard output, and standard error on one line."""
    command = [sys.executable, "-c", "from wayline.cli import main; main()", "audiences", *arguments]
    done = await asyncio.to_thread(
        subprocess.run, [*command, "--profile", service.address], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, " ".join(done.stderr.split())


def names_in(directory: Path) -> list[str]:
    return [one.name for one in directory.iterdir()]


async def as_json(service: Served, *arguments: str) -> Any:
    code, said, wrong = await run(service, *arguments, "--json")
    assert code == 0, wrong
    return json.loads(said)


async def test_audiences_and_stages_are_shown(service: Served) -> None:
    _, listed, _ = await run(service, "list")
    assert "buyers" in listed
    assert "66.7%" in listed
    found = await as_json(service, "list")
    assert [(one["name"], one["members"], one["purpose"]) for one in found["audiences"]] == [
        ("buyers", 2, ""),
        ("gone", 0, ""),
        ("regulars", 0, "marketing"),
    ]
    assert found["status"]["judging"] is False
    _, stages, _ = await run(service, "stages")
    assert stages.index("│ aware") < stages.index("│ customer ") < stages.index("│ lost")
    assert (await run(service, "count", "buyers"))[1] == "2 of 3 customers\n"


async def test_a_rule_is_tried(service: Served) -> None:
    _, said, _ = await run(service, "preview", "--rule", 'profile.stage == "aware"')
    assert "1 of all 3 customers (33.3%)" in said
    assert identity_key("user_id", "bob").hex() in said
    code, _, wrong = await run(service, "preview", "--rule", "profile.orderz > 0")
    assert code == 1
    assert "INVALID_ARGUMENT: rule: " in wrong
    assert (await run(service, "preview"))[0] == 2


async def test_members_are_exported_as_csv_and_as_lines(service: Served, tmp_path: Path) -> None:
    file = tmp_path / "buyers.csv"
    code, _, said = await run(
        service, "export", "buyers", "--purpose", "marketing", "--identifiers", "email", "-o", str(file)
    )
    assert (code, said) == (0, "1 members written; 1 left out, who do not allow it")
    with file.open(newline="") as opened:
        (row,) = csv.DictReader(opened)
    assert (row["kind"], row["value"]) == ("email", "ada@example.com")
    assert file.stat().st_mode & 0o777 == 0o600
    _, lines, said = await run(service, "export", "buyers", "--purpose", "none", "--format", "jsonl")
    assert said == "2 members written, whatever they allow"
    assert [json.loads(line)["identifiers"] for line in lines.splitlines()] == [[], []]
    code, _, wrong = await run(service, "export", "buyers", "--purpose", "marketing", "-o", str(file))
    assert (code, "exists; name another file" in wrong) == (1, True)
    with file.open(newline="") as opened:
        assert [one["value"] for one in csv.DictReader(opened)] == ["ada@example.com"]


async def test_an_export_that_is_refused_prints_nothing_and_says_what_there_is(service: Served, nats_url: str) -> None:
    code, lines, wrong = await run(service, "export", "buyers", "--purpose", "marketting")
    assert (code, lines) == (1, "")
    assert "marketing" in wrong
    kind = ("--identifiers", "mail", "--nats", nats_url)
    code, lines, wrong = await run(service, "export", "buyers", "--purpose", "none", *kind)
    assert (code, lines) == (1, "")
    assert "--identifiers: there is no kind of identifier 'mail'" in wrong
    assert "email" in wrong


async def test_an_export_that_fails_leaves_no_file(service: Served, tmp_path: Path) -> None:
    file = tmp_path / "nobody.csv"
    code, _, wrong = await run(service, "export", "nobody", "--purpose", "none", "-o", str(file))
    assert code == 1
    assert "NOT_FOUND: audience: there is no audience 'nobody'" in wrong
    assert names_in(tmp_path) == ["store"]
    code, _, wrong = await run(service, "export", "buyers", "--purpose", "none", "-o", str(tmp_path / "no" / "file"))
    assert code == 1
    assert "cannot be written" in wrong
