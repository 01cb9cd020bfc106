"""What all commands share: addresses, connections, output, and errors that say what to do next."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, NoReturn

import grpc
import nats.errors
import typer
from rich.console import Console

from wayline.errors import WaylineError

out = Console()
err = Console(stderr=True)

Nats = Annotated[str, typer.Option("--nats", envvar="WAYLINE_NATS_URL", help="Where NATS listens.")]
Ingestion = Annotated[
    str, typer.Option("--ingestion", envvar="WAYLINE_INGESTION_ADDRESS", help="Where ingestion listens.")
]
Profile = Annotated[
    str, typer.Option("--profile", envvar="WAYLINE_PROFILE_ADDRESS", help="Where the profile service listens.")
]
Prediction = Annotated[
    str, typer.Option("--prediction", envvar="WAYLINE_PREDICTION_ADDRESS", help="Where prediction listens.")
]
Decision = Annotated[
    str, typer.Option("--decision", envvar="WAYLINE_DECISION_ADDRESS", help="Where the decision service listens.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

NATS_URL = "nats://127.0.0.1:4222"
INGESTION_ADDRESS = "127.0.0.1:7001"
PROFILE_ADDRESS = "127.0.0.1:7002"
PREDICTION_ADDRESS = "127.0.0.1:7003"
DECISION_ADDRESS = "127.0.0.1:7004"


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with one message on standard error."""
    err.print(message, style="red", markup=False, highlight=False)
    raise typer.Exit(code)


def run_app(app: typer.Typer) -> None:
    """Run the application; expected failures become one line that says what to do."""
    try:
        app()
    except grpc.RpcError as error:
        sys.exit(_explain_rpc(error))
    except (nats.errors.NoServersError, ConnectionRefusedError):
        sys.exit("cannot reach NATS. Is Wayline running? Start it with: wayline up")
    except WaylineError as error:
        sys.exit(str(error))


def _explain_rpc(error: grpc.RpcError) -> str:
    code, details = error.code(), error.details()
    if code == grpc.StatusCode.UNAVAILABLE:
        return f"a service cannot be reached ({details}). Is Wayline running? Start it with: wayline up"
    return f"{code.name}: {details}"
