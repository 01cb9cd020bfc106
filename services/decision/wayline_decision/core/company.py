"""What may stand side by side in a response: no action twice, exclusions, at most n of a group, whole bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wayline.catalog.model import Action, Catalog, Group, Issue
from wayline_decision.core.bitset import run_of


@dataclass(frozen=True, slots=True)
class CompanyPlan:
    """Actions are numbered as in the plan; rows of one action follow each other."""

    first_row: tuple[int, ...]
    """By action; one more at the end."""
    group_of: tuple[int, ...]
    """By action."""
    most: Mapping[int, int]
    """Group to how many of it a response may hold; a group that is not here: any number."""
    rows_of_group: Mapping[int, int]
    """Of those groups, as bit sets."""
    excludes: Mapping[int, int]
    """Action to the rows of the actions that exclude it, as a bit set."""
    bundles: Mapping[int, tuple[int, ...]]
    """Action to the other actions of its bundle, in the catalogue's order."""
    bundled: int
    """The rows of all actions in bundles, as a bit set."""

    @property
    def restricts(self) -> bool:
        """Whether a choice shuts out others than the action itself."""
        return bool(self.excludes or self.most)

    def rows_of(self, action: int) -> int:
        """As a bit set."""
        first = self.first_row[action]
        return run_of(first, self.first_row[action + 1] - first)


class Company:
    """What a response holds so far, and what may no longer join it."""

    __slots__ = ("_members", "_plan", "shut")

    def __init__(self, plan: CompanyPlan) -> None:
        """An empty response."""
        self._plan = plan
        self._members: dict[int, int] = {}
        self.shut = 0
        """The rows that may not be chosen any more, as a bit set."""

    def copy(self) -> Company:
        """The same so far; each goes on by itself."""
        other = Company(self._plan)
        other.shut, other._members = self.shut, self._members.copy()
        return other

    def join(self, action: int) -> None:
        """The action was chosen."""
        plan = self._plan
        first, end = plan.first_row[action], plan.first_row[action + 1]
        self.shut |= ((1 << (end - first)) - 1) << first
        if plan.excludes:
            self.shut |= plan.excludes.get(action, 0)
        if plan.most:
            group = plan.group_of[action]
            members = self._members[group] = self._members.get(group, 0) + 1
            if members >= plan.most.get(group, members + 1):
                self.shut |= plan.rows_of_group[group]

    def partners(self, action: int, among: int, slots: int) -> list[int] | None:
        """The rows that have to go out with an action: one for each other action of its bundle.

        Args:
            action: that is to be chosen.
            among: the rows that could be chosen, as a bit set.
            slots: how many are left, the action's own included.

        Returns:
            None: the bundle would not be whole.
        """
        others = self._plan.bundles.get(action)
        if others is None:
            return []
        if len(others) >= slots:
            return None
        trial = self.copy()
        if not self.shut >> self._plan.first_row[action] & 1:
            trial.join(action)
        rows: list[int] = []
        for other in others:
            open_ = among & self._plan.rows_of(other) & ~trial.shut
            if not open_:
                return None
            rows.append((open_ & -open_).bit_length() - 1)
            trial.join(other)
        return rows


def compile_company(
    catalog: Catalog, placed: Sequence[tuple[Issue, Group, Action]], rows_per_action: Sequence[int]
) -> CompanyPlan:
    """Compile.

    Args:
        catalog: that has passed `wayline.catalog.check`.
        placed: all actions, by id.
        rows_per_action: how many rows each has.
    """
    first = [0]
    for rows in rows_per_action:
        first.append(first[-1] + rows)
    number = {action.id: at for at, (_, _, action) in enumerate(placed)}
    groups = {id(group): at for at, group in enumerate({id(group): group for _, group, _ in placed}.values())}
    group_of = tuple(groups[id(group)] for _, group, _ in placed)
    most = {groups[id(group)]: group.most for _, group, _ in placed if group.most is not None}
    rows_of = [run_of(first[at], count) for at, count in enumerate(rows_per_action)] if most else []
    rows_of_group = dict.fromkeys(most, 0)
    for at, group in enumerate(group_of):
        if group in most:
            rows_of_group[group] |= rows_of[at]
    excludes: dict[int, int] = {}
    for exclusion in catalog.arbitration.exclusions:
        members = [number[name] for name in exclusion.actions]
        together = 0
        for at in members:
            together |= run_of(first[at], rows_per_action[at])
        for at in members:
            excludes[at] = excludes.get(at, 0) | together
    bundles: dict[int, tuple[int, ...]] = {}
    bundled = 0
    for bundle in catalog.arbitration.bundles:
        members = [number[name] for name in bundle.actions]
        for at in members:
            bundles[at] = tuple(other for other in members if other != at)
            bundled |= run_of(first[at], rows_per_action[at])
    return CompanyPlan(tuple(first), group_of, most, rows_of_group, excludes, bundles, bundled)
