"""Rules as people wrote them: a plan has them with the values of the action's facts in the place of their names."""

from __future__ import annotations

from functools import partial

from wayline.catalog.facts import for_action, mentions_action
from wayline.catalog.model import POLICIES, Action, Group, Issue
from wayline_decision.core.nearest import Written
from wayline_decision.core.plan import Plan


class Writing:
    """Looks rules up in a plan's catalogue."""

    def __init__(self, plan: Plan) -> None:
        """Of a plan."""
        self._plan = plan
        self._placed: dict[str, tuple[Issue, Group, Action]] = {}

    def of(self, at: int, place: int) -> Written | None:
        """The rule of a row at a place of its `rules`; None: it reads no facts, and is as the plan has it."""
        if not self._placed:
            self._placed = {one[2].id: one for one in self._plan.catalog.actions()}
        row = self._plan.rows[at]
        issue, group, action = self._placed[row.action_id]
        treatment = next(one for one in action.treatments if one.id == row.treatment_id)
        levels = (issue, group, action, treatment)
        rules = [rule for name in POLICIES for level in levels for rule in getattr(level, name)]
        text = rules[place].rule.strip()
        if not mentions_action(text):
            return None
        return Written(text, partial(for_action, issue=issue, group=group, action=action))
