"""Who may compete for a placement's slots: what each stage before the scores drops."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from wayline_decision.core.bitset import rows_where
from wayline_decision.core.consent import Denied, denied
from wayline_decision.core.contact import Verdict
from wayline_decision.core.decision import Limits, Question
from wayline_decision.core.maturity import reached, share_of
from wayline_decision.core.plan import PlacementPlan, Plan, Stage
from wayline_decision.core.schedule import ScheduleVerdict
from wayline_decision.core.score import Models
from wayline_decision.core.screen import Screened, eligible
from wayline_decision.core.timetable import milliseconds

Barred = tuple[tuple[Stage, int], ...]
"""By stage, the rows that it drops, as bit sets; a row may be in several."""


class Admission:
    """The stages before the scores, for one question now."""

    __slots__ = ("_limits", "_models", "_now", "_plan", "_question", "contact", "schedule")

    def __init__(self, plan: Plan, models: Models, question: Question, limits: Limits, now: datetime) -> None:
        """Judge what is the same for all placements: the contact policy, and the clock."""
        self._plan = plan
        self._models = models
        self._question = question
        self._limits = limits
        self._now = now
        self.contact: Final = None if plan.contact.empty else self._contact_verdict()
        self.schedule: Final = None if plan.schedule.empty else self._schedule_verdict()

    def denied(self, placement: PlacementPlan) -> Denied | None:
        """Why nothing goes out in a placement at all; None: something may."""
        question = self._question
        return denied(self._plan, question.known, placement, reachable=question.reachable)

    def open(self, placement: PlacementPlan, screened: Screened) -> tuple[int, Barred]:
        """The rows that no stage before the scores drops, as a bit set, and what those other than rules drop."""
        barred = self._barred(placement)
        open_ = placement.rows & self._policies(screened)
        for _, rows in barred:
            open_ &= ~rows
        return open_, barred

    def quiet(self, placement: PlacementPlan) -> bool:
        """Whether nothing goes out on its channel at this hour, not even a fallback."""
        return self.schedule is not None and placement.channel in self.schedule.quiet

    def _policies(self, screened: Screened) -> int:
        if self._question.assignment.control == "eligibility":
            return eligible(self._plan, screened)
        return screened.passed

    def _barred(self, placement: PlacementPlan) -> Barred:
        """What other stages than the rules drop, each with its rows; nothing for those that drop none."""
        plan, assignment = self._plan, self._question.assignment
        barred: list[tuple[Stage, int]] = []
        if assignment.held_out:
            barred.append((Stage.EXPERIMENT, plan.everything))
        elif assignment.withheld:
            barred.append((Stage.EXPERIMENT, assignment.withheld))
        if self.schedule is not None:
            rows = plan.everything if self.quiet(placement) else self.schedule.blocked
            if rows:
                barred.append((Stage.SCHEDULE, rows))
        if self._limits.exhausted:
            barred.append((Stage.BUDGET, self._limits.exhausted))
        if self.contact is not None and (rows := self.contact.blocked(placement.channel)):
            barred.append((Stage.CONTACT, rows))
        if placement.outbound and plan.arbitration.maturity is not None and (rows := self._unreached()):
            barred.append((Stage.MATURITY, rows))
        return tuple(barred)

    def _contact_verdict(self) -> Verdict:
        """By the contacts that the profile shows, and those that were promised meanwhile.

        Consent for personalisation makes no difference: not to be pestered needs none.
        """
        plan, known, reserved = self._plan, self._question.known, self._limits.reserved
        if known is None:
            return plan.contact.judge(tuple(reserved), "", self._now)
        if reserved:
            return plan.contact.judge((*known.contacts, *reserved), known.timezone, self._now)
        verdict = known.verdict
        if verdict is None or 0 < verdict.until_ms <= milliseconds(self._now):
            verdict = known.verdict = plan.contact.judge(known.contacts, known.timezone, self._now)
        return verdict

    def _schedule_verdict(self) -> ScheduleVerdict:
        known = self._question.known
        return self._plan.schedule.judge(self._now, known.timezone if known else "")

    def _unreached(self) -> int:
        """The rows of new actions whose ramp does not reach this customer yet, as a bit set."""
        plan, maturity = self._plan, self._plan.arbitration.maturity
        assert maturity is not None
        known = self._question.known
        if known is not None and known.unreached is not None and known.unreached[0] is self._models:
            return known.unreached[1]
        met = reached(self._question.lot, plan.salts, share_of(self._models.positives, maturity))
        rows = rows_where(~met[plan.action_of])
        if known is not None:
            known.unreached = (self._models, rows)
        return rows
