"""`wayline demo`: the guided journey."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wayline.cli.support import DECISION_ADDRESS, INGESTION_ADDRESS, SHOP, Decision, Ingestion, Json, out, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from wayline.cli.journey import Step
    from wayline.cluster import Addresses

_REPORT = "wayline quality report --since 1h"
_READY_SECONDS = 30.0
_POLL_SECONDS = 0.05


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Start a system of its own with the shoe shop, and stop it at the end.")
    ] = False,
    ingestion: Ingestion = INGESTION_ADDRESS,
    decision: Decision = DECISION_ADDRESS,
    as_json: Json = False,
) -> None:
    """Walk through one customer's journey in the example shop, and show each decision with its reasons.

    Without --once it talks to a running system that serves the shoe shop (`wayline up --example shoe-shop`).

    Examples:

    - `wayline demo --once`

    - `wayline demo --once --json`
    """
    from rich.console import Console

    from wayline.cluster import Addresses

    console = Console(quiet=True) if as_json else out
    if once:
        steps = asyncio.run(_once(console))
    else:
        addresses = Addresses(nats="", ingestion=ingestion, profile="", prediction="", decision=decision)
        steps = asyncio.run(run_journey(addresses, console))
    if as_json:
        print_json({"steps": [step.as_dict() for step in steps]})


async def run_journey(addresses: Addresses, console: Console) -> list[Step]:
    """Walk the journey on a system that goes on running, print each step as it happens, and say what to look at."""
    steps = await _walked(addresses, console)
    console.print(f"An outdated app has sent two events. What became of them, in a few seconds: {_REPORT}")
    if steps:
        console.print(
            f"Why the last decision came out so: wayline decisions show {steps[-1].decision_id}", soft_wrap=True
        )
    return steps


async def _once(console: Console) -> list[Step]:
    from wayline.catalog.examples import example_path
    from wayline.catalog.load import load
    from wayline.cli.catalog_apply import apply_if_new
    from wayline.cluster import Cluster

    catalog = load(example_path(SHOP))
    with tempfile.TemporaryDirectory(prefix="wayline-demo-") as directory:
        async with Cluster(Path(directory)) as cluster:
            await apply_if_new(catalog, cluster.addresses.nats)
            return await _walked(cluster.addresses, console)


async def _walked(addresses: Addresses, console: Console) -> list[Step]:
    await _find(addresses)
    await wait_until_ready(addresses.decision)
    return await asyncio.to_thread(_walk, addresses, console)


def _walk(addresses: Addresses, console: Console) -> list[Step]:
    from wayline.cli.journey import Journey

    journey = Journey(addresses)
    try:
        steps = list(_shown(journey.steps(), console))
        journey.outdated_app()
        return steps
    finally:
        journey.close()


async def _find(addresses: Addresses) -> None:
    """Make sure that somebody listens: waiting is for services that start, not for those that nobody started.

    Raises:
        Retryable: nobody does.
    """
    from wayline.errors import Retryable
    from wayline.health import probe

    for name, address in (("ingestion", addresses.ingestion), ("the decision service", addresses.decision)):
        if not (await probe(address)).healthy:
            raise Retryable(
                f"cannot reach {name} at {address}. Start Wayline with: make run (or: wayline up --example shoe-shop)"
            )


async def wait_until_ready(decision_address: str) -> None:
    """Until the decision service has compiled a catalogue.

    Raises:
        Retryable: it has not within half a minute.
    """
    from wayline.errors import Retryable
    from wayline.health import probe

    try:
        async with asyncio.timeout(_READY_SECONDS):
            while not (await probe(decision_address, "wayline.v1.DecisionService")).healthy:
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise Retryable(
            f"the decision service at {decision_address} is not ready. Without a catalogue it never is; apply one "
            "with: wayline catalog apply DIR. Else see its log, and: wayline status"
        ) from None


def _shown(steps: Iterable[Step], console: Console) -> Iterable[Step]:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    for number, step in enumerate(steps, start=1):
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", justify="right")
        grid.add_column()
        shown = step.content.get("title") or step.content.get("subject") or step.content.get("text") or "nothing"
        grid.add_row("shows", Text(str(shown), style="bold"))
        grid.add_row("actions", ", ".join(step.actions) or "none: the placement's fallback")
        for reason in step.reasons:
            grid.add_row("because", Text(reason))
        grid.add_row("decision", Text(step.decision_id, style="dim"))
        title = f"{number}. {step.name}"
        took = f"{step.placement} · {step.ms:.1f} ms"
        console.print(Panel(grid, title=title, title_align="left", subtitle=took, subtitle_align="right"))
        yield step
