"""`wayline rejected`: look at the events that ingestion refused, and try them again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Any

import grpc
import typer

from wayline.cli import support

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from wayline.v1.ingestion_pb2 import ListRejectedResponse, RejectedEvent
    from wayline.v1.ingestion_pb2_grpc import IngestionServiceStub

app = typer.Typer(
    help="Look at the events that were refused, and try them again.\n\n"
    "Examples:\n\n- `wayline rejected list`\n\n- `wayline rejected redrive --reason out_of_range`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Reason = Annotated[str, typer.Option("--reason", help="Only this reason, for instance 'missing'.")]
_TIMEOUT_SECONDS = 60.0
_CELL_CHARACTERS = 48
_MOST_HELD = 1_000


@app.command("list")
def list_rejected(
    ingestion: support.Ingestion = support.INGESTION_ADDRESS,
    reason: Reason = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="At most so many.")] = 100,
    after: Annotated[int, typer.Option("--after", min=0, help="From after this dead letter.")] = 0,
    as_json: support.Json = False,
) -> None:
    """List refused events, oldest first, with the field that was wrong and what was expected.

    Examples:

    - `wayline rejected list`

    - `wayline rejected list --reason too_long --limit 20`

    - `wayline rejected list --after 100 --json`
    """
    from wayline.v1 import ingestion_pb2, ingestion_pb2_grpc

    request = ingestion_pb2.ListRejectedRequest(after_sequence=after, limit=limit, reason=reason)
    with grpc.insecure_channel(ingestion) as channel:
        service = ingestion_pb2_grpc.IngestionServiceStub(channel)
        response = service.ListRejected(request, timeout=_TIMEOUT_SECONDS)
        is_unheard = bool(reason) and not after and not response.rejected
        held = _held(service) if is_unheard and not as_json else {}
    if as_json:
        support.print_json({"total": response.total, "rejected": [_plain(one) for one in response.rejected]})
    elif is_unheard:
        _print_reasons(reason, held, response.total)
    else:
        _print_table(response)


@app.command()
def redrive(
    sequences: Annotated[
        list[int] | None, typer.Argument(help="Which dead letters. None: the oldest thousand.", metavar="[SEQ]...")
    ] = None,
    ingestion: support.Ingestion = support.INGESTION_ADDRESS,
    reason: Reason = "",
    as_json: support.Json = False,
) -> None:
    """Check refused events again, and collect those that now pass. The others stay where they are.

    Examples:

    - `wayline rejected redrive 17 18`

    - `wayline rejected redrive --reason out_of_range`
    """
    from wayline.v1 import ingestion_pb2, ingestion_pb2_grpc

    request = ingestion_pb2.RedriveRejectedRequest(sequences=sequences or (), reason=reason)
    with grpc.insecure_channel(ingestion) as channel:
        response = ingestion_pb2_grpc.IngestionServiceStub(channel).RedriveRejected(request, timeout=_TIMEOUT_SECONDS)
    if as_json:
        support.print_json({"accepted": response.accepted, "rejected": response.rejected})
    else:
        support.out.print(f"{response.accepted} accepted, {response.rejected} refused again.", highlight=False)


def _plain(letter: RejectedEvent) -> dict[str, Any]:
    """As JSON. An event that JSON cannot hold (no finite number, no possible time) comes as text of protobuf."""
    from google.protobuf import text_format
    from google.protobuf.json_format import MessageToDict, SerializeToJsonError

    event: Any
    try:
        event = MessageToDict(letter.event, preserving_proto_field_name=True)
    except (SerializeToJsonError, ValueError):
        event = text_format.MessageToString(letter.event)
    return {
        "sequence": letter.sequence,
        "rejected_at": letter.rejected_at.ToJsonString(),
        "rejection": MessageToDict(letter.rejection),
        "event": event,
    }


def _print_table(response: ListRejectedResponse) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for heading in ("Seq", "Refused at (UTC)", "Reason"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Field", "Expected", "Message id"):
        table.add_column(heading, overflow="fold")
    for one in response.rejected:
        cells = (
            str(one.sequence),
            f"{one.rejected_at.ToDatetime(UTC):%Y-%m-%d %H:%M}",
            one.rejection.reason,
            one.rejection.field[:_CELL_CHARACTERS],
            one.rejection.expected,
            one.event.message_id[:_CELL_CHARACTERS],
        )
        # As text: what a client sent is no markup, and no control of the terminal.
        table.add_row(*(Text(_printable(cell)) for cell in cells))
    if response.rejected:
        support.out.print(table)
    support.out.print(f"{len(response.rejected)} shown of {response.total} held.", highlight=False)


def _held(service: IngestionServiceStub) -> dict[str, int]:
    """How many of the oldest were refused for which reason, the most frequent first."""
    from wayline.v1 import ingestion_pb2

    request = ingestion_pb2.ListRejectedRequest(limit=_MOST_HELD)
    found = service.ListRejected(request, timeout=_TIMEOUT_SECONDS).rejected
    return dict(Counter(one.rejection.reason for one in found).most_common())


def _print_reasons(reason: str, held: dict[str, int], total: int) -> None:
    """What `--reason` could have been."""
    named = ", ".join(f"{one} ({count:,})" for one, count in held.items())
    of = f"among the oldest {sum(held.values()):,}" if sum(held.values()) < total else "there are"
    support.out.print(
        f"None of the {total:,} held was refused for '{reason}'; {of}: {named or 'none'}", markup=False, highlight=False
    )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
