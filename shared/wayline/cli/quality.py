"""`wayline quality`: what sources send, how much of it is refused, and how it differs from the tracking plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from wayline.cli import program, support

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from nats.aio.client import Client
    from rich.progress import Progress, TaskID

    from wayline.quality_report import Comparison, Row

app = typer.Typer(
    help="Look at the quality of the events that sources send.\n\nExamples:\n\n- `wayline quality report --since 1h`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
MAX_MESSAGES = 1_000_000
_LONGEST = timedelta(days=7)
_LATE_BY = timedelta(hours=1)
"""By so much figures may be published after their minute, when NATS was away; an hour is more than most outages."""


@app.callback()
def _group() -> None:
    """One command for now, but a group."""


@app.command()
def report(
    since: Annotated[
        str, typer.Option("--since", metavar="AGE|TIME", help="From then on: 90m, 24h, 7d (the most), or a time.")
    ] = "7d",
    source: Annotated[str | None, typer.Option("--source", help="Only this source.")] = None,
    event: Annotated[
        str | None, typer.Option("--event", help="Only this event: the name of a track event, or page, identify, …")
    ] = None,
    nats: support.Nats = support.NATS_URL,
    as_json: support.Json = False,
) -> None:
    """Show what came from each source, beside the same time a week before; the greatest trouble first.

    Examples:

    - `wayline quality report`

    - `wayline quality report --since 24h --source shop-web`

    - `wayline quality report --event "Order Completed" --json`
    """
    import asyncio

    from wayline.quality_report import Comparison, as_json_row

    now = datetime.now(UTC)
    start = program.moment(since, now, "--since")
    if not now - _LONGEST - timedelta(minutes=1) <= start < now:
        raise typer.BadParameter(
            "expected a time within the last 7 days: the week before it is compared with", param_hint="--since"
        )
    comparison = Comparison(start, now, source, event)
    rows = asyncio.run(_read(nats, comparison, quiet=as_json))
    if as_json:
        support.print_json(
            {"since": start.isoformat(), "until": now.isoformat(), "rows": [as_json_row(row) for row in rows]}
        )
        return
    from wayline.cli.quality_view import render

    for part in render(rows, start, now):
        support.out.print(part)


async def _read(url: str, comparison: Comparison, *, quiet: bool) -> list[Row]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from wayline import streams
    from wayline.bus import QUALITY
    from wayline.quality_report import WEEK

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
    )
    async with support.connection(url) as client:
        state = await streams.state(client, QUALITY)
        if state is None:
            support.fail("no figures yet: the stream QUALITY does not exist. Ingestion creates it: wayline up")
        oldest = await streams.page(client, QUALITY, at_most=1)
        with Progress(*columns, console=support.err, transient=True, disable=quiet) as bars:
            for since, until in (
                (comparison.since - WEEK, comparison.until - WEEK),
                (comparison.since, comparison.until),
            ):
                task = bars.add_task(f"{since:%d %b} to {until:%d %b}", total=1.0)
                await _take(client, comparison, since, until + _LATE_BY, bars, task)
                bars.update(task, completed=1.0)
    return comparison.rows(_first_minute(oldest[0].data) if oldest else None)


async def _take(
    client: Client, comparison: Comparison, since: datetime, until: datetime, bars: Progress, task: TaskID
) -> None:
    """Read what was published from `since` to `until`, and show on the bar how much of that time is read."""
    from wayline import streams
    from wayline.bus import QUALITY
    from wayline.v1.quality_pb2 import QualityDelta

    after, read = 0, 0
    page = await streams.page(client, QUALITY, since=since)
    while page:
        for message in page:
            comparison.take(QualityDelta.FromString(message.data))
        after, read = page[-1].sequence, read + len(page)
        published = datetime.fromisoformat(page[-1].headers["Nats-Time-Stamp"])
        if published > until:
            return
        if read >= MAX_MESSAGES:
            support.fail(f"there are more than {MAX_MESSAGES:,} messages of figures; choose a later --since")
        bars.update(task, completed=(published - since) / (until - since))
        page = await streams.page(client, QUALITY, after=after)


def _first_minute(data: bytes) -> int | None:
    from wayline.v1.quality_pb2 import QualityDelta

    return min((one.minute for one in QualityDelta.FromString(data).figures), default=None)
