"""Programs of the services that a command starts: the command line knows no service. See `wayline_decision.job`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import typer

from wayline.cli import support

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from rich.progress import Progress

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, now: datetime, option: str) -> datetime:
    """'24h' is that long before `now`; anything else is a time. Without an offset it is UTC.

    Raises:
        typer.BadParameter: it is neither.
    """
    if found := re.fullmatch(r"(\d{1,5})\s*([mhd])", text):
        return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"expected an age such as 90m, 24h or 7d, or a time such as 2026-09-01T08:00Z, got '{text}'",
            param_hint=option,
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def run(program: str, job: dict[str, Any], nats: str, *, quiet: bool) -> dict[str, Any]:
    """The result of a job, with a progress bar on standard error while it is worked on.

    Args:
        program: a module, for instance 'wayline_decision.replay_many'.
        job: what it reads, without the address of NATS.
        nats: that address.
        quiet: no progress bar.
    """
    import asyncio

    if find_spec(program.partition(".")[0]) is None:
        support.fail("this needs the decision service on this machine: install wayline[decision,cli]")
    asyncio.run(_reach(nats))  # or the program would wait for it, as services do
    with support.bars(quiet=quiet) as bars, _started([sys.executable, "-m", program]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):  # it could not even start, and has said why
                process.stdin.write(json.dumps({"nats_url": nats, **job}))
                process.stdin.close()
            last = _follow(map(json.loads, process.stdout), bars)
        except BaseException:
            process.terminate()  # Ctrl-C, or a defect: it has nothing to lose
            raise
    if "result" not in last:
        support.fail(last.get("error") or f"{program} ended with exit code {process.returncode}; see above")
    result: dict[str, Any] = last["result"]
    return result


def _started(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - a program of ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


async def _reach(nats: str) -> None:
    async with support.connection(nats):
        pass


def _follow(lines: Iterator[dict[str, Any]], bars: Progress) -> dict[str, Any]:
    """Show progress; the last line, which is the result or the error. Empty when there was none."""
    report = support.by_step(bars)
    last: dict[str, Any] = {}
    for line in lines:
        if progress := line.get("progress"):
            report(f"{progress['step']} (messages)", progress["done"], progress["total"])
        else:
            last = line
    return last
