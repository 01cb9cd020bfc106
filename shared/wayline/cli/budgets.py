"""`wayline budgets`: what is used of the budgets of actions, and beginning them anew."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from wayline.cli import program, support

app = typer.Typer(
    help="See what is used of the budgets of actions, and begin one anew.\n\n"
    "Examples:\n\n- `wayline budgets show`\n\n- `wayline budgets reset friday-deal --today --reason INC-17`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
_PROGRAM = "wayline_decision.budget_counts"
_MAX_REASON_CHARACTERS = 200


@app.command()
def show(
    action: Annotated[str | None, typer.Argument(help="Only of this action.", show_default=False)] = None,
    nats: support.Nats = support.NATS_URL,
    as_json: support.Json = False,
) -> None:
    """Show what is used of the budgets of the current catalogue, in total and today, over all replicas.

    Examples:

    - `wayline budgets show`

    - `wayline budgets show friday-deal --json`
    """
    found = program.run(_PROGRAM, {"action": action}, nats, quiet=True)
    if as_json:
        support.print_json(found)
    else:
        _print_table(found["budgets"])


@app.command()
def reset(
    action: Annotated[str, typer.Argument(help="Whose budget begins anew.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit log, which is kept.", show_default=False)],
    total: Annotated[bool, typer.Option("--total", help="What was used in total.")] = False,
    today: Annotated[bool, typer.Option("--today", help="What was used today, in the budget's time zone.")] = False,
    actor: support.Actor = "",
    nats: support.Nats = support.NATS_URL,
    as_json: support.Json = False,
) -> None:
    """Give back what was used of a budget: it is as if nothing had been chosen yet. Replicas hear of it in a second.

    It is written to the audit log first, with who asks and why.

    Examples:

    - `wayline budgets reset friday-deal --today --reason "counted while the page was down"`

    - `wayline budgets reset friday-deal --total --today --reason INC-17 --as ada`
    """
    which = [name for name, wanted in (("total", total), ("today", today)) if wanted]
    if not which:
        support.fail("say what begins anew: --total, --today, or both", code=2)
    said = " ".join(reason.split())
    if not said or len(said) > _MAX_REASON_CHARACTERS or not said.isprintable():
        support.fail(f"--reason: expected 1 to {_MAX_REASON_CHARACTERS} printable characters", code=2)
    before = program.run(_PROGRAM, {"action": action}, nats, quiet=True)["budgets"]  # or nothing is written of it
    if lacking := set(which) - {one["which"] for one in before}:
        support.fail(f"the budget of '{action}' has no limit of this kind: {', '.join(sorted(lacking))}")
    used = {one["which"]: str(one["used"]) for one in before if one["which"] in which}
    asyncio.run(_write(nats, actor, action, said, used, "begun"))
    found = program.run(_PROGRAM, {"action": action, "give_back": which}, nats, quiet=True)
    given = {one["which"]: str(one["given_back"]) for one in found["budgets"] if "given_back" in one}
    asyncio.run(_write(nats, actor, action, said, given, "done"))
    if as_json:
        support.print_json(found)
        return
    for one in found["budgets"]:
        if "given_back" in one:
            support.out.print(f"{action}: {one['given_back']:,} given back, {_span(one)}.", highlight=False)


async def _write(nats: str, actor: str, action: str, reason: str, facts: dict[str, str], outcome: str) -> None:
    from wayline.audit import AuditLog, actor_of

    async with support.connection(nats) as client:
        await AuditLog(client, now=lambda: datetime.now(UTC)).append(
            "budget.reset",
            actor=actor_of(dict(support.acting(actor))),
            subject=f"budget:{action}",
            outcome=outcome,
            reason=reason,
            facts=facts,
        )


def _span(one: dict[str, Any]) -> str:
    return "in total" if one["day"] is None else f"of {one['day']}"


def _print_table(budgets: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("action", "budget")
    for column in ("used", "limit", "left"):
        table.add_column(column, justify="right")
    for one in budgets:
        left = max(0, one["limit"] - one["used"])
        style = "" if left else "red"
        table.add_row(
            escape(one["action"]), _span(one), f"{one['used']:,}", f"{one['limit']:,}", f"{left:,}", style=style
        )
    support.out.print(table if budgets else "No action of the current catalogue has a budget.")
