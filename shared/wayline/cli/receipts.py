"""`wayline receipts`: what was erased, signed; and how every command that writes such a document keeps it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from wayline.cli import support

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from wayline.v1.privacy_pb2_grpc import PrivacyServiceStub

app = typer.Typer(
    help="Get and check the receipts of erasures.\n\nExamples:\n\n- `wayline receipts verify receipt.json`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
ReceiptFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="The file to write the receipt to. Else it is printed.", show_default=False),
]
_TIMEOUT_SECONDS = 30.0
_POLL_SECONDS = 0.3
_RECEIPT = ("erasure_id", "key", "signature")
_PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}


@app.command()
def get(
    erasure_id: Annotated[str, typer.Argument(metavar="ID", help="The erasure's id.", show_default=False)],
    output: ReceiptFile = None,
    profile: support.Profile = support.PROFILE_ADDRESS,
) -> None:
    """Wait until an erasure is done, and print its receipt. `wayline audit list --json` has all ids.

    Examples:

    - `wayline receipts get 0f8fad5bd9cb469fa16570867728950e`

    - `wayline receipts get 0f8fad5bd9cb469fa16570867728950e -o receipt.json`
    """
    if output is not None:
        check_new(output)
    with channel_to(profile) as channel:
        receipt = wait_for(stub_on(channel), erasure_id)
    keep(receipt, output)


@app.command()
def key(profile: support.Profile = support.PROFILE_ADDRESS) -> None:
    """Print the public key by which receipts are checked. Keep it where the receipts are not.

    Examples:

    - `wayline receipts key > receipt-key.pem`
    """
    print(_public_key(profile), end="")


@app.command()
def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The receipt.", exists=True, dir_okay=False, show_default=False)
    ],
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            help="The public key, as `wayline receipts key` prints it. Else the service is asked.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    profile: support.Profile = support.PROFILE_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Check that a receipt was signed with the key, and not changed since. Exit code 1 when that is not so.

    Examples:

    - `wayline receipts verify receipt.json`

    - `wayline receipts verify receipt.json --key receipt-key.pem`
    """
    from wayline.cli.receipts_view import removed
    from wayline.receipts import MAX_BYTES
    from wayline.receipts import verify as check

    with file.open(encoding="utf-8", errors="replace") as opened:
        text = opened.read(MAX_BYTES + 1)
    _check_is_receipt(file, text)
    document = check(text, key.read_text(encoding="utf-8", errors="replace") if key else _public_key(profile))
    if as_json:
        support.print_json(document)
        return
    for line in removed(document):
        support.out.print(f"  {line}", **_PLAIN)
    for line in document["not_done"]:
        support.out.print(f"  still to be done: {line}", style="yellow", **_PLAIN)
    support.out.print(f"Genuine: erasure {document['erasure_id']}, done {document['erased_at']}", style="green")


def _check_is_receipt(file: Path, text: str) -> None:
    """End the command when the file holds something else: its signature is not to be blamed then."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return  # the check says what is wrong with it
    missing = [one for one in _RECEIPT if not isinstance(document, dict) or one not in document]
    if missing:
        support.fail(
            f"{file} is no receipt of an erasure, or not all of one: it has no {', '.join(missing)}. "
            "Expected what `wayline customers erase -o` or `wayline receipts get -o` writes."
        )


def channel_to(address: str) -> Any:
    """A channel on which a large part of an export fits."""
    import grpc

    return grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", 64 << 20)])


def stub_on(channel: Any) -> PrivacyServiceStub:
    """A client of the service at the other end."""
    from wayline.v1 import privacy_pb2_grpc

    return privacy_pb2_grpc.PrivacyServiceStub(channel)


def _public_key(profile: str) -> str:
    from wayline.v1 import privacy_pb2

    with channel_to(profile) as channel:
        answer = stub_on(channel).GetReceiptKey(privacy_pb2.GetReceiptKeyRequest(), timeout=_TIMEOUT_SECONDS)
    return str(answer.public_key)


def wait_for(stub: PrivacyServiceStub, erasure_id: str) -> str:
    """The receipt, as soon as there is one."""
    import grpc

    from wayline.v1 import privacy_pb2

    request = privacy_pb2.GetErasureRequest(erasure_id=erasure_id)
    with support.bars() as bars:
        task = bars.add_task("requested", total=None)
        while True:
            try:
                said = stub.GetErasure(request, timeout=_TIMEOUT_SECONDS, wait_for_ready=True)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise
                support.fail(
                    "the profile service cannot be reached. The erasure goes on as soon as it is back; then get the "
                    f"receipt with: wayline receipts get {erasure_id}"
                )
            if said.receipt:
                return str(said.receipt)
            name = privacy_pb2.ErasureState.Name(said.state).removeprefix("ERASURE_STATE_").lower()
            bars.update(task, description=name, completed=said.done, total=said.total or None)
            time.sleep(_POLL_SECONDS)


def keep(receipt: str, output: Path | None) -> None:
    """The receipt to where it is wanted, and in words to whoever watches."""
    from wayline.cli.receipts_view import removed

    document = json.loads(receipt)
    if output is None:
        print(receipt)
    else:
        with new_file(output) as file:
            file.write(receipt + "\n")
    for line in removed(document):
        support.err.print(f"  {line}", **_PLAIN)
    for line in document["not_done"]:
        support.err.print(f"  still to be done: {line}", style="yellow", **_PLAIN)
    if output is not None:
        support.out.print(f"Erased. The receipt is in {output}", **_PLAIN)


def check_new(path: Path) -> None:
    """That a file can be made there, before what is to be written to it is done."""
    if path.exists():
        support.fail(f"{path} exists; name another file with --output")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        support.fail(f"{path.parent} cannot be written to; name another file with --output")


@contextmanager
def new_file(path: Path) -> Iterator[TextIO]:
    """A file for its owner only, whole or not at all."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        support.fail(f"{path} cannot be written: {error.strerror}; name another file with --output")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
    except BaseException:
        path.unlink()
        raise
