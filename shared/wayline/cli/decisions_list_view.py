"""The list of recorded decisions, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from wayline.cli.support import printable


def render(found: dict[str, Any]) -> Iterator[RenderableType]:
    """What `wayline decisions list` prints, of what `wayline_decision.list_many` gives."""
    if not found["decisions"]:
        yield f"No such decision: {found['read']:,} were looked at."
        return
    # On eighty columns, with the id whole: it is what the other commands want.
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    table.add_column("Time (UTC), decision", no_wrap=True)
    for heading in ("For whom", "Chosen"):
        table.add_column(heading, overflow="fold")
    for one in found["decisions"]:
        customer = printable(f"{one['customer']['kind']}:{one['customer']['value']}")
        table.add_row(
            Text.assemble((_time(one["decided_at"]), "bold"), "\n", one["decision_id"]),
            Text.assemble(customer, "\n", (_personal(one["personalisation"]), "dim")),
            Text("\n").join(_chosen(each) for each in one["placements"]),
        )
    yield table
    yield Text("Why: wayline decisions show ID. Why not: wayline decisions why-not ID ACTION", "dim")


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"


def _personal(constant: str) -> str:
    """'PERSONALISATION_NO_CONSENT' is 'no consent'."""
    return constant.partition("_")[2].lower().replace("_", " ")


def _chosen(placement: dict[str, Any]) -> Text:
    chosen = ", ".join(one["action"] for one in placement["chosen"])
    return Text.assemble(f"{placement['placement']}: ", (chosen, "cyan") if chosen else ("silence", "dim"))
