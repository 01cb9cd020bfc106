"""`wayline audit`: who did what to whose data, and whether the log was tampered with."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wayline.cli import program, support

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from rich.table import Table

    from wayline.audit import Line

app = typer.Typer(
    help="See who did what to whose data, and check the log.\n\n"
    "Examples:\n\n- `wayline audit list --since 24h`\n\n- `wayline audit verify`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
_MOST_NAME = 10
_ID = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24,}\b")
_IS_HELD = "is in the log as it was signed"
_IS_OLD = "is not in the log any more: the log begins behind it"
_IS_GONE = "is MISSING from the log"
_IS_OTHER = "is NOT what was signed"


@app.command("list")
def list_entries(
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="The latest so many.")] = 50,
    since: Annotated[str | None, typer.Option(metavar="AGE|TIME", help="Since then: 90m, 24h, 7d, or a time.")] = None,
    action: Annotated[str, typer.Option("--action", help="Only this action, for instance customer.erase.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Only about this profile id, or those that begin so.")] = "",
    customer: Annotated[
        str,
        typer.Option(
            "--customer", metavar="KIND:VALUE", help="Only about the customer with this user_id, or what stands for it."
        ),
    ] = "",
    actor: Annotated[str, typer.Option("--actor", help="Only by this person, as --as named her.")] = "",
    nats: support.Nats = support.NATS_URL,
    as_json: support.Json = False,
) -> None:
    """List the latest entries, oldest first. Customers are named by the hash that is their profile's id.

    That is the hash of the foremost identifier: the user_id, if there is one, else the email, and so on.

    Examples:

    - `wayline audit list`

    - `wayline audit list --action customer.erase --since 30d`

    - `wayline audit list --customer user_id:ada --json`
    """
    if customer:
        subject = _profile_id(customer)
    at = program.moment(since, datetime.now(UTC), "--since") if since else None

    def wanted(line: Line) -> bool:
        entry = line.entry
        return (
            (not action or entry.action == action)
            and entry.subject.startswith(subject)
            and (not actor or entry.actor == actor)
            and (at is None or entry.time.ToDatetime(UTC) >= at)
        )

    lines = asyncio.run(_read(nats, limit, wanted))
    if as_json:
        support.print_json([_plain(line) for line in lines])
        return
    if not lines:
        support.out.print("No such entry.")
        return
    support.out.print(render(lines))
    support.out.print("… is cut: --json has it whole. --subject takes the beginning of an id.", style="dim")


@app.command()
def verify(
    receipt: Annotated[
        Path | None,
        typer.Option(
            "--receipt", help="A receipt of an erasure: is its entry in the log?", exists=True, dir_okay=False
        ),
    ] = None,
    nats: support.Nats = support.NATS_URL,
    as_json: support.Json = False,
) -> None:
    """Check that no entry was changed, added or taken out in between. Exit code 1 when one was.

    Whether entries were taken off the end shows by a hash that was kept elsewhere. The last entry's is printed, and
    receipts of erasures hold one each: give one with `--receipt`, after `wayline receipts verify` has found it genuine.

    Examples:

    - `wayline audit verify`

    - `wayline audit verify --receipt receipt.json`

    - `wayline audit verify --json > audit-september.json`
    """
    kept = _kept_in(receipt) if receipt else None
    found = asyncio.run(_verify(nats, kept))
    if as_json:
        support.print_json(found)
    elif found["broken_at"]:
        support.err.print(f"TAMPERED WITH: the chain is broken at {_listed(found['broken_at'])}", style="bold red")
        support.err.print("At each, it or the entry before is not what was written. See them: wayline audit list")
    elif not found["entries"]:
        support.out.print("The audit log is empty.")
    else:
        support.out.print(f"{found['entries']:,} entries: the chain holds", style="green")
        support.out.print(f"last: {found['last']} {found['sha256']}", markup=False, highlight=False)
    if kept and not as_json:
        style = "green" if found["receipt"] == _IS_HELD else "yellow" if found["receipt"] == _IS_OLD else "bold red"
        support.out.print(f"the receipt's entry, {kept[0]}, {found['receipt']}", style=style, highlight=False)
    if found["broken_at"] or (kept and found["receipt"] not in (_IS_HELD, _IS_OLD)):
        raise typer.Exit(1)


async def _read(nats: str, limit: int, wanted: Any) -> list[Line]:
    from wayline.audit import entries

    kept: deque[Line] = deque(maxlen=limit)
    async with support.connection(nats) as client:
        async for line in entries(client):
            if wanted(line):
                kept.append(line)
    return list(kept)


def _kept_in(receipt: Path) -> tuple[int, str]:
    """The entry that a receipt names, and its hash."""
    from wayline.receipts import MAX_BYTES

    with receipt.open(encoding="utf-8", errors="replace") as opened:
        text = opened.read(MAX_BYTES)
    try:
        named = json.loads(text)["audit"]
        return int(named["sequence"]), str(named["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise typer.BadParameter("--receipt: expected a receipt, as `wayline customers erase -o` writes it") from None


async def _verify(nats: str, kept: tuple[int, str] | None) -> dict[str, Any]:
    from wayline.audit import anchor, entries

    count = first = last = 0
    broken: list[int] = []
    async with support.connection(nats) as client:
        async for line in entries(client):
            count, first, last = count + 1, first or line.sequence, line.sequence
            if not line.intact:
                broken.append(line.sequence)
        end = await anchor(client, last) if last else None
        named = await anchor(client, kept[0]) if kept else None
    found = {"entries": count, "last": last, "sha256": end.digest.hex() if end else "", "broken_at": broken}
    if kept:
        is_old = named is None and kept[0] < first
        is_held = named is not None and named.digest.hex() == kept[1]
        found["receipt"] = _IS_OLD if is_old else _IS_HELD if is_held else _IS_GONE if named is None else _IS_OTHER
    return found


def _profile_id(customer: str) -> str:
    """The hash of an identifier: entries about an erased customer are found by who knows the identifier still."""
    from wayline.cli.customers import identifier_of
    from wayline.identity import check_identifier

    return check_identifier(identifier_of(customer), "customer").hex()


def _plain(line: Line) -> dict[str, Any]:
    return {"sequence": line.sequence, "intact": line.intact, **support.plain(line.entry)}


def render(lines: list[Line]) -> Table:
    """A line for each entry, ids by what they begin with."""
    from rich.table import Table
    from rich.text import Text

    # An entry a line on eighty columns: only the last two are cut, and say so.
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    for heading in ("Seq", "Time (UTC)", "Who", "Action", "Outcome"):
        table.add_column(heading, no_wrap=True, max_width=_MOST_NAME if heading == "Who" else None)
    for heading, least in (("About", 9), ("Reason", 6)):
        table.add_column(heading, min_width=least)
    for line in lines:
        entry = line.entry
        about = " ".join((entry.subject, *(f"{name}={value}" for name, value in sorted(entry.facts.items()))))
        about = _ID.sub(r"\1…", about)
        cells = (
            str(line.sequence),
            f"{entry.time.ToDatetime(UTC):%Y-%m-%d %H:%M:%S}",
            entry.actor,
            entry.action,
            entry.outcome if line.intact else "TAMPERED",
            about,
            entry.reason,
        )
        shown = (Text(support.printable(cell), no_wrap=True, overflow="ellipsis") for cell in cells)
        table.add_row(*shown, style="" if line.intact else "bold red")
    return table


def _listed(sequences: list[int]) -> str:
    shown = ", ".join(map(str, sequences[:10]))
    return shown if len(sequences) <= 10 else f"{shown} and {len(sequences) - 10} more"
