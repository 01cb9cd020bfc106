"""How entries of the audit log are listed."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from wayline.audit import Line
from wayline.cli.audit import render
from wayline.v1.privacy_pb2 import AuditEntry

PROFILE = "ab12cd34" + "0" * 24
ERASURE = "0f8fad5b" + "1" * 24


def an_entry(sequence: int, **fields: object) -> Line:
    entry = AuditEntry(actor="ada", action="customer.restrict", outcome="begun", subject=PROFILE, reason="request 4711")
    for name, value in fields.items():
        setattr(entry, name, value)
    entry.time.FromSeconds(1_790_000_000)
    entry.facts["erasure"] = ERASURE
    return Line(sequence, entry, intact=sequence != 7)


def shown(*lines: Line, width: int = 80) -> list[str]:
    """The lines of the table below its heading, without blanks at their ends."""
    console = Console(width=width, file=StringIO())
    console.print(render(list(lines)))
    assert isinstance(console.file, StringIO)
    text = [line.strip() for line in console.file.getvalue().splitlines()]
    return [line for line in text if line][1:]


def test_every_entry_takes_one_line_of_eighty_columns_with_what_was_done_to_whom() -> None:
    lines = shown(*(an_entry(number) for number in range(10_001, 10_024)), an_entry(10_024, actor="a" * 128))
    assert len(lines) == 24
    for line in lines[:-1]:
        assert line.split()[1:6] == ["2026-09-21", "14:13:20", "ada", "customer.restrict", "begun"]
        assert "ab12cd34…" in line
        assert "reque" in line
    assert "aaaaaaaaa… customer.restrict begun" in " ".join(lines[-1].split())
    assert "ab12cd34…" in lines[-1]


def test_an_entry_that_was_tampered_with_says_so_in_its_line() -> None:
    (line,) = shown(an_entry(7))
    assert "TAMPERED" in line
    assert "ab12cd34…" in line


def test_ids_are_shortened_and_facts_are_whole_where_there_is_room() -> None:
    (line,) = shown(an_entry(1, reason="line one\nline two"), width=160)
    assert "ab12cd34… erasure=0f8fad5b…" in line
    assert "line one line two" in line
