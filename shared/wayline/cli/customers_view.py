"""How `wayline customers` prints what it found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from wayline.v1 import customers_pb2, events_pb2, profile_pb2

_MOST_PARTS = 10
_MOST_CHARACTERS = 300
_EXACT_UP_TO = 1e15
_STYLES = {"joined": "green", "refused": "yellow", "shared": "yellow", "apart": "red"}


def render_profile(profile: profile_pb2.Profile, values: dict[str, object]) -> Iterator[RenderableType]:
    """What `wayline customers show` prints."""
    yield _heading(profile)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row(Text("events", "dim"), f"{profile.event_count:,}")
    for name, at_ms in (("first seen", profile.first_seen_ms), ("last seen", profile.last_seen_ms)):
        facts.add_row(Text(name, "dim"), f"{_time(at_ms)} UTC")
    if profile.region.code:
        facts.add_row(Text("region", "dim"), escape(profile.region.code))
    if profile.restricted.holds:
        facts.add_row(Text("restricted", "dim"), Text("yes: nothing of this may be used", "bold red"))
    yield facts
    if profile.consents:
        yield _consents(profile)
    table = Table("trait", "value", title="Traits", title_justify="left")
    for name, value in sorted(values.items()):
        table.add_row(Text(name), Text(in_words(value)))
    _fold(table)
    yield table


def render_merges(found: customers_pb2.ListMergesResponse) -> Iterator[RenderableType]:
    """What `wayline customers merges` prints."""
    yield _heading(found)
    if not found.merges:
        yield Text("No event has linked it with any other identifier.")
        return
    table = Table("identifier", "linked with", "since (UTC)", "by", "status", title="Links, the strongest first")
    _fold(table)
    for merge in found.merges:
        status = customers_pb2.MergeStatus.Name(merge.status).removeprefix("MERGE_STATUS_").lower()
        said = Text(status, _STYLES.get(status, ""))
        if merge.reason:
            said.append(f": {merge.reason}")
        if merge.HasField("ruled_at"):
            said.append(f" (ruled {_time(merge.ruled_at.ToMilliseconds())} UTC)")
        since = _time(merge.time.ToMilliseconds()) if merge.HasField("time") else "never"
        by = ("alias " if merge.alias else "") + escape(merge.message_id)
        table.add_row(_named(merge.one), _named(merge.other), since, by, said)
    yield table


def render_profiles(profiles: list[profile_pb2.Profile], said: str) -> Iterator[RenderableType]:
    """What `wayline customers unmerge` and `join` print."""
    yield Text(said, "green")
    for profile in profiles:
        yield _heading(profile)


def _heading(customer: profile_pb2.Profile | customers_pb2.ListMergesResponse) -> Text:
    text = Text.assemble("Customer ", (customer.profile_id or "without any event", "bold"))
    for one in customer.identifiers:
        text.append(f"\n  {one.kind} ", "dim").append(one.value)
    return text


def _consents(profile: profile_pb2.Profile) -> Table:
    table = Table("purpose", "said", "when (UTC)", "source", "text", "basis", title="Consent", title_justify="left")
    _fold(table)
    for purpose, said in sorted(profile.consents.items()):
        word = Text("yes", "green") if said.granted else Text("no", "red")
        kept = (said.source, said.text_version, said.legal_basis)
        table.add_row(escape(purpose), word, _time(said.timestamp_ms), *map(escape, kept))
    return table


def in_words(value: object) -> str:
    """A trait's value: whole numbers as such, others to two decimals or three digits, and what is left out is said."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return _number(value)
        case dict():
            parts = [f"{name} {in_words(one)}" for name, one in sorted(value.items(), key=_foremost)]
        case list():
            parts = [in_words(one) for one in value]
        case _:
            parts = [str(value)]
    text = ", ".join(parts[:_MOST_PARTS])
    cut = f"{text[:_MOST_CHARACTERS]}…" if len(text) > _MOST_CHARACTERS else text
    more = f" and {len(parts) - _MOST_PARTS:,} more" if len(parts) > _MOST_PARTS else ""
    return f"{cut}{more} (whole: --json)" if more or cut is not text else text


def _number(value: float) -> str:
    if value.is_integer() and abs(value) < _EXACT_UP_TO:
        return f"{value:.0f}"
    if 1 <= abs(value) < _EXACT_UP_TO:
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{value:.3g}"


def _foremost(one: tuple[str, object]) -> tuple[float, str]:
    """Greatest first, then by name."""
    return (-one[1] if isinstance(one[1], float) else 0.0, one[0])


def _fold(table: Table) -> None:
    """Break what is too long for its column; half an identifier names nobody."""
    for column in table.columns:
        column.overflow = "fold"


def _named(one: events_pb2.Identifier) -> Text:
    return Text.assemble((one.kind, "dim"), " ", one.value) if one.kind else Text("named by a ruling only", "dim")


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S}"
