"""`wayline bench peers`: the whole path of a decision, beside libraries that do a part of it, in one process."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wayline_bench.compiled import core
from wayline_bench.machine import Budget, choose_cores, others_at_work, python, run_json
from wayline_bench.report import Figure, Report
from wayline_bench.world import WorldSize

if TYPE_CHECKING:
    from rich.table import Table

_RESERVE_SECONDS = 15.0  # for the world, for what the bandits learn, and for what is prepared before each turn
_PATIENCE_SECONDS = 120.0
_MISSING = "not installed"
_TITLES: Mapping[str, str] = {
    "vw_squarecb": "Vowpal Wabbit, SquareCB",
    "vw_epsilon": "Vowpal Wabbit, epsilon-greedy",
    "gorules_table": "GoRules zen-engine, a decision table",
    "gorules_expression": "GoRules zen-engine, one expression",
    "unleash": "Unleash's engine, feature flags",
    "numpy_thompson": "plain NumPy, Thompson sampling",
}
_FAIR = (
    "the same customers for all, at most 1,000 a round, warm, in turns; a peer gets them in the form that it takes",
    "peers that score are told who is eligible; those with conditions do nothing else",
    "Wayline keeps scores and conditions that no request changes with a customer's view; peers work them out each time",
    "so does Wayline in the first decision for a customer, which ratio_to_first compares with",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersSize:
    """How much is measured."""

    world: WorldSize = field(default_factory=WorldSize)
    rounds: int = 6
    seconds: float = 18.0
    """Of measuring, all turns together."""


@dataclass(frozen=True, slots=True)
class _Peer:
    """What one of them took, beside Wayline."""

    key: str
    title: str
    version: str
    how: str
    does: str
    us: float
    ratio: float
    to_first: float

    @property
    def figures(self) -> list[Figure]:
        """For the report."""
        return [
            Figure(f"{self.key}_us", round(self.us, 1), f"{self.title}: {self.how}"),
            Figure(f"{self.key}_version", self.version, "its package"),
            Figure(f"{self.key}_does", self.does, "of the steps of a decision"),
            Figure(f"{self.key}_ratio", round(self.ratio, 3), "of it to Wayline's whole path, round by round"),
            Figure(f"{self.key}_ratio_to_first", round(self.to_first, 3), "of it to Wayline's first for a customer"),
        ]

    @property
    def row(self) -> tuple[str, ...]:
        """For the table."""
        what = f"{self.title}\n[dim]{self.version}: {self.how}[/]"
        return what, f"{self.us:,.1f}", f"{self.ratio:,.2f}", f"{self.to_first:,.2f}", self.does

    @property
    def verdict(self) -> str:
        """Plainly."""
        whole = f"{_beside(self.ratio)} Wayline's whole path ({self.ratio:.2f} of its time)"
        first = f"{_beside(self.to_first)} its first decision for a customer ({self.to_first:.2f})"
        return f"{self.title}: {whole}, {first}; for {self.does} alone"


def _beside(ratio: float) -> str:
    return "faster than" if ratio < 1 else "slower than"


@dataclass(frozen=True, slots=True)
class Comparison(Report):
    """The same figures, with a row for each peer in the place of one for each figure."""

    peers: Sequence[_Peer] = ()

    def as_table(self) -> Table:
        """For people."""
        from rich.table import Table

        table = Table("what", "µs", "to Wayline", "to its first", "does", title=f"wayline bench {self.name}")
        table.title_justify = "left"
        for column in table.columns[1:4]:
            column.justify = "right"
        value = {figure.key: figure.value for figure in self.figures}
        first = float(value["wayline_first_us"])
        ratio = float(value["wayline_us"]) / first
        steps = str(value["wayline_does"])
        table.add_row(
            f"Wayline, the whole path\n[dim]{core()}[/]", f"{value['wayline_us']:,}", "1", f"{ratio:,.2f}", steps
        )
        table.add_row("Wayline, the first decision for a customer", f"{first:,}", f"{1 / ratio:,.2f}", "1", "the same")
        for peer in self.peers:
            table.add_row(*peer.row)
        for figure in self.figures:
            if figure.value == _MISSING:
                table.add_row(figure.key, "", "", "", f"{figure.value}; {figure.meaning}")
        return table


async def bench(size: PeersSize) -> Report:
    """Measure. Peers that are not installed are left out, and the report says how to install them.

    Raises:
        BenchError: it could not run, or a peer or Wayline gave a wrong answer.
    """
    cores, budget, busy = choose_cores(), Budget(), await others_at_work()
    seconds = budget.for_measuring(size.seconds, reserve_seconds=_RESERVE_SECONDS)
    sizes = ("--customers", str(size.world.customers), "--rounds", str(size.rounds))
    found = await run_json(
        python("wayline_bench.peers_in_turns", str(seconds), *sizes), cores.server, _PATIENCE_SECONDS
    )
    return report(found, busy)


def report(found: Mapping[str, Any], notes: Sequence[str] = ()) -> Report:
    """What `peers_in_turns` found, beside Wayline."""
    (ours, *results), missing = found["results"], found["missing"]
    peers = [_peer(one, ours["us"], found["first_us"]) for one in results]
    figures = [
        Figure("wayline_us", round(statistics.median(ours["us"]), 1), "bytes to bytes in this process, median"),
        Figure("wayline_does", ", ".join(ours["does"]), "the steps of a decision"),
        Figure("wayline_first_us", round(found["first_us"], 1), "the first decision for a customer, median"),
        Figure("wayline_record_us", round(found["record_us"], 1), "of encoding a record, after the answer: in neither"),
        *(figure for peer in peers for figure in peer.figures),
        *(Figure(one, _MISSING, f"to compare with it: make setup, or pip install {one}") for one in missing),
    ]
    later = (
        f"Wayline encodes the record after the answer: {found['record_us']:.1f} µs that count in neither of its times"
    )
    return Comparison("peers", figures, [*notes, *(peer.verdict for peer in peers), later, *_FAIR], peers)


def _peer(result: Mapping[str, Any], ours_us: Sequence[float], first_us: float) -> _Peer:
    us: list[float] = result["us"]
    return _Peer(
        result["key"],
        _TITLES[result["key"]],
        f"{result['package']} {result['version']}",
        result["how"],
        ", ".join(result["does"]),
        statistics.median(us),
        statistics.median(theirs / ours for theirs, ours in zip(us, ours_us, strict=True)),
        statistics.median(us) / first_us,
    )
