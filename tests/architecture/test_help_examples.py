"""Every `--help` shows how the command, or one of the group's, is used; and what it shows can be used so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.architecture.test_documented_commands import PROGRAM, problem_with
from typer.core import TyperGroup

_EXAMPLE = re.compile(r"(?:`|\*\*)wayline (.+?)(?:`|\*\*)", re.DOTALL)


def commands(command: Any = PROGRAM, name: str = "") -> Iterator[tuple[str, Any]]:
    """All of them and all groups, by their names as they are typed; the program itself is ''."""
    yield name, command
    if isinstance(command, TyperGroup):
        for below, one in command.commands.items():
            yield from commands(one, f"{name} {below}".strip())


ALL = dict(commands())


def examples(name: str) -> list[str]:
    said = f"{ALL[name].help or ''}\n{ALL[name].epilog or ''}"
    return [" ".join(one.split()) for one in _EXAMPLE.findall(said)]


@pytest.mark.parametrize("name", ALL)
def test_help_has_an_example_of_the_command_itself(name: str) -> None:
    assert any(f"{one} ".startswith(f"{name} ".lstrip()) for one in examples(name))


@pytest.mark.parametrize("name", ALL)
def test_the_examples_of_a_help_page_can_be_used(name: str) -> None:
    assert [problem_with(one) for one in examples(name) if problem_with(one)] == []


def test_examples_are_found_in_groups_and_commands() -> None:
    assert "catalog rollback" in examples("catalog")
    assert "decisions list --customer user_id:ada --since 24h" in examples("decisions list")
    assert problem_with("audiences explain lapsed") == "'wayline audiences' has no command explain"
