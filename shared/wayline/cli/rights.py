"""`wayline customers export|erase|restrict|release|readmit`, and `wayline receipts`: what customers may ask for."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from wayline.cli import support
from wayline.cli.customers import Customer, identifier_of
from wayline.cli.customers import app as customers

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from rich.progress import Progress

    from wayline.v1.privacy_pb2_grpc import PrivacyServiceStub

receipts = typer.Typer(help="Check the receipts of erasures.", no_args_is_help=True, rich_markup_mode="markdown")
Reason = Annotated[str, typer.Option("--reason", help="Why, for the audit log; without a name.", show_default=False)]
_TIMEOUT_SECONDS = 30.0
_EXPORT_SECONDS = 3_600.0
_POLL_SECONDS = 0.3


@customers.command("export")
def export(
    customer: Customer,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write; - for standard output.", show_default=False)
    ],
    reason: Reason = "",
    actor: support.Actor = "",
    profile: support.Profile = support.PROFILE_ADDRESS,
) -> None:
    """Write all that is held of a customer to a file, as JSON. A file that exists is not written over.

    Examples:

    - `wayline customers export user_id:ada -o ada.json --reason "request 4711"`
    """
    from wayline.v1 import privacy_pb2

    request = privacy_pb2.ExportCustomerRequest(customer=identifier_of(customer), reason=reason)
    with _channel(profile) as channel, support.bars() as bars:
        parts = _stub(channel).ExportCustomer(request, timeout=_EXPORT_SECONDS, metadata=support.acting(actor))
        first = next(parts)  # before there is a file: the customer may not be known
        if str(output) == "-":
            _write(first, parts, sys.stdout, bars)
            return
        try:
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            support.fail(f"{output} exists; name another file with --output")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            counts = _write(first, parts, file, bars)
    said = ", ".join(f"{count} {section}" for section, count in counts.items())
    support.out.print(f"{output}: {said}", markup=False, highlight=False)


@customers.command()
def erase(
    customer: Customer,
    reason: Reason,
    may_return: Annotated[bool, typer.Option("--may-return", help="Take later events of the customer again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write the receipt.")] = None,
    actor: support.Actor = "",
    profile: support.Profile = support.PROFILE_ADDRESS,
) -> None:
    """Erase a customer everywhere, and print the signed receipt. It cannot be undone.

    The command may be interrupted: what was begun is finished nevertheless. See `wayline receipts get`.

    Examples:

    - `wayline customers erase user_id:ada --reason "request 4711"`

    - `wayline customers erase email:ada@example.com --reason "request 4711" --yes -o receipt.json`
    """
    from wayline.v1 import privacy_pb2

    identifier = identifier_of(customer)
    if not yes:
        typer.confirm(f"Erase the customer with {customer} for good?", abort=True, err=True)
    request = privacy_pb2.EraseCustomerRequest(customer=identifier, reason=reason, may_return=may_return)
    with _channel(profile) as channel:
        stub = _stub(channel)
        asked = stub.EraseCustomer(request, timeout=_TIMEOUT_SECONDS, metadata=support.acting(actor))
        support.err.print(f"Erasure {asked.erasure_id}", style="dim", highlight=False)
        receipt = _wait(stub, asked.erasure_id)
    _put(receipt, output)


@customers.command()
def restrict(
    customer: Customer,
    reason: Reason,
    actor: support.Actor = "",
    profile: support.Profile = support.PROFILE_ADDRESS,
) -> None:
    """Keep a customer's data and do not use it, until `release`.

    Examples:

    - `wayline customers restrict user_id:ada --reason "accuracy contested, request 4712"`
    """
    _restrict(customer, True, reason, actor, profile)
    support.out.print("Restricted: decisions treat the customer as one who has consented to nothing.")


@customers.command()
def release(
    customer: Customer,
    reason: Reason,
    actor: support.Actor = "",
    profile: support.Profile = support.PROFILE_ADDRESS,
) -> None:
    """Lift the restriction of a customer: data may be used again, as far as there is consent.

    Examples:

    - `wayline customers release user_id:ada --reason "settled, request 4712"`
    """
    _restrict(customer, False, reason, actor, profile)
    support.out.print("Released.")


@customers.command()
def readmit(
    identifiers: Annotated[
        list[str],
        typer.Argument(metavar="IDENTIFIER...", help="KIND:VALUE, for instance user_id:ada.", show_default=False),
    ],
    reason: Reason,
    actor: support.Actor = "",
    profile: support.Profile = support.PROFILE_ADDRESS,
) -> None:
    """Take events of erased identifiers again, from now on. What was erased does not come back.

    After an erasure nobody knows which identifiers belonged together: name each of them.

    Examples:

    - `wayline customers readmit user_id:ada email:ada@example.com --reason "signed up again, request 4714"`
    """
    from wayline.v1 import privacy_pb2

    request = privacy_pb2.ReadmitIdentifiersRequest(identifiers=map(identifier_of, identifiers), reason=reason)
    with _channel(profile) as channel:
        answer = _stub(channel).ReadmitIdentifiers(request, timeout=_TIMEOUT_SECONDS, metadata=support.acting(actor))
    support.out.print(f"Readmitted: {answer.readmitted} of {len(identifiers)} identifiers.")


@receipts.command()
def get(
    erasure_id: Annotated[str, typer.Argument(metavar="ID", help="The erasure's id.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write it.")] = None,
    profile: support.Profile = support.PROFILE_ADDRESS,
) -> None:
    """Wait until an erasure is done, and print its receipt.

    Examples:

    - `wayline receipts get 0f8fad5bd9cb469fa16570867728950e`
    """
    with _channel(profile) as channel:
        receipt = _wait(_stub(channel), erasure_id)
    _put(receipt, output)


@receipts.command()
def key(profile: support.Profile = support.PROFILE_ADDRESS) -> None:
    """Print the public key by which receipts are checked. Keep it where the receipts are not.

    Examples:

    - `wayline receipts key > receipt-key.pem`
    """
    print(_public_key(profile), end="")


@receipts.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The receipt.", exists=True, dir_okay=False, show_default=False)],
    key: Annotated[
        Path | None,
        typer.Option("--key", help="The public key. Else the service is asked.", exists=True, dir_okay=False),
    ] = None,
    profile: support.Profile = support.PROFILE_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Check that a receipt was signed with the key, and not changed since. Exit code 1 when it was.

    Examples:

    - `wayline receipts verify receipt.json`

    - `wayline receipts verify receipt.json --key receipt-key.pem`
    """
    from wayline.receipts import MAX_BYTES
    from wayline.receipts import verify as check

    with file.open(encoding="utf-8", errors="replace") as opened:
        text = opened.read(MAX_BYTES + 1)
    document = check(text, key.read_text() if key else _public_key(profile))
    if as_json:
        support.print_json(document)
        return
    for name, place in document["removed"]["streams"].items():
        support.out.print(f"  {name.lower()}: {place['messages']} messages", markup=False, highlight=False)
    for text in document["not_done"]:
        support.out.print(f"  still to be done: {text}", style="yellow", markup=False, highlight=False)
    support.out.print(f"Genuine: erasure {document['erasure_id']}, done {document['erased_at']}", style="green")


