"""Processes that are held to a share of the time, where there are too few processors to give each one of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_PERIOD_SECONDS = 0.02
_DRIFT = 0.13  # of a period, so that the processes run now together and now apart, as they would by chance


@contextmanager
def held(pids: Sequence[int], share: float) -> Iterator[None]:
    """Let each process run for `share` (0 to 1) of the time, and stand still for the rest, while the block lasts."""
    ended = threading.Event()
    holders = [
        threading.Thread(target=_hold, args=(pid, share, _PERIOD_SECONDS * (1 + _DRIFT * at), ended), daemon=True)
        for at, pid in enumerate(pids)
    ]
    for holder in holders:
        holder.start()
    try:
        yield
    finally:
        ended.set()
        for holder in holders:
            holder.join()


def workers_of(pid: int) -> list[int]:
    """The processes that a supervisor keeps; itself, if it keeps none."""
    found = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    return found or [pid]


def _children(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def _hold(pid: int, share: float, period_seconds: float, ended: threading.Event) -> None:
    with suppress(ProcessLookupError):  # it has ended; whoever measures it will see that
        try:
            while not ended.is_set():
                os.kill(pid, signal.SIGSTOP)
                time.sleep(period_seconds * (1 - share))
                os.kill(pid, signal.SIGCONT)
                time.sleep(period_seconds * share)
        finally:
            os.kill(pid, signal.SIGCONT)
