"""The command line: `wayline --help`."""

from __future__ import annotations

import typer

from wayline.cli.support import run_app

app = typer.Typer(
    name="wayline",
    help="Wayline: from an event to the next best action. Start with: **wayline up --example shoe-shop**",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def main() -> None:
    """The console script."""
    run_app(app)
