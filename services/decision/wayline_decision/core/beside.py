"""The rest of the response, which keeps rows out: the action itself, exclusions, full groups, caps that are shared."""

from __future__ import annotations

from collections.abc import Sequence

from wayline_decision.core.company import Company
from wayline_decision.core.contact import Refusal
from wayline_decision.core.decision import Decision, Filled
from wayline_decision.core.dropped import Dropped
from wayline_decision.core.plan import Plan, Stage
from wayline_decision.core.promises import Promises


class Beside:
    """What the response held while a placement was filled."""

    def __init__(self, plan: Plan, decision: Decision, filled: Filled) -> None:
        """The placements before it, and its own slots."""
        self._plan = plan
        self._decision = decision
        self._filled = filled
        place = next(at for at, one in enumerate(decision.placements) if one is filled)
        self._before = decision.placements[:place]
        # Who won the last slot kept nobody out: no slot was left.
        slots = filled.contest.slots if filled.contest else 0
        self._own = [one.row for one in filled.choices]
        self._rows = [one.row for other in self._before for one in other.choices]
        self._rows += self._own[:-1] if len(self._own) == slots else self._own
        self._standing_at = {
            plan.rows[one.row].action: other.placement.id for other in (*self._before, filled) for one in other.choices
        }

    @property
    def left(self) -> int:
        """The slots of the placement that nobody held."""
        slots = self._filled.contest.slots if self._filled.contest else 0
        return slots - sum(row in self._own for row in self._rows)

    def company(self) -> Company:
        """All that stood there."""
        company = Company(self._plan.company)
        for row in self._rows:
            company.join(self._plan.rows[row].action)
        return company

    def dropped(self, at: int) -> Dropped | None:
        """By who stands in the response already; None: nobody kept the row out."""
        plan = self._plan
        action = plan.rows[at].action
        if action in self._standing_at:
            change = f"another choice for {self._standing_at[action]}, where it stands"
            return Dropped(at, Stage.COMPANY, "", "the action is already in this response", change)
        excluders = [row for row in self._rows if plan.company.excludes.get(action, 0) >> row & 1]
        if excluders:
            name = plan.rows[excluders[0]].action_id
            return Dropped(at, Stage.COMPANY, "", f"it must not stand beside {name}", f"another choice than {name}")
        group = plan.company.group_of[action]
        members = [row for row in self._rows if plan.company.group_of[plan.rows[row].action] == group]
        most = plan.company.most.get(group)
        if most is not None and len(members) >= most:
            names = " or ".join(plan.rows[row].action_id for row in members)
            reason = f"its group already has {most} in this response, the most that it may"
            return Dropped(at, Stage.COMPANY, "", reason, f"another choice than {names}")
        refusal = self.refusal(at)
        if refusal is None:
            return None
        reason = f"{refusal.reason}: what this response holds already uses it up"
        return Dropped(at, Stage.CONTACT, "", reason, f"fewer choices before it; or {refusal.change}")

    def refusal(self, at: int, more: Sequence[int] = ()) -> Refusal | None:
        """By a contact cap that several actions share, which the response itself has used up, with some more rows."""
        decision, filled = self._decision, self._filled
        if filled.contest is None or filled.contest.gate is None:
            return None
        promises = Promises(self._plan, decision.question, decision.limits, decision.now)
        for one in self._before:
            promises.add(one.placement, [choice.row for choice in one.choices])
        own = [row for row in self._rows if row in self._own]
        return promises.verdict(filled.placement, [*own, *more]).why(at, filled.placement.channel)
