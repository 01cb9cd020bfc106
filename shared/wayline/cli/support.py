"""What all commands share: addresses, connections, output, and errors that say what to do next."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    import grpc
    from google.protobuf.message import Message
    from nats.aio.client import Client
    from rich.progress import Progress, TaskID

out = Console()
err = Console(stderr=True)

_asked: dict[str, str] = {}


def _remember(param: typer.CallbackParam, value: str) -> str:
    """Whom a command asks, and where: errors of connections do not tell."""
    _asked[param.opts[0].removeprefix("--")] = value
    return value


def _where(name: str, variable: str, whom: str) -> Any:
    return typer.Option(f"--{name}", envvar=variable, help=f"Where {whom} listens.", callback=_remember)


Nats = Annotated[str, _where("nats", "WAYLINE_NATS_URL", "NATS")]
Ingestion = Annotated[str, _where("ingestion", "WAYLINE_INGESTION_ADDRESS", "ingestion")]
Profile = Annotated[str, _where("profile", "WAYLINE_PROFILE_ADDRESS", "the profile service")]
Prediction = Annotated[str, _where("prediction", "WAYLINE_PREDICTION_ADDRESS", "prediction")]
Decision = Annotated[str, _where("decision", "WAYLINE_DECISION_ADDRESS", "the decision service")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

Actor = Annotated[
    str,
    typer.Option("--as", envvar="WAYLINE_ACTOR", help="Who asks, for the audit log. Else this machine's user."),
]

NATS_URL = "nats://127.0.0.1:4222"
INGESTION_ADDRESS = "127.0.0.1:7001"
PROFILE_ADDRESS = "127.0.0.1:7002"
PREDICTION_ADDRESS = "127.0.0.1:7003"
DECISION_ADDRESS = "127.0.0.1:7004"

SHOP = "shoe-shop"
"""The example that the guided journey walks through."""

_START = "Is Wayline running? Start it with: make run (or: wayline up)"
# How gRPC's own words for a connection that fails or ends begin; all else that comes with UNAVAILABLE, a service said.
_NOT_REACHED = re.compile(
    r"([A-Z_]+: )?((ipv4|ipv6|unix):\S+: )?"
    r"(failed to connect|errors resolving|DNS resolution|Socket closed|Connection re(set|fused)|recvmsg:|sendmsg:"
    r"|Broken pipe|GOAWAY|Endpoint closing|ping timeout|keepalive|$)"
)


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[Client]:
    """A connection to NATS for one command: it fails at once when nothing listens."""
    from nats.aio.client import Client

    client = Client()

    async def report(error: Exception) -> None:
        # What fails before the connection stands is raised as well; later nobody else would tell.
        if client.is_connected:
            err.print(f"NATS: {error}", style="yellow", markup=False, highlight=False)

    options: dict[str, Any] = {"allow_reconnect": False, "max_reconnect_attempts": 1, "reconnect_time_wait": 0.1}
    await client.connect(url, name="wayline-cli", connect_timeout=2, error_cb=report, **options)
    try:
        yield client
    finally:
        await client.close()


def acting(actor: str) -> list[tuple[str, str]]:
    """What tells a service who asks; '' is the user of this machine."""
    from wayline.audit import ACTOR

    return [(ACTOR, (actor or _user()).encode("ascii", "replace").decode())]


def acting_name(actor: str) -> str:
    """Who asks, as far as printable; 'unknown' when that cannot be known."""
    from wayline.audit import actor_of

    return actor_of(dict(acting(actor)))


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container that runs under a number without a name
        return ""


def bars(*, quiet: bool = False) -> Progress:
    """Progress bars on standard error that go away when done; none when `quiet`."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True, disable=quiet)


def by_step(shown: Progress) -> Callable[[str, int, int], None]:
    """Gives each step that reports itself a bar of its own: its name, done, total."""
    tasks: dict[str, TaskID] = {}

    def report(step: str, done: int, total: int) -> None:
        if step not in tasks:
            tasks[step] = shown.add_task(step)
        shown.update(tasks[step], completed=done, total=total)

    return report


def plain(message: Message, *, defaults: bool = False) -> dict[str, Any]:
    """A message as JSON, with the names of its proto file; with `defaults`, fields at their default as well."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=defaults)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def printable(text: str) -> str:
    """On one line: what callers said of themselves is no control of the terminal."""
    return "".join(one if one.isprintable() else " " for one in text)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with one message on standard error."""
    err.print(message, style="red", markup=False, highlight=False)
    raise typer.Exit(code)


def run_app(app: typer.Typer) -> None:
    """Run the application; expected failures become one line that says what to do."""
    try:
        app()
    except Exception as error:
        message = _explain(error)
        if message is None:
            raise  # a bug, with its traceback
        sys.exit(message)


def _explain(error: Exception) -> str | None:
    """What a person should read about an expected failure; None when it was not expected."""
    import grpc
    import nats.errors

    from wayline.errors import WaylineError

    match error:
        case grpc.RpcError():
            return _explain_rpc(error)
        case nats.errors.NoServersError() | ConnectionRefusedError():
            return f"cannot reach NATS{_at_nats()}. {_START}"
        case WaylineError():
            return str(error)
    return None


def _explain_rpc(error: grpc.RpcError) -> str:
    import grpc

    code, details = error.code(), error.details() or ""
    if code != grpc.StatusCode.UNAVAILABLE:
        return f"{code.name}: {details}"
    if not _NOT_REACHED.match(details):
        return details
    why = details.rpartition(": ")[2].rstrip("]") or "no answer"
    return f"{_whom(details)} cannot be reached ({why}). {_START}"


def _whom(details: str) -> str:
    """The service that an error of a connection is about, and its address."""
    from urllib.parse import unquote

    services = {name: address for name, address in _asked.items() if name != "nats"}
    named = {name: address for name, address in services.items() if address in unquote(details)} or services
    if len(named) != 1:
        return "a service"
    ((name, address),) = named.items()
    return f"the {name} service at {address}"


def _at_nats() -> str:
    """Its address without a password."""
    return f" at {_asked['nats'].rpartition('@')[2]}" if "nats" in _asked else ""
