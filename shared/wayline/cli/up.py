"""`wayline up`: everything on this machine. `wayline status`: how it is."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from wayline.cli import support
from wayline.cli.serving import Serving, make_serve, make_serve_if_none, serving

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from wayline.catalog.model import Catalog
    from wayline.cluster import Addresses, Cluster, ClusterEvent

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What to do once everything runs."""

    catalog: Catalog | None
    example: str | None
    demo: bool
    as_json: bool


def up(
    data: Annotated[Path, typer.Option(help="Directory for all state; a second start goes on with it.")] = Path("data"),
    host: Annotated[str, typer.Option(help="Address to listen on. There is no authentication.")] = "127.0.0.1",
    port_base: Annotated[
        int | None,
        typer.Option(min=1, max=65_531, help="Use ports N to N+4. Default: NATS 4222, services 7001 to 7004."),
    ] = None,
    sync: Annotated[
        Literal["periodic", "always"],
        typer.Option(help="When NATS syncs its files: every two minutes, or before it acknowledges (slower)."),
    ] = "periodic",
    decision_workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Decision processes that share one port (Linux). Default: one."),
    ] = None,
    catalog: Annotated[Path | None, typer.Option(help="Directory or file of a catalogue to apply.")] = None,
    example: Annotated[
        str | None,
        typer.Option(help="Apply the catalogue of an example, such as shoe-shop, where there is no catalogue yet."),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Walk through a customer's journey, when the shoe shop serves.")
    ] = False,
    as_json: support.Json = False,
) -> None:
    """Start NATS and every service here, and keep them running until Ctrl-C.

    Examples:

    - `wayline up --example shoe-shop --demo`

    - `wayline up --data shop-data --catalog shop/ --port-base 21000`
    """
    from wayline.cluster import Cluster, ClusterError, Ports, PortTaken

    if catalog and example:
        support.fail("give --catalog or --example, not both", code=2)
    plan = _Plan(catalog=_read(catalog, example), example=example, demo=demo, as_json=as_json)
    if host not in _LOOPBACK:
        support.err.print(
            f"Listening on {host}: there is no authentication, so whoever reaches these ports can use them.",
            style="yellow",
        )
    ports = Ports() if port_base is None else Ports.from_base(port_base)
    cluster = Cluster(data, host=host, ports=ports, sync=sync, decision_workers=decision_workers, on_event=_Narrator())
    try:
        asyncio.run(_until_signal(cluster, plan))
    except PortTaken as error:
        raise ClusterError(f'{error}; with make: make run ARGS="--port-base N"') from None


