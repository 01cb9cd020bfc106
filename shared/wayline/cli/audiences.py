"""`wayline audiences`: who belongs to which audience and stage, and lists of members to take along."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import grpc
import typer

from wayline.cli import support
from wayline.cli.receipts import check_new

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from wayline.v1.audiences_pb2 import ExportAudienceResponse
    from wayline.v1.audiences_pb2_grpc import AudienceServiceStub

app = typer.Typer(
    help="Say who belongs to which audience and stage of the journey, and export members.\n\n"
    "Examples:\n\n- `wayline audiences list`\n\n- `wayline audiences preview lapsed`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Audience = Annotated[str, typer.Argument(help="The name of the audience.", show_default=False)]
_TIMEOUT_SECONDS = 60.0


class Format(StrEnum):
    """How members are written."""

    CSV = "csv"
    JSONL = "jsonl"


@app.command("list")
def list_audiences(profile: support.Profile = support.PROFILE_ADDRESS, as_json: support.Json = False) -> None:
    """List all audiences with their rules and the number of their members.

    Examples:

    - `wayline audiences list`
    """
    from wayline.cli.audiences_view import in_json, render_audiences
    from wayline.v1 import audiences_pb2

    with _service(profile) as service:
        listed = service.ListAudiences(audiences_pb2.ListAudiencesRequest(), timeout=_TIMEOUT_SECONDS)
        status = service.GetAudienceStatus(audiences_pb2.GetAudienceStatusRequest(), timeout=_TIMEOUT_SECONDS)
    if as_json:
        support.print_json({**in_json(listed), "status": in_json(status)})
        return
    for part in render_audiences(listed, status):
        support.out.print(part)


@app.command()
def stages(profile: support.Profile = support.PROFILE_ADDRESS, as_json: support.Json = False) -> None:
    """Show how many customers are in each stage of the journey.

    Examples:

    - `wayline audiences stages`
    """
    from wayline.cli.audiences_view import in_json, render_stages
    from wayline.v1 import audiences_pb2

    with _service(profile) as service:
        found = service.GetStages(audiences_pb2.GetStagesRequest(), timeout=_TIMEOUT_SECONDS)
    if as_json:
        support.print_json(in_json(found))
        return
    support.out.print(render_stages(found))


@app.command()
def count(
    audience: Audience, profile: support.Profile = support.PROFILE_ADDRESS, as_json: support.Json = False
) -> None:
    """Count the members of one audience.

    Examples:

    - `wayline audiences count lapsed`
    """
    from wayline.cli.audiences_view import in_json
    from wayline.v1 import audiences_pb2

    with _service(profile) as service:
        request = audiences_pb2.CountAudienceRequest(audience=audience)
        found = service.CountAudience(request, timeout=_TIMEOUT_SECONDS)
    if as_json:
        support.print_json(in_json(found))
    else:
        support.out.print(f"{found.members:,} of {found.profiles:,} customers", highlight=False)


@app.command()
def preview(
    audience: Annotated[str | None, typer.Argument(help="The name of an audience. None: see --rule.")] = None,
    rule: Annotated[str, typer.Option("--rule", help="CEL over the profile, as in the catalogue.")] = "",
    sample: Annotated[int, typer.Option("--sample", min=1, max=10_000, help="Judge at most so many.")] = 2_000,
    ids: Annotated[int, typer.Option("--ids", min=0, max=100, help="Show at most so many profile ids.")] = 5,
    profile: support.Profile = support.PROFILE_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Estimate for how many customers a rule holds, judged by a sample. Nothing is changed.

    Examples:

    - `wayline audiences preview lapsed`

    - `wayline audiences preview --rule 'profile.orders > 2 && profile.stage == "at_risk"' --sample 10000`
    """
    from wayline.cli.audiences_view import in_json, render_preview
    from wayline.v1 import audiences_pb2

    if bool(audience) == bool(rule):
        support.fail("say what to try: either the name of an audience, or --rule 'profile.orders > 2'", code=2)
    request = audiences_pb2.PreviewAudienceRequest(sample=sample, profile_ids=ids)
    if audience:
        request.audience = audience
    else:
        request.rule = rule
    with _service(profile) as service:
        tried = service.PreviewAudience(request, timeout=_TIMEOUT_SECONDS)
    if as_json:
        support.print_json(in_json(tried))
        return
    for part in render_preview(tried):
        support.out.print(part)


