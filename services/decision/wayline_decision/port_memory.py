"""What the processes of one port share: a file without a name, of which their supervisor gives each the descriptor.

It holds a ring for each of them, and locks. The locks are the kernel's, on single bytes: it takes them back from a
process that dies.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import tempfile
from struct import Struct
from uuid import uuid4

from wayline_decision.promise_ring import HEADER_BYTES, Ring

RING_BYTES = 1 << 20
LOCKS = 1 << 20
_HEADER = Struct("<8sQ16s")
"""What it is, for how many workers, and the port's id."""
_MAGIC = b"wayline1"
_PAGE = 4_096
_EACH = HEADER_BYTES + RING_BYTES
_LOCKS_START = 1 << 40
"""Far behind all data: a lock needs no byte to be there."""


def create(workers: int) -> int:
    """Make the memory of a port that so many workers share.

    Returns:
        The descriptor, to be handed on and closed. The memory lasts as long as any process has it open.
    """
    if sys.platform == "linux":
        descriptor = os.memfd_create("wayline-port")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, _PAGE + workers * _EACH)
    os.pwrite(descriptor, _HEADER.pack(_MAGIC, workers, uuid4().bytes), 0)
    return descriptor


class PortMemory:
    """The memory as a worker sees it, for as long as the process lives.

    Nothing of it is closed: with any descriptor of the file the kernel would take back the locks of this process.
    """

    def __init__(self, descriptor: int) -> None:
        """Open what `create` made.

        Raises:
            ValueError: the descriptor is of something else.
        """
        try:
            header = os.pread(descriptor, _HEADER.size, 0)
        except OSError:
            header = b""
        if not header.startswith(_MAGIC) or len(header) < _HEADER.size:
            raise ValueError("no memory of a port is open there")
        _, self.workers, port = _HEADER.unpack(header)
        self.port = port.hex()
        """Its id: the same for all workers of the port, and for nobody else."""
        self._descriptor = descriptor
        self._bytes = memoryview(mmap.mmap(descriptor, _PAGE + self.workers * _EACH))

    def ring(self, worker: int) -> Ring:
        """What one worker writes, and those before it in the same place wrote.

        Args:
            worker: from 1.

        Raises:
            ValueError: there is no such worker.
        """
        if not 1 <= worker <= self.workers:
            raise ValueError(f"worker {worker} is none of {self.workers}")
        start = _PAGE + (worker - 1) * _EACH
        return Ring(self._bytes[start : start + _EACH])

    def lock(self, number: int) -> bool:
        """Take one of `LOCKS` locks for this process, all its threads, unless another process has it: then False."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LOCKS_START + number)
        except (BlockingIOError, PermissionError):  # POSIX leaves open which
            return False
        return True

    def unlock(self) -> None:
        """Give back all locks of this process."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, LOCKS, _LOCKS_START)
