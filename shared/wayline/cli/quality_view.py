"""How the quality of events is shown to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from wayline.quality import age_at, by_number, share
from wayline.quality_report import Row

MOST_ROWS = 200
_MOST_NAMES = 6
_WORRYING = 0.01
_BAD = 0.05
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "m"), (1.0, "s"))


def render(rows: Sequence[Row], since: datetime, until: datetime) -> Iterator[RenderableType]:
    """What `wayline quality report` prints, part by part."""
    period = f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
    if not rows:
        yield Text(f"No events from {period}.")
        return
    # Narrow: nine figures have to find room beside names, on a terminal of eighty columns.
    table = Table(title=f"Events received from {period}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("source, event", overflow="fold", min_width=8)
    for heading in ("volume", "week", "refused", "flagged", "late", "skew", "again", "p50", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows[:MOST_ROWS]:
        table.add_row(*_cells(row))
    if len(rows) > MOST_ROWS:
        table.caption = f"{len(rows) - MOST_ROWS:,} more; see --source, --event, or --json"
    yield table
    yield from _details(rows)
    if all(row.before is None for row in rows):
        yield Text("week: the figures do not reach back to the week before yet.", style="dim")


def _cells(row: Row) -> Iterator[Text]:
    """As text: what a sender calls things is no markup."""
    one = row.figures
    yield Text.assemble((f"{row.source or '(none)'} ", "dim"), (row.event, "yellow" if one.unplanned else "bold"))
    yield Text(f"{row.volume:,}")
    yield _change(row)
    yield _share(row.refused, row.volume)
    yield _share(one.flagged, row.volume)
    yield _share(one.late, row.volume)
    yield _share(one.skewed, row.volume)
    yield _share(one.duplicates, row.volume + one.duplicates)
    yield Text(_age(age_at(one.freshness, 0.5)))
    yield Text(_age(age_at(one.freshness, 0.99)))


def _change(row: Row) -> Text:
    if row.before is None:
        return Text("–", style="dim")
    change = row.change
    if change is None:
        return Text("new", style="cyan")
    style = "red" if change <= -0.5 else "yellow" if abs(change) >= 0.2 else ""
    return Text(f"{change:+.0%}", style=style)


def _share(part: int, whole: int) -> Text:
    if not part:
        return Text("–", style="dim")
    of_all = share(part, whole)
    style = "red" if of_all >= _BAD else "yellow" if of_all >= _WORRYING else ""
    return Text(f"{of_all:.1%}" if of_all >= 0.0005 else "< 0.1%", style=style)


def _details(rows: Sequence[Row]) -> Iterator[Text]:
    """What lies behind the shares: a line for each source and event of which there is something to say."""
    for row in rows[:MOST_ROWS]:
        one, said = row.figures, []
        if one.refused:
            said.append(f"refused: {_listed(one.refused)}")
        if one.without_consent:
            said.append(f"without consent: {_listed(one.without_consent)}")
        if one.unplanned:
            said.append("the tracking plan does not name the event")
        if one.unplanned_properties:
            said.append(f"properties that the plan does not name: {_listed(one.unplanned_properties)}")
        if said:
            yield Text.assemble((f"- {row.source or '(none)'}, {row.event}: ", "bold"), "; ".join(said))


def _listed(counts: Mapping[str, int]) -> str:
    """The most frequent names with their numbers."""
    named = [f"{name} {number:,}" for name, number in list(by_number(counts).items())[:_MOST_NAMES]]
    more = len(counts) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _age(ms: float | None) -> str:
    if ms is None:
        return "–"
    seconds = ms / 1_000
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{ms:.0f} ms"
