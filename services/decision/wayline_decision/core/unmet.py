"""Rules that did not hold: which of a row's, and by which change of the customer or the request it would."""

from __future__ import annotations

import re

from wayline_decision.core.consent import Denied, consent_standing
from wayline_decision.core.decision import Decision, Filled, Personalisation
from wayline_decision.core.dropped import Dropped
from wayline_decision.core.nearest import Changes, Written
from wayline_decision.core.plan import Plan, Stage
from wayline_decision.core.subject import Subject
from wayline_decision.core.written import Writing

_PROFILE = re.compile(r"\bprofile\b")


class Unmet:
    """The rules of one placement of a decision, looked at afterwards."""

    def __init__(self, plan: Plan, decision: Decision, filled: Filled) -> None:
        """Of a placement of a decision."""
        self._plan = plan
        self._decision = decision
        self._filled = filled
        self._met, self._errors = filled.screened.met, filled.screened.errors
        self._changes = Changes(plan.rule_compiler, filled.subject.activation)
        customer = Subject(plan, decision.question.known, filled.subject.situation, decision.now)
        self._changes_with_profile = Changes(plan.rule_compiler, customer.activation)
        self._writing = Writing(plan)

    def dropped(self, at: int, stage: Stage) -> Dropped | None:
        """By the first rule of a stage that the row does not meet; None: it meets them all."""
        if self._decision.assignment.control == "eligibility" and stage is not Stage.ELIGIBILITY:
            return None
        for place, rule in enumerate(self._plan.rows[at].rules):
            if rule.stage is stage and not self._met[rule.condition]:
                expression = self._plan.conditions[rule.condition]
                written = self._writing.of(at, place)
                shown = written.text if written else expression
                error = self._errors.get(rule.condition)
                if error:
                    change = 'the rule would have to say what holds then, as in profile.colours[?"red"].orValue(0.0)'
                    return Dropped(at, stage, shown, f"could not be evaluated: {error}", change)
                reason = f"not met: {rule.because or shown}"
                return Dropped(at, stage, shown, reason, self._change_of(expression, written))
        return None

    def _change_of(self, rule: str, written: Written | None) -> str:
        """By which a rule would hold. One that reads a profile which is not used tells that first."""
        change, filled = self._changes.of(rule, written), self._filled
        if filled.subject.known is not self._plan.nobody or not _PROFILE.search(rule):
            return change
        if self._decision.personalisation is not Personalisation.FULL:
            return f"{self._for_a_profile()}; without a profile, {change}"
        used = f"the profile is not used in {filled.placement.id}: personalise_only would have to name the placement"
        if self._changes_with_profile.holds(rule):
            return used
        return f"{used}; and {self._changes_with_profile.of(rule, written)}"

    def _for_a_profile(self) -> str:
        plan, decision = self._plan, self._decision
        if decision.personalisation is Personalisation.NO_CONSENT:
            purpose = plan.catalog.personalisation
            return Denied(purpose, consent_standing(plan, decision.question.known, purpose).why).change
        if decision.personalisation is Personalisation.UNAVAILABLE:
            return "the profile service would have to answer"
        return "the customer would have to be known"
