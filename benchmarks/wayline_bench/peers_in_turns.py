"""All contenders in one process, in turns: `python -m wayline_bench.peers_in_turns SECONDS [--customers N]`.

In each round all answer for the same customers, each for the same time, and another one begins. Before each turn, and
not timed, customers are brought into the form that the library takes, and some of the answers are checked. Prints JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from itertools import cycle

from wayline.v1 import decision_pb2
from wayline_bench.in_process import Path
from wayline_bench.peers_contender import CONDITIONS, EXPLORATION, SCORES, SLOTS, Case, Contender, WrongAnswer
from wayline_bench.system import is_scored
from wayline_bench.world import WorldSize

PEERS = {
    "vowpalwabbit": "peers_vowpal_wabbit",
    "zen-engine": "peers_gorules",
    "yggdrasil-engine": "peers_unleash",
    "numpy": "peers_numpy",
}
"""The modules that ask them, by the package that they need."""
WAYLINE = "wayline"
_CHECKED = 10
"""Answers of each contender in each round."""
_REST_EVERY = 100
_MOST_CUSTOMERS = 1_000
"""In a round: what is prepared for them takes longer than the turns."""
_RULES = {decision_pb2.STAGE_ELIGIBILITY, decision_pb2.STAGE_APPLICABILITY, decision_pb2.STAGE_SUITABILITY}


@dataclass(frozen=True, slots=True)
class Result:
    """What one contender took."""

    key: str
    package: str
    version: str
    how: str
    does: Sequence[str]
    us: list[float] = field(default_factory=list)
    """The median of each round."""


class Ours:
    """Wayline's whole path, as `in_process` has it, which notes what it takes beside the answers."""

    def __init__(self, size: WorldSize, case: Case) -> None:
        """Start an engine."""
        self._path, self._case = Path(size), case
        self.first_ns: list[int] = []
        """Of the first decision for each customer: scores and conditions are kept with the view from then on."""
        self.record_ns: list[float] = []
        """Of encoding a record, after the answer."""

    def contender(self) -> Contender:
        """As the others are asked."""
        steps = ("request parsed", "view found", CONDITIONS, "contact policy", SCORES, EXPLORATION, SLOTS)
        answer, requests = self._path.answer, self._path.requests
        return Contender(
            key=WAYLINE,
            how="the whole path, bytes to bytes",
            does=(*steps, "answer encoded", "record"),
            ask=lambda customer: answer(requests[customer]),
            check=self._check,
            prepare=self._prepare,
            rest=self._rest,
        )

    def _prepare(self, customers: range) -> None:
        self.first_ns += list(_timed(lambda one: self._path.answer(self._path.requests[one]), customers))
        self._path.flush()

    def _rest(self) -> None:
        started = time.perf_counter_ns()
        self._path.flush()
        self.record_ns.append((time.perf_counter_ns() - started) / _REST_EVERY)

    def _check(self, customer: int) -> None:
        """Rules that let others pass than the peers are told of, or a decision that was not scored."""
        request = decision_pb2.DecideRequest.FromString(self._path.requests[customer])
        request.explain = True
        response = decision_pb2.DecideResponse.FromString(self._path.answer(request.SerializeToString()))
        dropped = {one.action for one in response.placements[0].dropped if one.stage in _RULES}
        passed = [action not in dropped for action in self._case.actions]
        if not is_scored(response) or passed != self._case.eligible[customer].tolist():
            raise WrongAnswer(f"Wayline's rules let other actions pass for customer {customer} than was worked out")


def _timed(ask: Callable[[int], object], customers: Iterable[int]) -> Iterator[int]:
    """Nanoseconds of each."""
    clock = time.perf_counter_ns
    for customer in customers:
        started = clock()
        ask(customer)
        yield clock() - started


def take_turn(contender: Contender, customers: range, seconds: float) -> float:
    """Microseconds for a customer, median, of as many as there is time for, again and again."""
    contender.prepare(customers)
    for customer in customers[:: max(1, len(customers) // _CHECKED)]:
        contender.check(customer)
    contender.rest()
    took: list[int] = []
    deadline = time.perf_counter() + seconds
    for nanoseconds in _timed(contender.ask, cycle(customers)):
        took.append(nanoseconds)
        if len(took) % _REST_EVERY == 0:
            contender.rest()
        if time.perf_counter() > deadline:
            break
    return statistics.median(took) / 1_000


def enter(case: Case) -> tuple[list[tuple[Contender, Result]], list[str]]:
    """Those whose packages are installed, and the packages that are not."""
    entered: list[tuple[Contender, Result]] = []
    missing = []
    for package, module in PEERS.items():
        try:
            version = metadata.version(package)
            found: list[Contender] = importlib.import_module(f"wayline_bench.{module}").contenders(case)
        except (metadata.PackageNotFoundError, ImportError):
            missing.append(package)
            continue
        entered += [(one, Result(one.key, package, version, one.how, one.does)) for one in found]
    return entered, missing


def measure(size: WorldSize, seconds: float, rounds: int) -> dict[str, object]:
    """Everything, for `wayline_bench.peers`.

    Raises:
        WrongAnswer: a contender does not do what it is measured for.
    """
    case = Case(size)
    ours = Ours(size, case)
    ourselves = ours.contender()
    entered, missing = enter(case)
    entered.insert(0, (ourselves, Result(WAYLINE, WAYLINE, "", ourselves.how, ourselves.does)))
    share = min(_MOST_CUSTOMERS, size.customers // rounds)
    part_seconds = seconds / (rounds * len(entered))
    for at in range(rounds):
        first = at % len(entered)
        for contender, result in entered[first:] + entered[:first]:
            customers = range(at * share, (at + 1) * share)
            result.us.append(take_turn(contender, customers, part_seconds))
    return {
        "results": [asdict(result) for _, result in entered],
        "missing": missing,
        "first_us": statistics.median(ours.first_ns) / 1_000,
        "record_us": statistics.median(ours.record_ns) / 1_000,
    }


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float)
    parser.add_argument("--customers", type=int, default=WorldSize().customers)
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    try:
        print(json.dumps(measure(WorldSize(customers=given.customers), given.seconds, given.rounds)))
    except WrongAnswer as wrong:
        sys.exit(str(wrong))


if __name__ == "__main__":
    main()
