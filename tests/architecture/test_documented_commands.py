"""Every `wayline …` that README.md and docs/*.md print is a command, with the options that it is given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from wayline.cli import app

ROOT = Path(__file__).parents[2]
PROGRAM = typer.main.get_command(app)
_OF_ANY = {"--help", "--version"}
_ENDS = {">", "|", "&", "&&", ";", "…"}
_COMMAND = re.compile(r"(?:\$ )?(?:WAYLINE_\w+=\S+ )*wayline((?:\s+\S+)+)")


def printed_commands() -> Iterator[tuple[str, str]]:
    """Where a command stands, and its arguments: lines of code blocks, and what is between single backticks."""
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, part in enumerate(document.read_text().split("```")):
            texts = part.splitlines() if number % 2 else re.findall(r"`([^`]+)`", part)
            for text in texts:
                if found := _COMMAND.fullmatch(" ".join(text.split())):
                    yield document.name, found[1].strip()


PRINTED = list(dict.fromkeys(printed_commands()))


def problem_with(arguments: str) -> str | None:
    """What the program does not know of it; None: it knows all."""
    command: Any = PROGRAM
    names: list[str] = []
    options = set(_OF_ANY)
    for word in shlex.split(arguments, comments=True):
        if word in _ENDS:
            break
        if word.startswith("-") and word != "-":
            options |= {one for each in command.params for one in (*each.opts, *each.secondary_opts)}
            if word.partition("=")[0] not in options:
                return f"'wayline {' '.join(names)}' has no option {word}"
        elif isinstance(command, TyperGroup):
            if word not in command.commands:
                return f"'wayline {' '.join(names)}' has no command {word}"
            names.append(word)
            command = command.commands[word]
    return None


@pytest.mark.parametrize(("document", "arguments"), PRINTED, ids=[f"{one}: {line}" for one, line in PRINTED])
def test_a_command_that_the_documents_print_exists_and_knows_its_options(document: str, arguments: str) -> None:
    assert problem_with(arguments) is None, document


def test_commands_are_found_where_the_documents_print_them() -> None:
    assert ("rights.md", "receipts verify receipt.json") in PRINTED  # in a block
    assert ("quality.md", "quality report --since 1h") in PRINTED  # in a sentence
    assert len(PRINTED) > 50


def test_a_command_or_an_option_that_there_is_not_is_noticed() -> None:
    assert problem_with("decisions explain ID") == "'wayline decisions' has no command explain"
    assert problem_with("quality --json") == "'wayline quality' has no option --json"
    assert problem_with("up --port-base 9000 --colour") == "'wayline up' has no option --colour"
