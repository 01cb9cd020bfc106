"""Revisions of the catalogue, and what differs between two, for the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wayline.audit import UNKNOWN
from wayline.catalog.diff import Change, Difference
from wayline.catalog.revisions import Kept
from wayline.catalog.store import Uptake
from wayline.cli.catalog_words import duration
from wayline.cli.support import printable

_MOST_ROWS = 200
_MOST_FIELD = 40
_INDENT = (0, 0, 0, 8)
_CHARACTERS = 70
_LEAD = 15
"""So many characters that two long texts share are shown before they part."""
_DURATIONS = ("window", "pause", "half_life")
_STYLES = {"added": "green", "removed": "red", "changed": "yellow"}
_PLURALS = {"property": "properties", "contact policy": "contact policies"}


def history_of(revisions: Sequence[Kept], current: int, uptake: Uptake) -> dict[str, Any]:
    """For JSON. What is not known is null."""
    listed = [
        {
            "revision": one.revision,
            "applied_at": one.applied_at.isoformat(),
            "by": _by(one) or None,
            "again": one.origin.again or None,
            "actions": one.actions,
            "traits": one.traits,
        }
        for one in revisions
    ]
    return {"current": current, "in_use": uptake.in_use or None, "refused": uptake.refused or None, "revisions": listed}


def render_history(revisions: Sequence[Kept], more: bool, current: int, uptake: Uptake) -> Iterator[RenderableType]:
    """What `wayline catalog history` prints."""
    table = Table("revision", "applied (UTC)", "by", "actions", "traits", "")
    for column in (table.columns[0], *table.columns[3:5]):
        column.justify = "right"
    table.columns[1].no_wrap = True
    for one in revisions:
        counts = ("?" if count is None else f"{count:,}" for count in (one.actions, one.traits))
        state = _state(one.revision, current, uptake)
        notes = [state, f"as revision {one.origin.again} was" if one.origin.again else ""]
        table.add_row(
            str(one.revision),
            f"{one.applied_at:%Y-%m-%d %H:%M:%S}",
            Text(_by(one)) if _by(one) else Text("not known", "dim"),
            *counts,
            Text(", ".join(note for note in notes if note)),
            style="bold" if state else "",
        )
    yield table
    if uptake.refused == current:
        yield Text(f"The decision service refuses revision {current}: {uptake.because}", "red")
    if more:
        yield Text("There are older ones: see --last.", "dim")


def render_differences(old: str, new: str, found: Sequence[Difference]) -> Iterator[RenderableType]:
    """What `wayline catalog diff` prints."""
    if not found:
        yield Text(f"{old} and {new} do not differ.")
        return
    yield Text.assemble((f"{old} -> {new}", "bold"), f": {_counted(found)}")
    shown = found[:_MOST_ROWS]
    width = min(max(len(one.field) for one in shown), _MOST_FIELD)
    for (kind, name), those in groupby(shown, lambda one: (one.kind, one.name)):
        differing = list(those)
        change = _change_of(differing[0])
        yield Text.assemble((f"{change:<7} ", _STYLES[change]), f"{kind} ", (name, "bold"))
        fields = Table.grid(padding=(0, 2, 0, 0))
        fields.add_column(min_width=width, overflow="fold")
        fields.add_column(overflow="fold")
        for one in differing:
            said = _then_and_now(one)
            if one.field:
                fields.add_row(Text(one.field), said)
            elif said:
                yield Padding(said, _INDENT)
        if fields.row_count:
            yield Padding(fields, _INDENT)
    if len(found) > _MOST_ROWS:
        yield Text(f"… and {len(found) - _MOST_ROWS:,} more: see --json.", "dim")


def _then_and_now(one: Difference) -> Text:
    was, now = said_pair(one)
    if one.change == "changed":
        return Text.assemble(*((was, " -> ") if was else ()), now)
    if not one.field:  # the entry itself: that has been said
        return Text(was or now, "dim")
    return Text.assemble((f"{one.change}: ", _STYLES[one.change]), was or now)


def _change_of(one: Difference) -> Change:
    """Of the entry."""
    return "changed" if one.field else one.change


def said_pair(one: Difference) -> tuple[str, str]:
    """Both values in words, shortened: of long texts what is around the place where they part."""
    if one.kind == "order" and one.old is None:
        return "", "the same in another order"
    field = one.field.rpartition(".")[2]
    was, now = (in_words(value, field) for value in (one.old, one.new))
    if was == now and was:  # 4 and 4.0
        was, now = (json.dumps(value, ensure_ascii=False) for value in (one.old, one.new))
    if max(len(was), len(now)) > _CHARACTERS and was and now:
        parted = (at for at, (one_of, other) in enumerate(zip(was, now, strict=False)) if one_of != other)
        shared = next(parted, min(len(was), len(now))) - _LEAD
        if shared > 1:
            was, now = f"…{was[shared:]}", f"…{now[shared:]}"
    return _cut(was), _cut(now)


def in_words(value: Any, field: str = "") -> str:
    """A value on one line. Nothing is empty, and so is what is left out of the fields of a whole."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() if field in _DURATIONS:
            return duration(value)
        case float():
            return f"{value:.12g}"
        case str():
            return " ".join(value.split()) or '""'
        case list() if not any(isinstance(one, dict | list) for one in value):
            return ", ".join(in_words(one) for one in value) or "none"
        case {"rule": str(rule), **rest} if not rest.keys() - {"because"}:
            because = rest.get("because")
            return " ".join(rule.split()) + (f" ({because})" if because else "")
        case dict():
            given = {name: one for name, one in value.items() if one not in (None, [], {}, "")}
            return ", ".join(f"{name} {_within(one, name)}" for name, one in given.items() if name != "id")
        case list():
            return "; ".join(in_words(one) for one in value)
    return json.dumps(value)


def _within(value: Any, name: str) -> str:
    said = in_words(value, name)
    if name == "treatments":
        return ", ".join(one["id"] for one in value)
    return f"({said})" if isinstance(value, dict) else said


def _counted(found: Sequence[Difference]) -> str:
    """'2 actions changed, 1 trait added': entries, each once."""
    of_entry: dict[tuple[str, str], Change] = {}
    for one in found:
        of_entry[one.kind, one.name] = _change_of(one)
    counts = Counter((kind, change) for (kind, _), change in of_entry.items())
    return ", ".join(
        f"{count:,} {kind if count == 1 else _PLURALS.get(kind, kind + 's')} {change}"
        for (kind, change), count in counts.items()
    )


def _state(revision: int, current: int, uptake: Uptake) -> str:
    if revision == uptake.in_use:
        return "serves"
    if revision != current:
        return ""
    return "refused" if revision == uptake.refused else "current"


def _by(one: Kept) -> str:
    return "" if one.origin.by == UNKNOWN else printable(one.origin.by)


def _cut(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"
