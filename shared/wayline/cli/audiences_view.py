"""How audiences and stages are shown to people, and how members are written for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from wayline.catalog.model import Catalog
from wayline.cli import support
from wayline.v1 import audiences_pb2

_COUNTED_UP_TO = 1_000
_LONG = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a cell for a formula."""


def render_audiences(
    listed: audiences_pb2.ListAudiencesResponse, status: audiences_pb2.GetAudienceStatusResponse
) -> Iterator[RenderableType]:
    """What `wayline audiences list` prints."""
    table = Table("audience", "members", "share", "rule", "purpose", "description")
    table.columns[1].justify = table.columns[2].justify = "right"
    _fold(table)
    for one in listed.audiences:
        table.add_row(
            Text(one.name, "bold cyan"),
            f"{one.members:,}",
            _share(one.members, listed.profiles),
            Text(" ".join(one.rule.split())),
            Text(one.purpose or "-"),
            Text(one.description or one.because),
        )
    if listed.audiences:
        yield table
    at = listed.counted_at.ToDatetime()
    yield Text(
        f"{len(listed.audiences)} audiences of {listed.profiles:,} customers, counted at {at:%H:%M:%S} UTC", "dim"
    )
    if status.judging:
        share = _share(status.judged, status.profiles)
        yield Text(f"All customers are being judged by another catalogue: {share} so far", "yellow")
    for number, what in (
        (status.due, "customers are due to be judged"),
        (status.unpublished, "changes are to be told"),
    ):
        if number:
            yield Text(f"{number:,}{'+' if number == _COUNTED_UP_TO else ''} {what}", "yellow")


def declared(catalog: Catalog) -> Iterator[Table]:
    """The audiences and stages of a catalogue, where there are any."""
    if catalog.audiences:
        table = Table("audience", "rule", "purpose", "description", "why", title="Audiences", title_justify="left")
        _fold(table)
        for name, one in catalog.audiences.items():
            rule = Text(" ".join(one.rule.split()))
            table.add_row(name, rule, one.purpose or "-", Text(one.description), Text(one.because))
        yield table
    if catalog.lifecycle:
        table = Table("stage", "rule", "why", title="Stages, the first that holds", title_justify="left")
        _fold(table)
        for stage in catalog.lifecycle.judged():
            table.add_row(stage.id, Text(" ".join(stage.rule.split())), Text(stage.because))
        yield table


def render_stages(found: audiences_pb2.GetStagesResponse) -> RenderableType:
    """What `wayline audiences stages` prints."""
    if not found.stages:
        return Text("The catalogue declares no lifecycle. To begin with the default one: lifecycle: default", "yellow")
    table = Table("stage", "customers", "share", "rule", "why")
    table.columns[1].justify = table.columns[2].justify = "right"
    _fold(table)
    for one in found.stages:
        table.add_row(
            Text(one.stage, "bold cyan"),
            f"{one.customers:,}",
            _share(one.customers, found.profiles),
            Text(" ".join(one.rule.split()) or "no other rule holds", "" if one.rule else "dim"),
            Text(one.because),
        )
    return table


def render_preview(tried: audiences_pb2.PreviewAudienceResponse) -> Iterator[RenderableType]:
    """What `wayline audiences preview` prints."""
    share = _share(tried.matched, tried.judged)
    if tried.judged >= tried.profiles:
        yield Text(f"{tried.matched:,} of all {tried.profiles:,} customers ({share})", "bold")
    else:
        between = f"between {tried.estimate_low:,} and {tried.estimate_high:,}"
        yield Text.assemble(
            (f"about {tried.estimate:,} of {tried.profiles:,} customers", "bold"), f" ({share}), {between}"
        )
        yield Text(f"judged by a sample of {tried.judged:,}, with a certainty of 95 %", "dim")
    for one in tried.profile_ids:
        yield Text(f"  {one}", "cyan")


def following(parts: Iterable[audiences_pb2.ExportAudienceResponse]) -> Iterator[audiences_pb2.ExportAudienceResponse]:
    """The same parts, with a progress bar on standard error."""
    with support.bars() as bars:
        task = bars.add_task("members", total=None)
        for part in parts:
            bars.update(task, completed=part.done, total=part.total)
            yield part


def write_csv(parts: Iterable[audiences_pb2.ExportAudienceResponse], file: TextIO) -> None:
    """A line for each identifier, and one for a member without any.

    Customers choose their identifiers: a cell that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    writer = csv.writer(file)
    writer.writerow(("profile_id", "since", "kind", "value"))
    for part in parts:
        for member in part.members:
            since = member.since.ToJsonString()
            named = [(one.kind, one.value) for one in member.identifiers] or [("", "")]
            writer.writerows((member.profile_id, since, *map(_as_text, one)) for one in named)


def _as_text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def write_lines(parts: Iterable[audiences_pb2.ExportAudienceResponse], file: TextIO) -> None:
    """A line of JSON for each member."""
    for part in parts:
        for member in part.members:
            line = {
                "profile_id": member.profile_id,
                "since": member.since.ToJsonString(),
                "identifiers": [{"kind": one.kind, "value": one.value} for one in member.identifiers],
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def in_json(message: Message) -> dict[str, Any]:
    """A message as JSON, with numbers where protobuf's own JSON has 64-bit numbers as text."""
    return _with_numbers(message, support.plain(message, defaults=True))


def _with_numbers(message: Message, plain: dict[str, Any]) -> dict[str, Any]:
    for field in message.DESCRIPTOR.fields:
        value = plain.get(field.name)
        if isinstance(value, str) and field.cpp_type in _LONG:
            plain[field.name] = int(value)
        elif isinstance(value, dict) and field.message_type:
            _with_numbers(getattr(message, field.name), value)
        elif isinstance(value, list) and field.message_type:
            for one, each in zip(getattr(message, field.name), value, strict=True):
                _with_numbers(one, each)
    return plain


def _fold(table: Table) -> None:
    """Break words that are too long for their column; a rule whose end is cut says something else."""
    for column in table.columns:
        if column.justify != "right":
            column.overflow = "fold"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
