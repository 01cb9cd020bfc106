"""`wayline customers`: one customer's profile, how its identifiers came together, and how to take a merge back.

`rights.py` adds to the same group what customers may ask for: export, erase, restrict.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from wayline.cli import support

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    import grpc

    from wayline.v1.customers_pb2 import JoinResponse, UnmergeResponse
    from wayline.v1.customers_pb2_grpc import CustomerServiceStub
    from wayline.v1.events_pb2 import Identifier

app = typer.Typer(
    help="Look at a customer; export, erase or restrict what is held; see and take back how identifiers came together."
    "\n\n"
    "Examples:\n\n- `wayline customers show user_id:ada`\n\n- `wayline customers merges email:ada@example.com`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Customer = Annotated[
    str, typer.Argument(metavar="CUSTOMER", help="KIND:VALUE, for instance user_id:ada.", show_default=False)
]
Other = Annotated[
    str, typer.Argument(metavar="IDENTIFIER", help="KIND:VALUE, for instance anonymous_id:b-17.", show_default=False)
]
_TIMEOUT_SECONDS = 30.0


@app.command()
def show(
    customer: Customer,
    actor: support.Actor = "",
    profile: support.Profile = support.PROFILE_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Show a customer's profile: identifiers, consent, and the values of all traits.

    Examples:

    - `wayline customers show user_id:ada`

    - `wayline customers show email:ada@example.com --json`
    """
    from google.protobuf.json_format import MessageToDict

    from wayline.cli.customers_view import render_profile
    from wayline.v1 import profile_pb2, profile_pb2_grpc

    request = profile_pb2.GetProfileRequest(customer=identifier_of(customer))
    with _channel(profile) as channel:
        found = profile_pb2_grpc.ProfileServiceStub(channel).GetProfile(
            request, timeout=_TIMEOUT_SECONDS, metadata=support.acting(actor)
        )
    if as_json:
        support.print_json(support.plain(found))
        return
    for part in render_profile(found.profile, MessageToDict(found.values)):
        support.out.print(part)


@app.command()
def merges(
    customer: Customer,
    actor: support.Actor = "",
    profile: support.Profile = support.PROFILE_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Say what has linked a customer's identifiers, since when, and what became of each link.

    Examples:

    - `wayline customers merges user_id:ada`

    - `wayline customers merges anonymous_id:b-17 --json`
    """
    from wayline.cli.customers_view import render_merges
    from wayline.v1 import customers_pb2

    request = customers_pb2.ListMergesRequest(customer=identifier_of(customer))
    with _customers(profile) as service:
        found = service.ListMerges(request, timeout=_TIMEOUT_SECONDS, metadata=support.acting(actor))
    if as_json:
        support.print_json(support.plain(found))
        return
    for part in render_merges(found):
        support.out.print(part)


@app.command()
def unmerge(
    customer: Customer,
    identifier: Other,
    actor: support.Actor = "",
    profile: support.Profile = support.PROFILE_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Take an identifier out of a customer, for good. Each has again what it would have, had they never been linked.

    With the identifier goes what is linked more closely to it than to the customer. Undo it with `join`.

    Examples:

    - `wayline customers unmerge user_id:ada anonymous_id:b-17`

    - `wayline customers unmerge user_id:new user_id:old --json`
    """
    from wayline.v1 import customers_pb2

    request = customers_pb2.UnmergeRequest(customer=identifier_of(customer), identifier=identifier_of(identifier))
    with _customers(profile) as service:
        done = service.Unmerge(request, timeout=_TIMEOUT_SECONDS, metadata=support.acting(actor))
    _print_ruled(done, "Taken out; rulings written", as_json)


@app.command()
def join(
    customer: Customer,
    identifier: Other,
    actor: support.Actor = "",
    profile: support.Profile = support.PROFILE_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Lift what `unmerge` ruled: from now on events decide again, those included that were folded before.

    Examples:

    - `wayline customers join user_id:ada anonymous_id:b-17`

    - `wayline customers join user_id:new user_id:old --json`
    """
    from wayline.v1 import customers_pb2

    request = customers_pb2.JoinRequest(customer=identifier_of(customer), identifier=identifier_of(identifier))
    with _customers(profile) as service:
        done = service.Join(request, timeout=_TIMEOUT_SECONDS, metadata=support.acting(actor))
    _print_ruled(done, "Events decide again; rulings lifted", as_json)


def identifier_of(text: str) -> Identifier:
    """'email:ada@example.com' as an identifier.

    Raises:
        typer.BadParameter: it is not KIND:VALUE.
    """
    from wayline.v1 import events_pb2

    kind, colon, value = text.partition(":")
    if not (kind and colon and value):
        raise typer.BadParameter(f"expected KIND:VALUE, for instance user_id:ada, got '{text}'")
    return events_pb2.Identifier(kind=kind, value=value)


def _print_ruled(done: UnmergeResponse | JoinResponse, said: str, as_json: bool) -> None:
    """Who is who after a ruling of staff."""
    from wayline.cli.customers_view import render_profiles

    if as_json:
        support.print_json(support.plain(done))
        return
    for part in render_profiles(list(done.profiles), f"{said}: {done.rulings}"):
        support.out.print(part)


@contextmanager
def _customers(address: str) -> Iterator[CustomerServiceStub]:
    from wayline.v1 import customers_pb2_grpc

    with _channel(address) as channel:
        yield customers_pb2_grpc.CustomerServiceStub(channel)


def _channel(address: str) -> grpc.Channel:
    import grpc

    return grpc.insecure_channel(address)
