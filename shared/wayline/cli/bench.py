"""`wayline bench`: measure this machine, each figure beside its limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Annotated

import typer

from wayline.cli.support import Json, err, fail, out, print_json

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from wayline_bench.report import Report

Seconds = Annotated[
    float | None, typer.Option("--seconds", min=0.5, max=25, help="How long to measure, without set-up.")
]
Check = Annotated[bool, typer.Option("--check", help="End with 1 when a figure is below its floor.")]

app = typer.Typer(
    name="bench",
    help="Measure. Each benchmark starts a system of its own, and ends within 45 seconds.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.callback()
def _installed() -> None:
    """Measure. Each benchmark starts a system of its own, and ends within 45 seconds."""
    try:
        import onnx  # noqa: F401 - builds the model

        import wayline_bench.report  # noqa: F401
    except ImportError as error:
        fail(f"the benchmarks cannot run, since {error.name} is not installed; run them from a checkout: make setup")


@app.command(epilog="Example: **wayline bench decide --json**")
def decide(
    seconds: Seconds = None,
    profile: Annotated[bool, typer.Option("--profile", help="Only show where the time in process goes.")] = False,
    check: Check = False,
    as_json: Json = False,
) -> None:
    """One decision at a time, beside a gRPC server that does nothing; and without the network."""
    from wayline_bench.decide import DecideSize, bench
    from wayline_bench.decide import profile as show_profile

    size = DecideSize() if seconds is None else DecideSize(seconds=seconds)
    if profile:
        print(asyncio.run(show_profile(size)))
    else:
        _run(bench(size), as_json, check)


@app.command(epilog="Example: **wayline bench batch --json**")
def batch(seconds: Seconds = None, check: Check = False, as_json: Json = False) -> None:
    """Decisions for many customers on one stream."""
    from wayline_bench.batch import BatchSize, bench

    _run(bench(BatchSize() if seconds is None else BatchSize(seconds=seconds)), as_json, check)


@app.command(epilog="Example: **wayline bench large --json**")
def large(seconds: Seconds = None, check: Check = False, as_json: Json = False) -> None:
    """A catalogue of 10,000 actions and 300 conditions, from its files to the answer."""
    from wayline_bench.large import LargeSize, bench

    _run(bench(LargeSize() if seconds is None else LargeSize(seconds=seconds)), as_json, check)


@app.command(epilog="Example: **wayline bench workers --json**")
def workers(seconds: Seconds = None, check: Check = False, as_json: Json = False) -> None:
    """One worker on the decision service's port, and two."""
    from wayline_bench.workers import WorkersSize, bench

    _run(bench(WorkersSize() if seconds is None else WorkersSize(seconds=seconds)), as_json, check)


@app.command(epilog="Example: **wayline bench collect --json**")
def collect(seconds: Seconds = None, check: Check = False, as_json: Json = False) -> None:
    """How fast events are accepted, and how fast a backlog of them is folded into profiles."""
    from wayline_bench.collect import CollectSize, bench

    _run(bench(CollectSize() if seconds is None else CollectSize(seconds=seconds)), as_json, check)


@app.command(epilog="Example: **wayline bench freshness --json**")
def freshness(seconds: Seconds = None, check: Check = False, as_json: Json = False) -> None:
    """From the accepted event to a decision that has seen it, under a steady load."""
    from wayline_bench.freshness import FreshnessSize, bench

    _run(bench(FreshnessSize() if seconds is None else FreshnessSize(seconds=seconds)), as_json, check)


def _run(measuring: Awaitable[Report], as_json: bool, check: bool) -> None:
    async def wait() -> Report:
        return await measuring

    if not as_json:
        err.print("Starting a system of its own; this takes up to 45 seconds.", style="dim")
    report = asyncio.run(wait())
    if as_json:
        print_json(report.as_dict())
    else:
        out.print(report.as_table())
        for note in report.notes:
            out.print(f"- {note}", style="dim", highlight=False)
    if check and report.below:
        fail(f"below the floor: {', '.join(report.below)}")
