"""How `wayline traits` shows what it found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from wayline.v1.backfill_pb2 import BackfillProgress, GetBackfillResponse

_MOST_NAMES = 5


def render_traits(found: GetBackfillResponse) -> Table:
    """A table of the traits."""
    table = Table()
    table.add_column("Trait", overflow="fold")
    table.add_column("State", no_wrap=True)
    for heading in ("Knows events since (UTC)", "Filled in at (UTC)"):
        table.add_column(heading, min_width=16)  # a time to the minute; headings may take two lines
    for one in found.traits:
        if not one.filled:
            cells = "being filled in", "", ""
        elif not one.HasField("filled_at"):
            cells = "complete", "the first", ""
        else:
            since = _moment(one.events_since) if one.HasField("events_since") else "there were none"
            cells = "filled in", since, _moment(one.filled_at)
        table.add_row(one.name, *cells)
    return table


def render_progress(found: GetBackfillResponse) -> str:
    """One line on the back-fill."""
    if not found.HasField("progress"):
        return "Nothing was ever to be filled in: all traits have been there since the first event."
    progress = found.progress
    since = f", from events since {_moment(progress.events_since)}" if progress.HasField("events_since") else ""
    seen = f"{progress.strands:,} identifiers, {progress.events:,} events{since}"
    if found.running:
        return f"{what_of(progress)}: {progress.done:.0%}, {seen}; {_pace(progress)}."
    return f"{what_of(progress)}: done at {_moment(progress.finished_at)}; {seen}."


def what_of(progress: BackfillProgress) -> str:
    """What is filled in, in a few words."""
    names = list(progress.traits)
    if not names:
        return "Taking out what is no longer declared"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"Filling in {', '.join(names[:_MOST_NAMES])}{more}"


def following(answers: Iterator[GetBackfillResponse], console: Console, *, quiet: bool) -> GetBackfillResponse:
    """Show a progress bar until nothing is under way; the last answer."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[pace]}"))
    with Progress(*columns, console=console, transient=True, disable=quiet) as bars:
        task = bars.add_task("", total=1.0, pace="")
        for found in answers:
            progress = found.progress
            bars.update(task, description=what_of(progress), completed=progress.done, pace=_pace(progress))
            if not found.running:
                return found
    raise AssertionError("answers never end")


def _pace(progress: BackfillProgress) -> str:
    left = f", {timedelta(seconds=round(progress.seconds_left))} left" if progress.seconds_left else ""
    return f"{progress.events_per_second:,.0f} events/s{left}"


def _moment(time: Timestamp) -> str:
    return f"{time.ToDatetime(UTC):%Y-%m-%d %H:%M}"
