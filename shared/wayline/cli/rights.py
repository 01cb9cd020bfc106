"""`wayline customers export|erase|restrict|release|readmit`: what customers may ask for."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from wayline.cli import support
from wayline.cli.customers import Customer, identifier_of
from wayline.cli.customers import app as app
from wayline.cli.receipts import ReceiptFile, channel_to, check_new, keep, new_file, stub_on, wait_for

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from rich.progress import Progress

Reason = Annotated[
    str,
    typer.Option(
        "--reason", help="Why, for the audit log, which is kept: a number of a request, no name.", show_default=False
    ),
]
_TIMEOUT_SECONDS = 30.0
_EXPORT_SECONDS = 3_600.0
_PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}


@app.command("export")
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

    - `wayline customers export email:ada@example.com -o - | jq .profile`
    """
    from wayline.v1 import privacy_pb2

    if str(output) != "-":
        check_new(output)
    request = privacy_pb2.ExportCustomerRequest(customer=identifier_of(customer), reason=reason)
    with channel_to(profile) as channel, support.bars() as bars:
        parts = stub_on(channel).ExportCustomer(request, timeout=_EXPORT_SECONDS, metadata=support.acting(actor))
        first = next(parts)  # before there is a file: the customer may not be known
        if str(output) == "-":
            _write(first, parts, sys.stdout, bars)
            return
        with new_file(output) as file:
            counts = _write(first, parts, file, bars)
    said = ", ".join(f"{count} {section}" for section, count in counts.items())
    support.out.print(f"{output}: {said}", markup=False, highlight=False)


@app.command()
def erase(
    customer: Customer,
    reason: Reason,
    may_return: Annotated[
        bool, typer.Option("--may-return", help="Collect later events of the customer. Else they are refused for ever.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether this is meant.")] = False,
    output: ReceiptFile = None,
    actor: support.Actor = "",
    profile: support.Profile = support.PROFILE_ADDRESS,
) -> None:
    """Erase a customer everywhere, and print the signed receipt. It cannot be undone.

    Any identifier will do, also one that no profile has: whatever is held under it goes, and the receipt says what was
    found. To keep a copy, run `wayline customers export` before.

    The command may be interrupted: what was begun is finished nevertheless. See `wayline receipts get`.

    Examples:

    - `wayline customers erase user_id:ada --reason "request 4711"`

    - `wayline customers erase email:ada@example.com --reason "request 4711" --yes -o receipt.json`

    - `wayline customers erase user_id:ada --reason "account closed" --may-return`
    """
    from wayline.v1 import privacy_pb2

    identifier = identifier_of(customer)
    if output is not None:
        check_new(output)  # before anything is done: the receipt must have a place
    if not yes:
        typer.confirm(f"Erase the customer with {customer} for good?", abort=True, err=True)
    request = privacy_pb2.EraseCustomerRequest(customer=identifier, reason=reason, may_return=may_return)
    with channel_to(profile) as channel:
        stub = stub_on(channel)
        asked = stub.EraseCustomer(request, timeout=_TIMEOUT_SECONDS, metadata=support.acting(actor))
        if asked.no_profile:
            support.err.print(f"No profile has {customer}; what else is held under it is erased.", **_PLAIN)
        support.err.print(f"Erasure {asked.erasure_id} goes on, also if this command ends.", style="dim", **_PLAIN)
        receipt = wait_for(stub, asked.erasure_id)
    keep(receipt, output)
    if asked.no_profile and not may_return:
        back = f'wayline customers readmit {shlex.quote(customer)} --reason "…"'
        support.err.print(f"Events that name {customer} are refused now. If it was mistyped: {back}", **_PLAIN)


@app.command()
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


@app.command()
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


@app.command()
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
    with channel_to(profile) as channel:
        answer = stub_on(channel).ReadmitIdentifiers(request, timeout=_TIMEOUT_SECONDS, metadata=support.acting(actor))
    support.out.print(f"Readmitted: {answer.readmitted} of {len(identifiers)} identifiers.")


def _restrict(customer: str, restricted: bool, reason: str, actor: str, profile: str) -> None:
    from wayline.v1 import privacy_pb2

    request = privacy_pb2.RestrictCustomerRequest(
        customer=identifier_of(customer), restricted=restricted, reason=reason
    )
    with channel_to(profile) as channel:
        stub_on(channel).RestrictCustomer(request, timeout=_TIMEOUT_SECONDS, metadata=support.acting(actor))


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
