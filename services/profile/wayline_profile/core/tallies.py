"""Tallies: what is kept of the events in one cell, which is all time, or one bucket of a rolling window.

The messages for both have the same fields, so a tally does not know which of them it is given.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wayline_profile.core import exact
from wayline_profile.core.limits import keep_smallest
from wayline_profile.core.properties import Occurrence

MAX_VALUES = 1_000
"""At the limit the smallest values are kept. So it does not matter in which order they came, and what is kept of a
value is whole: one that has given way never comes back."""

Cell = Any
"""A message of the contract: Total, ValueSet, Extreme, ValueCounts or Bucket."""


class Tally(metaclass=ABCMeta):
    """One way to tally. A class to inherit from, as `Folder` is."""

    __slots__ = ()

    @abstractmethod
    def read(self, occurrence: Occurrence) -> Any:
        """What the event adds; None when it has nothing to add."""

    @abstractmethod
    def add(self, cell: Cell, taken: Any) -> None:
        """Take up what `read` gave, in place."""

    @abstractmethod
    def merge(self, cell: Cell, other: Cell) -> None:
        """Take up another cell, in place."""

    @abstractmethod
    def value(self, cells: Sequence[Cell]) -> Any:
        """The value over all cells; None when it has none without evidence."""

    @abstractmethod
    def alone(self, cell: Cell) -> Any:
        """The value over one cell, which is what is asked for most often."""


@dataclass(frozen=True, slots=True)
class Count(Tally):
    """How many events."""

    def read(self, occurrence: Occurrence) -> Any:  # noqa: ARG002
        """Every event counts."""
        return 1

    def add(self, cell: Cell, taken: Any) -> None:
        """One more."""
        cell.count += taken

    def merge(self, cell: Cell, other: Cell) -> None:
        """Add up."""
        cell.count += other.count

    def value(self, cells: Sequence[Cell]) -> Any:
        """The number."""
        return _count_of(cells)

    def alone(self, cell: Cell) -> Any:
        """The number."""
        return cell.count


@dataclass(frozen=True, slots=True)
class Sum(Tally):
    """The sum of a numeric property."""

    property_name: str

    def read(self, occurrence: Occurrence) -> Any:
        """The amount."""
        return occurrence.number(self.property_name)

    def add(self, cell: Cell, taken: Any) -> None:
        """One event more, and its amount."""
        cell.count += 1
        exact.add(cell, taken)

    def merge(self, cell: Cell, other: Cell) -> None:
        """Add up."""
        cell.count += other.count
        exact.unite(cell, other)

    def value(self, cells: Sequence[Cell]) -> Any:
        """The sum, rounded once."""
        return exact.total_of(cells)

    def alone(self, cell: Cell) -> Any:
        """The sum, rounded once."""
        return cell.sum


@dataclass(frozen=True, slots=True)
class Average(Sum):
    """The mean of a numeric property."""

    def value(self, cells: Sequence[Cell]) -> Any:
        """The sum by the number of events that had an amount."""
        count = _count_of(cells)
        return exact.total_of(cells) / count if count else None

    def alone(self, cell: Cell) -> Any:
        """The same of one cell."""
        return cell.sum / cell.count if cell.count else None


@dataclass(frozen=True, slots=True)
class Extreme(Tally):
    """The smallest or greatest value of a numeric property."""

    property_name: str
    greatest: bool

    def read(self, occurrence: Occurrence) -> Any:
        """The number."""
        return occurrence.number(self.property_name)

    def add(self, cell: Cell, taken: Any) -> None:
        """Keep the smaller, or the greater."""
        if not cell.HasField("extreme") or (taken > cell.extreme if self.greatest else taken < cell.extreme):
            cell.extreme = taken

    def merge(self, cell: Cell, other: Cell) -> None:
        """Keep the smaller, or the greater."""
        self.add(cell, other.extreme)

    def value(self, cells: Sequence[Cell]) -> Any:
        """The smallest, or the greatest."""
        extremes = (cell.extreme for cell in cells if cell.HasField("extreme"))
        return max(extremes, default=None) if self.greatest else min(extremes, default=None)

    def alone(self, cell: Cell) -> Any:
        """The number."""
        return cell.extreme if cell.HasField("extreme") else None


@dataclass(frozen=True, slots=True)
class Distinct(Tally):
    """Different values of a property."""

    property_name: str

    def read(self, occurrence: Occurrence) -> Any:
        """The value."""
        return occurrence.text(self.property_name)

    def add(self, cell: Cell, taken: Any) -> None:
        """Into the sorted values, once; at the limit the greatest gives way."""
        values = cell.values
        at = bisect_left(values, taken)
        if at < len(values) and values[at] == taken:
            return
        values.insert(at, taken)
        if len(values) > MAX_VALUES:
            del values[-1]

    def merge(self, cell: Cell, other: Cell) -> None:
        """Unite."""
        for value in other.values:
            self.add(cell, value)

    def value(self, cells: Sequence[Cell]) -> Any:
        """How many."""
        return min(MAX_VALUES, len({value for cell in cells for value in cell.values}))

    def alone(self, cell: Cell) -> Any:
        """How many."""
        return len(cell.values)


@dataclass(frozen=True, slots=True)
class Frequent(Tally):
    """The value of a property that came most often. Of equals the smaller text."""

    property_name: str

    def read(self, occurrence: Occurrence) -> Any:
        """The value."""
        return occurrence.text(self.property_name)

    def add(self, cell: Cell, taken: Any) -> None:
        """Once more."""
        cell.counts[taken] += 1
        keep_smallest(cell.counts, MAX_VALUES)

    def merge(self, cell: Cell, other: Cell) -> None:
        """Add up value by value."""
        for value, count in other.counts.items():
            cell.counts[value] += count
        keep_smallest(cell.counts, MAX_VALUES)

    def value(self, cells: Sequence[Cell]) -> Any:
        """The value."""
        counts: dict[str, int] = dict(cells[0].counts) if cells else {}
        for cell in cells[1:]:
            for value, count in cell.counts.items():
                counts[value] = counts.get(value, 0) + count
        if len(counts) > MAX_VALUES:
            # A greater value may have given way in one bucket and not in another: its count would not be whole.
            counts = {value: counts[value] for value in sorted(counts)[:MAX_VALUES]}
        most = max(counts.values(), default=0)
        return min((value for value, count in counts.items() if count == most), default=None)

    def alone(self, cell: Cell) -> Any:
        """The value."""
        return self.value((cell,))


def _count_of(cells: Sequence[Cell]) -> int:
    count = 0
    for at in range(len(cells)):  # an iteration over a repeated field ends with an error, which takes longer than it
        count += cells[at].count
    return count
