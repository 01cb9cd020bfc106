"""Budgets: how often an action may be chosen over all customers, in total and by the day.

A counter is named after what it counts: `ACTION.total`, and `ACTION.2026-11-23` for one day. The names do not depend on
the catalogue's revision, so that counts go on when it changes. No counter ever goes down: what staff gave back has one
of its own, and what is used is the difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from wayline.catalog.model import Catalog
from wayline_decision.core.timetable import milliseconds

TOTAL = "total"
_GIVEN_BACK = "!"
"""Behind the action in the name of a counter; no id has it."""


class Exhausted(NamedTuple):
    """Whose budget is used up."""

    mask: int
    """Their rows, as a bit set."""
    actions: tuple[str, ...]
    """Their ids, ascending."""


class Limit(NamedTuple):
    """The budget of one action."""

    total: int | None
    per_day: int | None
    zone: ZoneInfo
    """Of the day."""
    rows: tuple[int, ...]

    def most(self, span: str) -> int | None:
        """In total, or on a day. None: any number."""
        return self.total if span == TOTAL else self.per_day

    def counters(self, action: str, today: str) -> tuple[str, ...]:
        """The counters that go up when the action is chosen today."""
        total = (f"{action}.{TOTAL}",) if self.total is not None else ()
        return total if self.per_day is None else (*total, f"{action}.{today}")


NOTHING = Exhausted(0, ())


@dataclass(frozen=True, slots=True, eq=False)
class BudgetPlan:
    """Every action that has a budget. A plan is itself only, and can be a key."""

    limits: Mapping[str, Limit]
    """By action id."""

    @property
    def empty(self) -> bool:
        """Whether no action has a budget."""
        return not self.limits

    def counters(self, action: str, now: datetime) -> tuple[str, ...]:
        """The counters that go up when the action is chosen now; none when it has no budget."""
        limit = self.limits.get(action)
        return () if limit is None else limit.counters(action, _day(now, limit.zone))

    def all_counters(self, now: datetime) -> list[str]:
        """Those of all actions."""
        today = _days(now)
        return [name for action, limit in self.limits.items() for name in limit.counters(action, today(limit.zone))]

    def limit(self, counter: str) -> int | None:
        """How far a counter may go. None: nothing limits it (any more)."""
        action, _, span = counter.rpartition(".")
        limit = self.limits.get(action)
        return None if limit is None else limit.most(span)

    def exhausted(self, used: Mapping[str, int], now: datetime) -> Exhausted:
        """Whose budget is used up now.

        Args:
            used: by counter; what is not there was not used.
            now: with an offset.
        """
        today = _days(now)
        actions: set[str] = set()
        for counter, number in used.items():
            action, _, span = counter.rpartition(".")
            limit = self.limits.get(action)
            if limit is None or span not in (TOTAL, today(limit.zone)):
                continue
            most = limit.most(span)
            if most is not None and number >= most:
                actions.add(action)
        return Exhausted(self.rows_of(actions), tuple(sorted(actions))) if actions else NOTHING

    def rows_of(self, actions: Iterable[str]) -> int:
        """The rows of actions that have a budget, as a bit set: for a replay, which knows whose was used up."""
        mask = 0
        for action in actions:
            for row in self.limits[action].rows if action in self.limits else ():
                mask |= 1 << row
        return mask

    def next_day_ms(self, now: datetime) -> int:
        """When the first of the budgets by the day begins anew, since 1970; 0: there are none."""
        zones = {limit.zone for limit in self.limits.values() if limit.per_day is not None}
        return min((_next_midnight_ms(now, zone) for zone in zones), default=0)

    def why(self, action: str, now: datetime) -> tuple[str, str]:
        """What is used up when an action is exhausted, and what would have to change.

        A record holds no counts, so that both limits are named where an action has both.

        Raises:
            KeyError: the action has no budget.
        """
        limit = self.limits[action]
        parts = [f"{limit.total:,} in total"] if limit.total is not None else []
        change = "its budget would have to be larger"
        if limit.per_day is not None:
            parts.append(f"{limit.per_day:,} a day")
            tomorrow = now.astimezone(limit.zone).date() + timedelta(days=1)
            change += f", or the day {tomorrow} {limit.zone.key}" + (
                " if the total is not used up" if limit.total else ""
            )
        return f"its budget of {' or '.join(parts)} is used up", change


def given_back(counter: str) -> str:
    """The counter of what was given back of another one."""
    action, _, span = counter.rpartition(".")
    return f"{action}{_GIVEN_BACK}.{span}"


def compile_budgets(catalog: Catalog, action_of_row: Sequence[str]) -> BudgetPlan:
    """The budgets of a catalogue.

    Args:
        catalog: has passed `wayline.catalog.check`.
        action_of_row: [T] the id of each row's action.
    """
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, action_id in enumerate(action_of_row):
        rows_of[action_id].append(row)
    return BudgetPlan(
        {
            action.id: Limit(
                action.budget.total,
                action.budget.per_day,
                ZoneInfo(action.budget.timezone or catalog.timezone),
                tuple(rows_of[action.id]),
            )
            for _, _, action in catalog.actions()
            if action.budget
        }
    )


def _day(now: datetime, zone: ZoneInfo) -> str:
    """'2026-11-23'."""
    return now.astimezone(zone).date().isoformat()


def _days(now: datetime) -> Callable[[ZoneInfo], str]:
    """Today by zone, each looked up once."""
    return cache(lambda zone: _day(now, zone))


def _next_midnight_ms(now: datetime, zone: ZoneInfo) -> int:
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return milliseconds(datetime.combine(tomorrow, time(), zone))
