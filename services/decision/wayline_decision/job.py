"""Work that the command line hands to a process of its own, since it knows no service.

One job comes as JSON on standard input. Lines of JSON go to standard output: any number of
`{"progress": {"step", "done", "total"}}`, then `{"result": …}` or `{"error": …}`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from nats.js import JetStreamContext
from pydantic import BaseModel, ConfigDict

from wayline import logging
from wayline.bus import connect
from wayline.errors import WaylineError

Report = Callable[[str, int, int], None]
"""Told the step, and how much of how much is done."""


class NatsJob(BaseModel):
    """What every job says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nats_url: str


J = TypeVar("J", bound=NatsJob)


def run_job(name: str, kind: type[J], work: Callable[[J, JetStreamContext, Report], Awaitable[dict[str, Any]]]) -> None:
    """Read the job, do it, and say how it went.

    Args:
        name: of the connection, and in the logs.
        kind: of the job.
        work: does it; a `WaylineError` is its way to say what went wrong.
    """
    logging.configure(name, "ERROR")
    job = kind.model_validate_json(sys.stdin.buffer.read())

    async def run() -> dict[str, Any]:
        async with connect(job.nats_url, name) as nc:
            return await work(
                job,
                nc.jetstream(),
                lambda step, done, total: _say("progress", {"step": step, "done": done, "total": total}),
            )

    try:
        _say("result", asyncio.run(run()))
    except WaylineError as error:
        _say("error", str(error))
        sys.exit(1)


def _say(kind: str, value: Any) -> None:
    print(json.dumps({kind: value}, allow_nan=False), flush=True)
