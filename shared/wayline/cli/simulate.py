"""`wayline simulate`: what another catalogue or model would have decided, and what that is worth."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from wayline.cli import support

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from rich.progress import Progress

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_PROGRAM = "wayline_decision.simulate"


def simulate(
    catalog: Annotated[
        Path | None,
        typer.Option(help="File or directory of the catalogue to try. Default: the current one.", exists=True),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VERSION", help="Let this version score, instead of the champion. Repeatable."),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="AGE|TIME", help="Decisions since then: 90m, 24h, 7d, or 2026-09-01T08:00Z.")
    ] = "24h",
    reward: Annotated[
        Literal["auto", "click", "conversion"],
        typer.Option(help="What counts as a success. auto: conversions where there are any, else clicks."),
    ] = "auto",
    segment: Annotated[
        list[str] | None, typer.Option(metavar="TRAIT", help="Tell changes apart by this trait. Repeatable.")
    ] = None,
    nats: support.Nats = support.NATS_URL,
    as_json: support.Json = False,
) -> None:
    """Decide what was recorded anew under another catalogue or model: what changes, and what is it worth?

    Nothing is applied, and no customer sees anything of it.

    Examples:

    - `wayline simulate --catalog new/`

    - `wayline simulate --catalog new/ --since 7d --segment tier --reward click`

    - `wayline simulate --model accept=12 --since 2h --json`
    """
    from wayline.catalog.load import load
    from wayline.cli.simulate_view import render

    if find_spec(_PROGRAM.partition(".")[0]) is None:
        support.fail("simulating needs the decision service on this machine: install wayline[decision,cli]")
    job = {
        "nats_url": nats,
        "since": moment(since, datetime.now(UTC)).isoformat(),
        "catalog": load(catalog).model_dump(mode="json", by_alias=True, exclude_unset=True) if catalog else None,
        "models": dict(map(_version, model or ())),
        "reward": reward,
        "segments": segment or [],
    }
    result = _run(job, nats, quiet=as_json)
    if as_json:
        support.print_json(result)
        return
    for part in render(result):
        support.out.print(part)


def moment(text: str, now: datetime) -> datetime:
    """'24h' is that long before `now`; anything else is a time. Without an offset it is UTC."""
    if found := re.fullmatch(r"(\d{1,5})\s*([mhd])", text):
        return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"expected an age such as 90m, 24h or 7d, or a time such as 2026-09-01T08:00Z, got '{text}'",
            param_hint="--since",
        ) from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _version(text: str) -> tuple[str, int]:
    name, _, version = text.partition("=")
    if not name or not version.isdecimal() or int(version) < 1:
        raise typer.BadParameter(f"expected NAME=VERSION, such as accept=12, got '{text}'", param_hint="--model")
    return name, int(version)


def _run(job: dict[str, Any], nats: str, *, quiet: bool) -> dict[str, Any]:
    """The result of the simulation, which runs in a process of its own: the command line knows no service."""
    import asyncio

    asyncio.run(_reach(nats))  # or the simulation would wait for it, as services do
    command = [sys.executable, "-m", _PROGRAM]
    with _bars(quiet) as bars, _started(command) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):  # it could not even start, and has said why
                process.stdin.write(json.dumps(job))
                process.stdin.close()
            last = _follow(map(json.loads, process.stdout), bars)
        except BaseException:
            process.terminate()  # Ctrl-C, or a defect: it has nothing to lose
            raise
    if "result" not in last:
        support.fail(last.get("error") or f"the simulation ended with exit code {process.returncode}; see above")
    result: dict[str, Any] = last["result"]
    return result


def _started(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - a program of ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


async def _reach(nats: str) -> None:
    async with support.connection(nats):
        pass


def _bars(quiet: bool) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=support.err, transient=True, disable=quiet)


def _follow(lines: Iterator[dict[str, Any]], bars: Progress) -> dict[str, Any]:
    """Show progress; the last line, which is the result or the error. Empty when there was none."""
    tasks: dict[str, Any] = {}
    last: dict[str, Any] = {}
    for line in lines:
        if progress := line.get("progress"):
            step = progress["step"]
            if step not in tasks:
                tasks[step] = bars.add_task(f"{step} (messages)")
            bars.update(tasks[step], completed=progress["done"], total=progress["total"])
        else:
            last = line
    return last
