"""The logs of the processes: each writes its own file, which is kept within a size."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MAX_BYTES = 20 << 20
_TAIL_BYTES = 8_192


def rotate(log: Path) -> None:
    """Begin a new file, and keep the last one as `<name>.log.1`. Only while nobody writes."""
    if log.exists() and log.stat().st_size:
        log.replace(_old(log))


def open_for_child(log: Path) -> int:
    """A descriptor to hand to a process. It appends, so that `trim` works under its feet; the caller closes it."""
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def trim(log: Path, max_bytes: int = MAX_BYTES) -> bool:
    """Move what is in a log that has grown beyond `max_bytes` to `<name>.log.1`, while a process writes to it.

    The file is copied and emptied, not renamed, since the process holds it open; lines written between the two are
    lost. The alternative, a pipe through the supervisor, would stop a service whenever the supervisor is busy.

    Returns:
        Whether it had grown too large.
    """
    try:
        if log.stat().st_size <= max_bytes:
            return False
    except FileNotFoundError:
        return False  # not started yet
    shutil.copyfile(log, _old(log))
    os.truncate(log, 0)
    return True


def tail(log: Path, lines: int = 10) -> str:
    """The last lines, for an error message; empty when there are none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def _old(log: Path) -> Path:
    return log.with_name(log.name + ".1")
