"""A worker's part in sharing caps, without the worker: `sibling.py DESCRIPTOR WORKER`, told what to do line by line.

`meet LIMIT CUSTOMER…` meets each customer who was met less often than the limit, and answers who that was; `hold
CUSTOMER` begins a decision that `leave` ends; `held CUSTOMER` answers how many contacts are known to be promised.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wayline_decision.core.contact import Met
from wayline_decision.port_memory import PortMemory
from wayline_decision.reservations import Reservations
from wayline_decision.siblings import Siblings


def now_ms() -> int:
    """The clock of promises."""
    return time.time_ns() // 1_000_000


class Sibling:
    """One worker in a process of its own, as a test talks with it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Talk with it by its standard streams."""
        self.process = process

    def tell(self, *words: object) -> None:
        """Say what to do."""
        assert self.process.stdin is not None
        print(*words, file=self.process.stdin, flush=True)

    def answer(self) -> list[str]:
        """What it answers."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def asked(self, *words: object) -> list[str]:
        """Both."""
        self.tell(*words)
        return self.answer()


@contextmanager
def sibling(descriptor: int, worker: int) -> Iterator[Sibling]:
    """Start one, and wait until it is there."""
    with subprocess.Popen(
        [sys.executable, "-P", str(Path(__file__)), str(descriptor), str(worker)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(descriptor,),
    ) as process:
        try:
            found = Sibling(process)
            assert found.answer() == ["ready"]
            yield found
        finally:
            process.kill()


def met_less_often(siblings: Siblings, reservations: Reservations, limit: int, customer: str, number: str) -> bool:
    """As the engine does it: look, choose, promise; with a moment between, in which others may come in between."""
    keys = (customer.encode(), f"profile of {customer}")
    with siblings.alone(keys):
        held = {one.decision_id for key in keys for one in reservations.held(key, (), now_ms())}
        if len(held) >= limit:
            return False
        time.sleep(0.000_1)
        choice = [Met("impression", "boots", "web", now_ms(), number)]
        for key in keys:
            reservations.reserve(key, choice, now_ms())
        siblings.tell(keys, choice)
    return True


def main(arguments: Sequence[str]) -> None:
    """Do what comes, until nothing comes."""
    descriptor, worker = (int(one) for one in arguments)
    reservations = Reservations()
    siblings = Siblings(PortMemory(descriptor), worker, reservations)
    numbers = (f"{worker}-{number}-{now_ms()}" for number in itertools.count())
    print("ready", flush=True)
    for line in sys.stdin:
        match line.split():
            case ["meet", limit, *customers]:
                met = [
                    one for one in customers if met_less_often(siblings, reservations, int(limit), one, next(numbers))
                ]
                print(*met, flush=True)
            case ["hold", customer]:
                siblings.enter((customer.encode(),))
                print("holds", flush=True)
            case ["leave"]:
                siblings.leave()
                print("left", flush=True)
            case ["held", customer]:
                siblings.drain()
                held = reservations.held(customer.encode(), (), now_ms())
                print(len({one.decision_id for one in held}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
