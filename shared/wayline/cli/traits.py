"""`wayline traits`: which traits are made of events, since when, and how far new ones are filled in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from wayline.cli import support

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from wayline.v1.backfill_pb2 import GetBackfillResponse

app = typer.Typer(
    help="The traits that are made of events, and the **back-fill** of new and changed ones.\n\n"
    "Examples:\n\n- `wayline traits list`\n\n- `wayline traits backfill --follow`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.25


@app.command("list")
def list_traits(profile: support.Profile = support.PROFILE_ADDRESS, as_json: support.Json = False) -> None:
    """List the traits that are made of events, and from which events on each knows all customers.

    Examples:

    - `wayline traits list`

    - `wayline traits list --json`
    """
    from wayline.cli.traits_view import render_traits

    found = next(_asked(profile))
    if as_json:
        support.print_json(support.plain(found, defaults=True))
    else:
        support.out.print(render_traits(found))


@app.command()
def backfill(
    follow: Annotated[bool, typer.Option("--follow", help="Show a progress bar until it is done.")] = False,
    profile: support.Profile = support.PROFILE_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Say how far new and changed traits are filled in from the stored events. It starts by itself.

    Examples:

    - `wayline traits backfill --follow`

    - `wayline traits backfill --json`
    """
    from wayline.cli.traits_view import following, render_progress

    answers = _asked(profile)
    found = following(answers, support.err, quiet=as_json) if follow else next(answers)
    if as_json:
        support.print_json(support.plain(found, defaults=True))
    else:
        support.out.print(render_progress(found), highlight=False)


def _asked(address: str) -> Iterator[GetBackfillResponse]:
    """The answer, time and again."""
    import grpc

    from wayline.v1 import backfill_pb2, backfill_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        stub = backfill_pb2_grpc.BackfillServiceStub(channel)
        while True:
            yield stub.GetBackfill(backfill_pb2.GetBackfillRequest(), timeout=_TIMEOUT_SECONDS)
            time.sleep(_POLL_SECONDS)
