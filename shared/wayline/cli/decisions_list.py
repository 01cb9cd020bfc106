"""`wayline decisions list`: which decisions were made, for whoever has no id to ask for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from wayline.cli import decisions, program, support

app = decisions.app
_PROGRAM = "wayline_decision.list_many"


@app.command("list")
def list_decisions(
    since: Annotated[
        str | None,
        typer.Option(metavar="AGE|TIME", help="Since then: 90m, 24h, 7d, or a time. None: all that is kept."),
    ] = None,
    customer: Annotated[
        str,
        typer.Option(
            "--customer", metavar="KIND:VALUE", help="Only for whom this identifier was asked for, or known to be hers."
        ),
    ] = "",
    action: Annotated[str, typer.Option("--action", metavar="ID", help="Only where it was chosen.")] = "",
    placement: Annotated[str, typer.Option("--placement", metavar="ID", help="Only where it was asked for.")] = "",
    channel: Annotated[str, typer.Option("--channel", metavar="ID", help="Only for one of its placements.")] = "",
    last: Annotated[int, typer.Option("--last", min=1, max=1_000, help="The latest so many.")] = 20,
    most_read: Annotated[int, typer.Option("--read", min=1, help="Give up after looking at so many.")] = 1_000_000,
    nats: support.Nats = support.NATS_URL,
    as_json: support.Json = False,
) -> None:
    """List recorded decisions, newest first: for whom, what was asked and chosen, how personal it was, and the id.

    All filters that are given must hold. Records come within a second. Of customers who were erased there are none.

    Examples:

    - `wayline decisions list`

    - `wayline decisions list --customer user_id:ada --since 24h`

    - `wayline decisions list --channel email --action red-shoes --last 100 --json`
    """
    from wayline.cli.decisions_list_view import render

    job = {
        "last": last,
        "most_read": most_read,
        "since": program.moment(since, datetime.now(UTC), "--since").isoformat() if since else None,
        "customer": _key(customer) if customer else None,
        "action": action or None,
        "placement": placement or None,
        "channel": channel or None,
    }
    found = program.run(_PROGRAM, job, nats, quiet=as_json)
    if as_json:
        support.print_json(found)
    else:
        for part in render(found):
            support.out.print(part)
    for warning in _warnings(found):
        support.err.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _key(customer: str) -> str:
    """The identity key: the job holds no personal data."""
    from wayline.cli.customers import identifier_of
    from wayline.identity import check_identifier

    return check_identifier(identifier_of(customer), "--customer").hex()


def _warnings(found: dict[str, Any]) -> list[str]:
    """What was not looked at, and what to do about it."""
    warnings = []
    if found["stopped"]:
        since = datetime.fromisoformat(found["read_since"])
        warnings.append(
            f"Stopped after {found['read']:,} decisions, those since {since:%Y-%m-%d %H:%M:%S} UTC; older ones were "
            "not looked at. Raise the limit with --read."
        )
    if revisions := found["channels_unknown"]:
        warnings.append(
            f"Which channel is meant is not known for decisions under the catalogue's revision "
            f"{', '.join(map(str, revisions))}, which cannot be read; they are left out. Say --placement instead."
        )
    return warnings
