"""What one response promises a customer, slot by slot: it may use up a contact cap that several actions share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from wayline_decision.core.contact import Met, Verdict, promised
from wayline_decision.core.decision import Limits, Question
from wayline_decision.core.plan import PlacementPlan, Plan
from wayline_decision.core.timetable import milliseconds


class Promises:
    """The contacts of a customer, and those that the placements so far will be."""

    __slots__ = ("_met", "_now", "_plan", "_timezone")

    def __init__(self, plan: Plan, question: Question, limits: Limits, now: datetime) -> None:
        """Begin with what the profile shows, and what other responses promised."""
        known = question.known
        self._plan = plan
        self._now = now
        self._timezone = known.timezone if known else ""
        self._met: list[Met] = [*(known.contacts if known else ()), *limits.reserved]

    def add(self, placement: PlacementPlan, rows: Sequence[int]) -> None:
        """Promise what stands in a placement."""
        self._met += self._as_promised(placement, rows)

    def verdict(self, placement: PlacementPlan, rows: Sequence[int]) -> Verdict:
        """What the contact policy says once these rows of a placement are promised, too."""
        return self._judged(self._met, placement, rows)

    def gate(self, placement: PlacementPlan) -> Callable[[Sequence[int]], int]:
        """As a contest takes it. What is added later makes no difference to it: hindsight asks it again."""
        before = tuple(self._met)

        def gate(rows: Sequence[int]) -> int:
            return self._judged(before, placement, rows).blocked(placement.channel)

        return gate

    def _judged(self, before: Sequence[Met], placement: PlacementPlan, rows: Sequence[int]) -> Verdict:
        met = (*before, *self._as_promised(placement, rows))
        return self._plan.contact.judge(met, self._timezone, self._now)

    def _as_promised(self, placement: PlacementPlan, rows: Sequence[int]) -> list[Met]:
        at_ms = milliseconds(self._now)
        choices = [Met("impression", self._plan.rows[row].action_id, placement.channel, at_ms, "") for row in rows]
        return [one for choice in choices for one in promised(choice)]
