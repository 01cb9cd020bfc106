"""What people read of decisions that were recorded."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from wayline.cli.decisions_list_view import render

ID = "019b3c5e7a10f4c2d8e6b9a1c3d5e7f9"


def drawn(*decisions: dict[str, Any]) -> str:
    console = Console(width=80, record=True, file=StringIO())
    for part in render({"decisions": list(decisions), "read": 1_234}):
        console.print(part)
    return console.export_text()


def a_decision(**fields: Any) -> dict[str, Any]:
    return {
        "decision_id": ID,
        "decided_at": "2026-11-24T04:30:00.123456+00:00",
        "customer": {"kind": "email", "value": "ada@example.com"},
        "personalisation": "PERSONALISATION_NO_CONSENT",
        "placements": [
            {"placement": "hero", "chosen": [{"action": "red", "treatment": "a"}]},
            {"placement": "list", "chosen": []},
        ],
        **fields,
    }


def test_on_eighty_columns_a_decision_has_its_whole_id_and_a_line_for_each_placement():
    said = drawn(a_decision())

    first, second = said.splitlines()[1:3]
    assert first.split() == ["2026-11-24", "04:30:00", "email:ada@example.com", "hero:", "red"]
    assert second.split() == [ID, "no", "consent", "list:", "silence"]


def test_what_a_caller_calls_a_customer_is_no_control_of_the_terminal():
    assert "\x1b" not in drawn(a_decision(customer={"kind": "user_id", "value": "\x1b[2J\nada"}))


def test_that_nothing_was_found_is_said_with_how_many_were_looked_at():
    assert drawn() == "No such decision: 1,234 were looked at.\n"
