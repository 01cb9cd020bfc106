"""`wayline bench`: measure this machine, each figure beside its limit."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from wayline.cli.support import Json, bars, by_step, err, fail, out, print_json

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from wayline_bench.report import Report


class StoreName(StrEnum):
    """Where profiles are kept."""

    ROCKSDB = "rocksdb"
    POSTGRESQL = "postgresql"


Seconds = Annotated[
    float | None, typer.Option("--seconds", min=0.5, max=25, help="How long to measure, without set-up.")
]
Store = Annotated[StoreName, typer.Option("--store", help="Where profiles are kept.")]
Check = Annotated[bool, typer.Option("--check", help="End with 1 when a figure is below its floor.")]

app = typer.Typer(
    name="bench",
    help="Measure. Each benchmark starts a system of its own; all but backfill and exactly-once end within 45 seconds."
    "\n\nExamples:\n\n- `wayline bench decide`\n\n- `wayline bench peers --json`\n\n- `wayline bench --plain batch`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.callback()
def _prepare(
    plain: Annotated[
        bool, typer.Option("--plain", help="Measure plain Python, not the compiled modules that the images run.")
    ] = False,
) -> None:
    """Measure. Each benchmark starts a system of its own; all but backfill and exactly-once end within 45 seconds."""
    try:
        import onnx  # noqa: F401 - builds the model

        from wayline_bench import compiled
    except ImportError as error:
        fail(f"the benchmarks cannot run, since {error.name} is not installed; run them from a checkout: make setup")
    if plain or compiled.is_compiled() or "--help" in sys.argv:  # which comes after this callback
        return
    err.print("Compiling what has changed since the last time: up to two minutes.", style="dim")
    if reason := compiled.make():
        err.print(f"Measuring plain Python, since it cannot be compiled: {reason}", style="yellow", markup=False)
    else:
        compiled.start_over(sys.argv[1:])


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


@app.command(epilog="Example: **wayline bench peers --json**")
def peers(seconds: Seconds = None, check: Check = False, as_json: Json = False) -> None:
    """The whole path of a decision beside libraries that do a part of it: bandits, rules, feature flags.

    All in one process, in turns, without a network. A library that is not installed is left out.
    """
    from wayline_bench.peers import PeersSize, bench

    size = PeersSize() if seconds is None else PeersSize(seconds=seconds)
    _run(bench(size), as_json, check, "Asking all of them in turns")


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
def collect(
    seconds: Seconds = None, store: Store = StoreName.ROCKSDB, check: Check = False, as_json: Json = False
) -> None:
    """How fast events are accepted and folded into profiles, and what a profile takes on disk and in memory."""
    from wayline_bench.collect import CollectSize, bench

    size = CollectSize(store=store.value) if seconds is None else CollectSize(store=store.value, seconds=seconds)
    _run(bench(size), as_json, check)


@app.command(epilog="Example: **wayline bench freshness --json**")
def freshness(seconds: Seconds = None, check: Check = False, as_json: Json = False) -> None:
    """From the accepted event to a decision that has seen it, under a steady load."""
    from wayline_bench.freshness import FreshnessSize, bench

    _run(bench(FreshnessSize() if seconds is None else FreshnessSize(seconds=seconds)), as_json, check)


@app.command(epilog="Example: **wayline bench backfill --customers 20000 --json**")
def backfill(
    customers: Annotated[int, typer.Option("--customers", min=100, max=5_000_000, help="In the store.")] = 100_000,
    check: Check = False,
    as_json: Json = False,
) -> None:
    """Add traits to a store full of customers, and compare every profile with a fold from scratch.

    It takes some minutes, and ends with 1 under --check when a profile differs.
    """
    from wayline.logging import configure
    from wayline_bench.backfill import BackfillSize, bench

    configure("bench", "ERROR")  # it runs in this process, whose output is the report
    with bars(quiet=as_json) as shown:
        report = bench(BackfillSize(customers=customers), by_step(shown))
    _show(report, as_json, check)


@app.command("exactly-once", epilog="Example: **wayline bench exactly-once --store postgresql --json**")
def exactly_once(
    events: Annotated[int, typer.Option("--events", min=100, max=5_000_000, help="Different events.")] = 200_000,
    kills: Annotated[int, typer.Option("--kills", min=0, max=200, help="kill -9 of the profile service.")] = 20,
    nats_kills: Annotated[int, typer.Option("--nats-kills", min=0, max=50, help="kill -9 of the NATS server.")] = 3,
    store: Store = StoreName.ROCKSDB,
    seed: Annotated[int, typer.Option("--seed", help="Draws the story, its order, and whom to kill when.")] = 1,
    check: Check = False,
    as_json: Json = False,
) -> None:
    """Compare every row of the profile store after a quiet run, and after one with repeats, disorder and killings.

    It takes some minutes, and ends with 1 under --check when a row differs.
    """
    from wayline import logging
    from wayline_bench.exactly_once import ExactlyOnceSize, bench

    logging.configure("bench", "ERROR")  # that NATS goes away and comes back is what is asked for
    size = ExactlyOnceSize(events=events, kills=kills, nats_kills=nats_kills, store=store.value, seed=seed)
    with bars(quiet=as_json) as shown:
        report = asyncio.run(bench(size, by_step(shown)))
    _show(report, as_json, check)


def _run(measuring: Awaitable[Report], as_json: bool, check: bool, doing: str = "Starting a system of its own") -> None:
    async def wait() -> Report:
        return await measuring

    if not as_json:
        err.print(f"{doing}; this takes up to 45 seconds.", style="dim")
    _show(asyncio.run(wait()), as_json, check)


def _show(report: Report, as_json: bool, check: bool) -> None:
    if as_json:
        print_json(report.as_dict())
    else:
        out.print(report.as_table())
        for note in report.notes:
            out.print(f"- {note}", style="dim", highlight=False)
    if check and report.below:
        fail(f"below the floor: {', '.join(report.below)}")
