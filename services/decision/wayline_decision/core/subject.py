"""Whom rules and models see."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from wayline_decision.core.known import Known, Situation
from wayline_decision.core.plan import Plan


class Subject:
    """A customer, or nobody, in the situation of a request."""

    __slots__ = ("_plan", "_second", "known", "now", "situation")

    def __init__(self, plan: Plan, known: Known | None, situation: Situation, now: datetime) -> None:
        """Put together.

        Args:
            plan: whose rules and models look.
            known: the customer; None: `Plan.nobody`.
            situation: the request's.
            now: as models see it.
        """
        self._plan: Final = plan
        self._second: datetime | None = None
        self.known: Final = known or plan.nobody
        self.situation: Final = situation
        self.now: Final = now

    @property
    def second(self) -> datetime:
        """The time in whole seconds. Rules know no other: those on the time alone are judged once for all requests of
        a second.
        """
        if self._second is None:
            self._second = self.now.replace(microsecond=0)
        return self._second

    def activation(self) -> Any:
        """All that rules see."""
        return self._plan.rule_compiler.activation(self.known.facts, self.situation.context, self.second)