@app.command()
def export(
    audience: Audience,
    purpose: Annotated[
        str, typer.Option("--purpose", help="What it is for: only who allows it comes along. 'none': whoever belongs.")
    ],
    identifiers: Annotated[
        str, typer.Option("--identifiers", metavar="KIND", help="Which identifiers go along, for instance email.")
    ] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file. None: standard output.")] = None,
    form: Annotated[Format, typer.Option("--format", help="csv has a line for each identifier.")] = Format.CSV,
    actor: support.Actor = "",
    profile: support.Profile = support.PROFILE_ADDRESS,
    nats: support.Nats = support.NATS_URL,
) -> None:
    """Write the members of an audience, as CSV or as lines of JSON. The audit log keeps who did so.

    A file that exists is not written over. NATS is asked only for kinds of identifier that the catalogue declares.

    Examples:

    - `wayline audiences export lapsed --purpose marketing_email --identifiers email -o lapsed.csv`

    - `wayline audiences export lapsed --purpose none --format jsonl`
    """
    from wayline.cli.audiences_view import following, write_csv, write_lines
    from wayline.v1 import audiences_pb2

    if output is not None:
        check_new(output)  # before it is asked for: the audit log keeps that
    if identifiers:
        _check_kind(identifiers, nats)
    request = audiences_pb2.ExportAudienceRequest(audience=audience, purpose=purpose, identifier_kind=identifiers)
    left_out = written = 0

    def counted(parts: Iterable[ExportAudienceResponse]) -> Iterator[ExportAudienceResponse]:
        nonlocal left_out, written
        for part in parts:
            left_out, written = part.left_out, written + len(part.members)
            yield part

    with _service(profile) as service:
        answers = iter(following(service.ExportAudience(request, metadata=support.acting(actor))))
        first = next(answers, None)  # before anything is written: the service may refuse
        parts = answers if first is None else chain([first], answers)
        with _opened(output) as file:
            (write_csv if form == Format.CSV else write_lines)(counted(parts), file)
    support.err.print(f"{written:,} members written{_left_out(left_out, purpose)}", highlight=False)


def _left_out(number: int, purpose: str) -> str:
    """Who did not come along, and why."""
    from wayline.catalog.consent import NO_PURPOSE

    if purpose != NO_PURPOSE:
        return f"; {number:,} left out, who do not allow it"
    whoever = ", whatever they allow"
    if not number:
        return whoever
    return f"{whoever}; {number:,} left out: their data is restricted, or they do not allow the audience's own purpose"


def _check_kind(kind: str, nats: str) -> None:
    """Refuse a kind of identifier that there is not: all its cells would be empty.

    Raises:
        InvalidField: it is neither built in nor declared by the catalogue.
    """
    from wayline.catalog.findings import unknown
    from wayline.errors import InvalidField
    from wayline.identity import KINDS

    if kind in KINDS:
        return
    declared = asyncio.run(_declared_kinds(nats))
    if kind not in declared:
        raise InvalidField("--identifiers", unknown("kind of identifier", kind, (*KINDS, *declared)))


async def _declared_kinds(nats: str) -> list[str]:
    """Kinds that the catalogue declares; none while there is no catalogue."""
    from nats.js.errors import BucketNotFoundError

    from wayline.bus import CATALOG_BUCKET
    from wayline.catalog.store import CatalogStore

    async with support.connection(nats) as client:
        try:
            store = CatalogStore(await client.jetstream().key_value(CATALOG_BUCKET))
        except BucketNotFoundError:
            return []
        revision = await store.current_revision()
        return list((await store.fetch(revision)).identifiers) if revision else []


@contextmanager
def _service(address: str) -> Iterator[AudienceServiceStub]:
    from wayline.v1 import audiences_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        yield audiences_pb2_grpc.AudienceServiceStub(channel)


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    """A file that appears when it is whole, and that only its owner may read; or standard output."""
    if path is None:
        yield sys.stdout
        return
    unfinished = path.with_name(f"{path.name}.part")
    try:
        unfinished.touch(mode=0o600)
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        support.fail(f"{path}: cannot be written: {(error.strerror or 'unknown reason').lower()}")
    finally:
        unfinished.unlink(missing_ok=True)
