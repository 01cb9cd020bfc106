"""One supervisor per data directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wayline.cluster.errors import DataInUse


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold `data` for this process. The kernel gives it back even when the process is killed.

    Raises:
        DataInUse: another process holds it.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise DataInUse(data, file.read(100).strip()) from None
        # The file stays at the end: to delete it would let two others lock two different files of this name.
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        yield
