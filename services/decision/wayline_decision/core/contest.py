"""What is competed for: the slots of a placement, by whom, and who won one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from wayline.catalog.arbitration import Exploration
from wayline_decision.core.plan import PlacementPlan

GREEDY = Exploration()


class Choice:
    """A row for the next slot."""

    __slots__ = ("drawn", "row", "selection_probability")

    def __init__(self, row: int, selection_probability: float | None, drawn: float | None = None) -> None:
        """Choose.

        Args:
            row: of the plan.
            selection_probability: the chance that it was to be this row, given the slots before; None: it was drawn by
                Thompson sampling.
            drawn: the propensity that was drawn.
        """
        self.row: Final = row
        self.selection_probability: Final = selection_probability
        self.drawn: Final = drawn


class Contest:
    """One placement to fill."""

    __slots__ = ("exploration", "forced", "gate", "open", "placement", "slots", "tiers")

    def __init__(
        self,
        placement: PlacementPlan,
        slots: int,
        open_: int,
        forced: int,
        exploration: Exploration,
        tiers: tuple[int, ...],
        gate: Callable[[Sequence[int]], int] | None = None,
    ) -> None:
        """Put together.

        Args:
            placement: that is filled.
            slots: how many, at most.
            open_: the rows that may stand in it, as a bit set.
            forced: those of them that come first, as a bit set.
            exploration: among the others.
            tiers: rows that come before those of the next tier, whatever the scores, as bit sets.
            gate: the rows, as a bit set, that the contact policy no longer lets through once these rows are promised;
                None: what is promised in one response makes no difference.
        """
        self.placement: Final = placement
        self.slots: Final = slots
        self.open: Final = open_
        self.forced: Final = forced
        self.exploration: Final = exploration
        self.tiers: Final = tiers
        self.gate: Final = gate

    def greedy(self) -> Contest:
        """The same without exploration."""
        return Contest(self.placement, self.slots, self.open, self.forced, GREEDY, self.tiers, self.gate)

    def without(self, rows: int) -> Contest:
        """The same without some rows, a bit set."""
        open_, forced = self.open & ~rows, self.forced & ~rows
        return Contest(self.placement, self.slots, open_, forced, self.exploration, self.tiers, self.gate)