def _channel(address: str) -> Any:
    """A channel on which a large part of an export fits."""
    import grpc

    return grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", 64 << 20)])


def _stub(channel: Any) -> PrivacyServiceStub:
    from wayline.v1 import privacy_pb2_grpc

    return privacy_pb2_grpc.PrivacyServiceStub(channel)


def _restrict(customer: str, restricted: bool, reason: str, actor: str, profile: str) -> None:
    from wayline.v1 import privacy_pb2

    request = privacy_pb2.RestrictCustomerRequest(
        customer=identifier_of(customer), restricted=restricted, reason=reason
    )
    with _channel(profile) as channel:
        _stub(channel).RestrictCustomer(request, timeout=_TIMEOUT_SECONDS, metadata=support.acting(actor))


def _public_key(profile: str) -> str:
    from wayline.v1 import privacy_pb2

    with _channel(profile) as channel:
        answer = _stub(channel).GetReceiptKey(privacy_pb2.GetReceiptKeyRequest(), timeout=_TIMEOUT_SECONDS)
    return str(answer.public_key)


def _write(first: Any, parts: Any, file: TextIO, bars: Progress) -> dict[str, int]:
    """One JSON object: section to the list of its values. Returns how many each has."""
    from itertools import chain

    counts: dict[str, int] = {}
    report = support.by_step(bars)
    file.write("{")
    for part in chain([first], parts):
        if part.section not in counts:
            file.write(("\n]," if counts else "") + f'\n"{part.section}": [')
            counts[part.section] = 0
        for item in part.items:
            file.write(("," if counts[part.section] else "") + f"\n{item}")
            counts[part.section] += 1
        if part.total:
            report(part.section, part.done, part.total)
    file.write("\n]\n}\n")
    return counts


def _wait(stub: PrivacyServiceStub, erasure_id: str) -> str:
    """The receipt, as soon as there is one."""
    from wayline.v1 import privacy_pb2

    request = privacy_pb2.GetErasureRequest(erasure_id=erasure_id)
    with support.bars() as bars:
        task = bars.add_task("requested", total=None)
        while True:
            said = stub.GetErasure(request, timeout=_TIMEOUT_SECONDS)
            if said.receipt:
                return str(said.receipt)
            name = privacy_pb2.ErasureState.Name(said.state).removeprefix("ERASURE_STATE_").lower()
            bars.update(task, description=name, completed=said.done, total=said.total or None)
            time.sleep(_POLL_SECONDS)


def _put(receipt: str, output: Path | None) -> None:
    if output is None:
        print(receipt)
        return
    output.write_text(receipt + "\n", encoding="utf-8")
    support.out.print(f"Erased. The receipt is in {output}", markup=False, highlight=False)
