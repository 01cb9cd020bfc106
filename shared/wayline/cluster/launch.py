"""Runs in a new process, before the program that it then becomes: `launch.py PARENT CPUS PROGRAM ARGUMENT…`.

Ties the process to the life of the supervisor and to its processors. This is a program, not a `preexec_fn`, because
code between fork and exec is unsafe in a process with threads, and gRPC has threads. It imports only the standard
library, and is run with `-I -S`: it costs about 10 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the supervisor ends, however it ends. Linux only.

    SIGKILL rather than SIGTERM: NATS goes at the same moment, so there is nothing left to drain into, and every store
    is made to survive it.
    """
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")  # it ended before the line above


def main() -> None:
    """Prepare this process, and become the program."""
    parent, cpus, *command = sys.argv[1:]
    _die_with(int(parent))
    if cpus:
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
