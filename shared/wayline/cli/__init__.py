"""The command line: `wayline --help`."""

from __future__ import annotations

from typing import Annotated

import typer

from wayline.cli import (
    audiences,
    audit,
    bench,
    budgets,
    catalog_changes,
    decisions_list,
    models,
    quality,
    receipts,
    rejected,
    rights,
    traits,
)
from wayline.cli.demo import demo
from wayline.cli.simulate import simulate
from wayline.cli.support import run_app
from wayline.cli.up import status, up

app = typer.Typer(
    name="wayline",
    help="Wayline: from an event to the next best action. Start with: **wayline up --example shoe-shop**",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

app.command()(up)
app.command()(demo)
app.command()(status)
app.command()(simulate)
app.add_typer(models.app)
app.add_typer(bench.app)
app.add_typer(catalog_changes.app, name="catalog")
app.add_typer(rejected.app, name="rejected")
app.add_typer(quality.app, name="quality")
app.add_typer(decisions_list.app, name="decisions")
app.add_typer(rights.app, name="customers")
app.add_typer(receipts.app, name="receipts")
app.add_typer(audit.app, name="audit")
app.add_typer(traits.app, name="traits")
app.add_typer(audiences.app, name="audiences")
app.add_typer(budgets.app, name="budgets")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"wayline {version('wayline')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version, and end.")
    ] = False,
) -> None:
    """The options of the program itself."""


def main() -> None:
    """The console script."""
    run_app(app)
