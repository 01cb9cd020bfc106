"""What a benchmark found: figures with their floors, as a table for people and as JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wayline_bench.compiled import core

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Limit:
    """The least (or most) that a figure should be. A target, not an assertion: machines differ."""

    least: float | None = None
    most: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a figure is on the right side."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        """For people."""
        return f"at least {self.least:,g}" if self.least is not None else f"at most {self.most:,g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its key in JSON, what it means, and its limit if it has one."""

    key: str
    value: float | str
    meaning: str
    limit: Limit | None = None

    @property
    def passed(self) -> bool | None:
        """None without a limit."""
        return None if self.limit is None or isinstance(self.value, str) else self.limit.holds(self.value)


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one benchmark, and what must be said about them."""

    name: str
    figures: Sequence[Figure]
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def below(self) -> list[str]:
        """The keys of the figures that are on the wrong side of their limit."""
        return [figure.key for figure in self.figures if figure.passed is False]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the figures by key, then limits, what is below, and notes."""
        return {
            "benchmark": self.name,
            "core": core(),
            **{figure.key: figure.value for figure in self.figures},
            "limits": {figure.key: str(figure.limit) for figure in self.figures if figure.limit},
            "below": self.below,
            "notes": list(self.notes),
        }

    def as_table(self) -> Table:
        """For people."""
        from rich.table import Table

        table = Table("figure", "value", "floor", "meaning", title=f"wayline bench {self.name}", title_justify="left")
        table.columns[1].justify = "right"
        table.add_row("core", core(), "", "what runs: the hot modules compiled, as in the images, or plain Python")
        for figure in self.figures:
            verdict = {None: "", True: "[green]pass[/]: ", False: "[red]below[/]: "}[figure.passed]
            table.add_row(figure.key, _shown(figure.value), f"{verdict}{figure.limit or ''}", figure.meaning)
        return table


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `share` (0 to 1) of all values do not exceed.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("a percentile needs at least one value")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def percentiles(values: Sequence[float], digits: int = 3) -> Mapping[str, float]:
    """p50 and p99."""
    return {"p50": round(percentile(values, 0.5), digits), "p99": round(percentile(values, 0.99), digits)}


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.4g}"
