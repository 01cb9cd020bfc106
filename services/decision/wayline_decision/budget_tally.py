"""How much of each budget is used: what JetStream's counters hold, and what this process has added since."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import NamedTuple
from uuid import uuid4

from wayline_decision.core.budget import BudgetPlan, Exhausted
from wayline_decision.core.timetable import milliseconds


class Increment(NamedTuple):
    """What is under way to JetStream. It stays so, under the same id, until an answer says that it is stored."""

    number: int
    message_id: str


class _Held(NamedTuple):
    since_ms: int
    until_ms: int
    """0: nothing ends by itself."""
    exhausted: Exhausted


class BudgetTally:
    """Counts for the plans in use. Any method may be called from any thread."""

    def __init__(self) -> None:
        """Begin with nothing known, and no plan in use."""
        self._own = uuid4().hex
        self._numbers = count()
        self._lock = threading.Lock()
        # By counter, guarded by the lock. What is used is known - given back + unsent + under way.
        self._known: dict[str, int] = {}
        self._given_back: dict[str, int] = {}
        self._unsent: defaultdict[str, int] = defaultdict(int)
        self._under_way: dict[str, Increment] = {}
        self._used: dict[str, int] = {}
        # By plan in use: the counters that are at their limit, and whom that exhausts.
        self._full: dict[BudgetPlan, set[str]] = {}
        self._held: dict[BudgetPlan, _Held] = {}

    @property
    def waiting(self) -> int:
        """How many choices JetStream has not confirmed yet."""
        with self._lock:
            return sum(self._unsent.values()) + sum(one.number for one in self._under_way.values())

    @property
    def plans(self) -> Sequence[BudgetPlan]:
        """Those in use."""
        return tuple(self._full)

    def use(self, plans: Sequence[BudgetPlan]) -> None:
        """Count for these plans from now on. The counts go on."""
        with self._lock:
            self._full = {
                plan: {counter for counter, used in self._used.items() if _is_full(plan, counter, used)}
                for plan in plans
            }
            self._held = {}

    def take(self, actions: Sequence[str], now: datetime) -> None:
        """Count actions that were chosen at `now`, each time that they stand there.

        Whichever plan chose them: the budget of an action is one, also where a variant gives it another size.
        """
        with self._lock:
            for action in actions:
                for counter in {name for plan in self._full for name in plan.counters(action, now)}:
                    self._unsent[counter] += 1
                    self._recount(counter)

    def exhausted(self, plan: BudgetPlan, now: datetime) -> Exhausted:
        """Whose budget is used up at `now`, in the rows of `plan`.

        A decision that began before another plan came into use asks for the rows of its own.
        """
        held, now_ms = self._held.get(plan), milliseconds(now)
        if held is not None and held.since_ms <= now_ms and (now_ms < held.until_ms or not held.until_ms):
            return held.exhausted
        with self._lock:
            full = self._full.get(plan)
            if full is None:
                return plan.exhausted(self._used, now)
            exhausted = plan.exhausted({counter: self._used[counter] for counter in full}, now)
            self._held[plan] = _Held(now_ms, plan.next_day_ms(now), exhausted)
        return exhausted

    def due(self) -> list[tuple[str, Increment]]:
        """What is under way, with what was taken since of other counters."""
        with self._lock:
            for counter in [one for one in self._unsent if one not in self._under_way]:
                self._under_way[counter] = Increment(self._unsent.pop(counter), f"{self._own}-{next(self._numbers)}")
            return list(self._under_way.items())

    def delivered(self, counter: str, total: int, added: int) -> None:
        """What was under way of a counter is stored: its total then, and how much the answer says was added to it."""
        with self._lock:
            del self._under_way[counter]
            # Never less than before, and what we added: not even when the stream was lost and begins anew.
            self._known[counter] = max(total, self._known.get(counter, 0) + added)
            self._recount(counter)

    def read(self, totals: Mapping[str, int], given_back: Mapping[str, int]) -> None:
        """What JetStream's counters hold, and how much of them was given back; each by the counter's name."""
        with self._lock:
            for held, values in ((self._known, totals), (self._given_back, given_back)):
                for counter, value in values.items():
                    # A follower may answer, with less than the leader told us.
                    held[counter] = max(value, held.get(counter, 0))
                    self._recount(counter)

    def forget_before(self, day: datetime) -> list[str]:
        """Let go of the counters of days that are over everywhere; say which."""
        oldest = day.date().isoformat()
        with self._lock:
            over = [
                one
                for one in self._used
                if one.rpartition(".")[2] < oldest  # 'total' is after all digits
                and one not in self._unsent
                and one not in self._under_way
            ]
            for counter in over:
                self._known.pop(counter, None)
                self._given_back.pop(counter, None)
                self._used.pop(counter)
                for full in self._full.values():
                    full.discard(counter)
        return over

    def _recount(self, counter: str) -> None:
        """After a change, under the lock. What is held goes on unless the change crosses the limit."""
        under_way = self._under_way.get(counter)
        counted = max(0, self._known.get(counter, 0) - self._given_back.get(counter, 0))
        used = counted + self._unsent.get(counter, 0) + (under_way.number if under_way else 0)
        self._used[counter] = used
        for plan, full in self._full.items():
            if _is_full(plan, counter, used) != (counter in full):
                full ^= {counter}
                self._held.pop(plan, None)


def _is_full(plan: BudgetPlan, counter: str, used: int) -> bool:
    limit = plan.limit(counter)
    return limit is not None and used >= limit
