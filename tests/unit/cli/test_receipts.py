"""Receipts in words, and files that are there whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from wayline.cli import app
from wayline.cli.receipts import check_new, new_file
from wayline.cli.receipts_view import removed


def a_receipt(**counts: int) -> dict[str, Any]:
    streams = {"EVENTS": {"messages": counts.get("events", 0)}, "DEAD_LETTERS": {"messages": counts.get("letters", 0)}}
    streams["DECISIONS"] = {"messages": 2, "records": counts["records"]} if "records" in counts else {"messages": 0}
    gone = {"profiles": ["p"] * counts.get("profiles", 0), "timeline_entries": 1_200, "streams": streams}
    return {"removed": gone | ({} if counts else {"timeline_entries": 0})}


def test_a_receipt_says_in_words_what_was_removed_where():
    assert list(removed(a_receipt(profiles=1, events=1_300, letters=0, records=7))) == [
        "profiles: 1",
        "events in timelines: 1,200",
        "events in the stream: 1,300",
        "dead letters in the stream: 0",
        "decisions in the stream: 7",
    ]
    assert list(removed(a_receipt())) == ["nothing was held"]


@pytest.mark.parametrize("command", ["erase", "export"])
@pytest.mark.parametrize(
    ("name", "said"), [("here.json", "exists; name another"), ("no/where.json", "cannot be written to; name")]
)
def test_nothing_is_asked_for_when_the_answer_has_no_place(tmp_path: Path, command: str, name: str, said: str):
    (tmp_path / "here.json").write_text("mine")
    arguments = ["customers", command, "user_id:ada", "--reason", "r", "--profile", "127.0.0.1:1"]
    yes = ["--yes"] if command == "erase" else []
    result = CliRunner().invoke(app, [*arguments, *yes, "--output", str(tmp_path / name)])
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())
    assert [one.name for one in tmp_path.iterdir()] == ["here.json"]
    assert (tmp_path / "here.json").read_text() == "mine"


def test_a_file_is_for_its_owner_only_and_there_whole_or_not_at_all(tmp_path: Path):
    with pytest.raises(TypeError, match="must be str"), new_file(tmp_path / "export.json") as file:
        file.writelines(["half", None])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []
    with new_file(tmp_path / "export.json") as file:
        file.write("whole")
    assert stat.S_IMODE((tmp_path / "export.json").stat().st_mode) == 0o600
    with pytest.raises(typer.Exit):
        check_new(tmp_path / "export.json")
    with pytest.raises(typer.Exit), new_file(tmp_path / "export.json"):
        pass
    assert (tmp_path / "export.json").read_text() == "whole"


def test_a_file_that_is_no_receipt_is_called_that_and_its_signature_is_not_blamed(tmp_path: Path):
    file, key = tmp_path / "package.json", tmp_path / "key.pem"
    key.write_text("no key is needed to see that")
    for text in ('{"name": "shop", "key": "k"}', "[1, 2]"):
        file.write_text(text)
        result = CliRunner().invoke(app, ["receipts", "verify", str(file), "--key", str(key)])
        said = " ".join(result.output.split())
        assert result.exit_code == 1
        assert "is no receipt of an erasure" in said
        assert "signature" in said
        assert "another key" not in said
