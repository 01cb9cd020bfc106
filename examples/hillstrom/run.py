"""The Hillstrom e-mail trial through Wayline: `python examples/hillstrom/run.py CSV`. See README.md."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hillstrom.reader import read_trial
from hillstrom.report import as_dict, print_report
from hillstrom.trial import Outcome, Steps, run_trial
from wayline.cli import support
from wayline.cluster import Addresses, Cluster, Ports

app = typer.Typer(add_completion=False)
_Address = Annotated[str | None, typer.Option(help="Of a running system.", show_default=False)]


@app.command()
def main(
    csv: Annotated[Path, typer.Argument(help="The trial's CSV.", exists=True, dir_okay=False, show_default=False)],
    data: Annotated[
        Path | None, typer.Option(help="Keep the state of the started system here; a second run goes on with it.")
    ] = None,
    nats: _Address = None,
    ingestion: _Address = None,
    profile: _Address = None,
    prediction: _Address = None,
    decision: _Address = None,
    as_json: support.Json = False,
) -> None:
    """Send the trial's customers through Wayline, learn from one half, decide for the other, and say what it is worth.

    It starts a system of its own and stops it at the end. With an address it uses a running one (the other addresses
    are then those of `wayline up`), whose catalogue it replaces.
    """
    given = {
        name: address
        for name, address in {
            "nats": nats,
            "ingestion": ingestion,
            "profile": profile,
            "prediction": prediction,
            "decision": decision,
        }.items()
        if address
    }
    if given and data:
        support.fail("give --data or the addresses of a running system, not both", code=2)
    running = replace(Addresses.of("127.0.0.1", Ports()), **given) if given else None
    started = time.perf_counter()
    outcome = asyncio.run(_run(csv, data, running, quiet=as_json))
    if as_json:
        support.print_json(as_dict(outcome, time.perf_counter() - started))
    else:
        print_report(outcome, support.out)


async def _run(csv: Path, data: Path | None, running: Addresses | None, *, quiet: bool) -> Outcome:
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )
    with bars:
        steps = Steps(bars)
        with steps.step("Read the file"):
            customers = read_trial(csv)
        async with AsyncExitStack() as stack:
            with steps.step("Use the running system" if running else "Start a system"):
                addresses = await stack.enter_async_context(_system(data, running))
            return await run_trial(customers, addresses, steps)


@asynccontextmanager
async def _system(data: Path | None, running: Addresses | None) -> AsyncIterator[Addresses]:
    """A running system, or one of our own."""
    if running:
        yield running
    elif data:
        async with Cluster(data) as cluster:
            yield cluster.addresses
    else:
        with tempfile.TemporaryDirectory(prefix="wayline-hillstrom-") as directory:
            async with Cluster(Path(directory)) as cluster:
                yield cluster.addresses


if __name__ == "__main__":
    support.run_app(app)