def status(
    nats: support.Nats = support.NATS_URL,
    ingestion: support.Ingestion = support.INGESTION_ADDRESS,
    profile: support.Profile = support.PROFILE_ADDRESS,
    prediction: support.Prediction = support.PREDICTION_ADDRESS,
    decision: support.Decision = support.DECISION_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Ask NATS and every service how it is. Ends with 1 when one is not well.

    Examples:

    - `wayline status`

    - `wayline status --decision decision.example.org:7004 --json`
    """
    from wayline.cluster import Addresses

    addresses = Addresses(nats=nats, ingestion=ingestion, profile=profile, prediction=prediction, decision=decision)
    rows = asyncio.run(_ask(addresses))
    if as_json:
        support.print_json(rows)
    else:
        table = Table("process", "address", "state")
        for row in rows:
            colour = "green" if row["ready"] else "yellow" if row["healthy"] else "red"
            table.add_row(row["name"], escape(row["address"]), f"[{colour}]{escape(row['state'])}[/]")
        support.out.print(table)
    if not all(row["healthy"] for row in rows):
        raise typer.Exit(1)


def _read(catalog: Path | None, example: str | None) -> Catalog | None:
    """The catalogue, checked: a bad one is refused before anything starts."""
    if not catalog and not example:
        return None
    from wayline.catalog.load import load

    return load(catalog or _example_path(example or ""))


async def _until_signal(cluster: Cluster, plan: _Plan) -> None:
    """Run until SIGINT or SIGTERM, which may come at any time; a second one waits for nobody."""
    running = asyncio.create_task(_run(cluster, plan))

    def end() -> None:
        if running.cancelling():
            cluster.abandon()
        else:
            running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    with suppress(asyncio.CancelledError):
        await running


async def _run(cluster: Cluster, plan: _Plan) -> None:
    async with cluster:
        served = await _settle(plan, cluster.addresses.nats)
        _introduce(cluster, served, plan)
        if plan.demo and _is_the_shop(served):
            from wayline.cli.demo import run_journey

            await run_journey(cluster.addresses, support.err if plan.as_json else support.out)
        elif plan.demo:
            _tell(
                plan,
                "The demo's journey is left out: it belongs to the shoe shop, and would add its customer to this data. "
                "See it in a system of its own with: wayline demo --once",
            )
        if plan.demo:
            support.err.print("Everything runs on. Stop it with Ctrl-C.", style="bold")
        await asyncio.Event().wait()  # until cancelled


async def _settle(plan: _Plan, nats: str) -> Serving:
    if plan.catalog is None:
        return await serving(nats)
    if plan.example:
        return await make_serve_if_none(plan.catalog, nats)
    return await make_serve(plan.catalog, nats)


def _is_the_shop(served: Serving) -> bool:
    """Whether the journey's own example serves, unchanged."""
    return served.catalog is not None and served.catalog == _read(None, support.SHOP)


def _introduce(cluster: Cluster, served: Serving, plan: _Plan) -> None:
    addresses = asdict(cluster.addresses)
    if plan.as_json:
        print(json.dumps({"addresses": addresses, "catalog_revision": served.revision}), flush=True)
    else:
        table = Table("process", "address", "log", title="Wayline is up", title_justify="left")
        for name, address in addresses.items():
            table.add_row(name, address, escape(_short(cluster.log(name))))
        support.out.print(table)
        if first := _first_in_a_terminal(addresses):
            support.out.print("For other commands, in their terminal:")
            support.out.print("\n".join(first), soft_wrap=True, highlight=False, markup=False)
    _tell(plan, _of_the_catalog(served, plan))
    if not plan.demo and not plan.as_json:
        support.out.print("Stop with Ctrl-C.", style="bold")


def _of_the_catalog(served: Serving, plan: _Plan) -> str:
    """Which one serves, and what to do when that is not what was asked for; '' when a program knows it already."""
    shop = f"wayline catalog apply {_short(_example_path(plan.example or support.SHOP))}"
    if served.unreadable:
        return f"{served.unreadable}; nothing takes its place unasked. Apply another with: wayline catalog apply DIR"
    if served.revision and plan.example and served.catalog != plan.catalog:
        return (
            f"Catalogue revision {served.revision} goes on serving: it is not the example {plan.example}, which is "
            f"applied only where there is none yet. To apply it all the same: {shop}"
        )
    if plan.as_json:
        return ""
    if served.revision:
        return f"Catalogue revision {served.revision} serves."
    return (
        "There is no catalogue yet, so nothing can be decided. Apply one, in another terminal: "
        f"wayline catalog apply DIR. The example shop: {shop}"
    )


def _tell(plan: _Plan, text: str) -> None:
    """To the person; on standard error when a program reads the output."""
    if text:
        (support.err if plan.as_json else support.out).print(text, markup=False, highlight=False, soft_wrap=True)


def _first_in_a_terminal(addresses: dict[str, str]) -> list[str]:
    """What other commands need before: the programs of .venv on the path, and addresses that are not the usual ones."""
    lines = []
    activate = Path(sys.prefix) / "bin" / "activate"
    if shutil.which("wayline") is None and activate.exists():
        lines.append(f". {_short(activate)}")
    if addresses != asdict(_default_addresses()):
        lines.append("export " + " ".join(_variables(addresses)))
    return lines


def _example_path(name: str) -> Path:
    from wayline.catalog.examples import example_path

    return example_path(name)


def _default_addresses() -> Addresses:
    from wayline.cluster import Addresses, Ports

    return Addresses.of("127.0.0.1", Ports())


def _variables(addresses: dict[str, str]) -> list[str]:
    names = {name: f"WAYLINE_{name.upper()}_ADDRESS" for name in addresses} | {"nats": "WAYLINE_NATS_URL"}
    return [f"{names[name]}={address}" for name, address in addresses.items()]


def _short(path: Path) -> str:
    """Relative to the current directory where that is shorter to read."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


class _Narrator:
    """Tells, on standard error, what a person wants to know: deaths and returns, not the ordinary start."""

    def __init__(self) -> None:
        self._died: set[str] = set()

    def __call__(self, event: ClusterEvent) -> None:
        match event.kind:
            case "died":
                self._died.add(event.name)
                self._say(f"{event.name} {event.detail}", "red")
            case "healthy" if event.name in self._died:
                self._died.discard(event.name)
                self._say(f"{event.name} is well again (process {event.pid})", "green")
            case "warning":
                self._say(f"{event.name}: {event.detail}", "yellow")

    def _say(self, text: str, style: str) -> None:
        support.err.print(text, style=style, markup=False, highlight=False)


async def _ask(addresses: Addresses) -> list[dict[str, Any]]:
    """A row per process: name, address, healthy (it lives), ready (it takes traffic), state (in words)."""
    from wayline.health import probe, probe_nats

    async def row(name: str, address: str) -> dict[str, Any]:
        if name == "nats":
            health = ready = await probe_nats(address)
        else:
            service = f"wayline.v1.{name.capitalize()}Service"
            health, ready = await asyncio.gather(probe(address), probe(address, service))
        state = "ready" if ready.healthy else f"alive, {ready.detail}" if health.healthy else health.detail
        return {"name": name, "address": address, "healthy": health.healthy, "ready": ready.healthy, "state": state}

    return list(await asyncio.gather(*(row(name, address) for name, address in asdict(addresses).items())))
