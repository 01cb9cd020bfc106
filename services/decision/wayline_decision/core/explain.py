"""Why not: for every row of a placement that was not chosen, the stage and the rule that dropped it.

And what would have to change: the nearest thing by which the row would pass that stage. It may be dropped by a later
one then.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wayline_decision.core.bitset import bits
from wayline_decision.core.company import Company
from wayline_decision.core.consent import Denied, consent_standing
from wayline_decision.core.contact import Met, Refusal, promised
from wayline_decision.core.decision import Decision, Filled, Personalisation
from wayline_decision.core.maturity import lot_numbers, share_of
from wayline_decision.core.nearest import Changes, Written
from wayline_decision.core.outranked import outranked
from wayline_decision.core.plan import Plan, Stage
from wayline_decision.core.subject import Subject
from wayline_decision.core.timetable import milliseconds
from wayline_decision.core.written import Writing

_PROFILE = re.compile(r"\bprofile\b")


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that was not chosen. `rule` is empty where no rule decided; `change` is what would have to change."""

    row: int
    stage: Stage
    rule: str
    reason: str
    change: str = ""


class Step(NamedTuple):
    """How many rows came to a stage, and how many of them it dropped."""

    stage: Stage
    entered: int
    dropped: int


def dropped(plan: Plan, decision: Decision, filled: Filled) -> Iterator[Dropped]:
    """Every row of the placement that was not chosen, by action and treatment id."""
    chosen = {one.row for one in filled.chosen}
    why = _Why(plan, decision, filled)
    for at in bits(filled.placement.rows):
        if at not in chosen:
            yield why.dropped(at)


def funnel(rows: int, stages: Iterable[Stage]) -> Iterator[Step]:
    """How the rows of a placement became fewer, in the order in which they are judged.

    Args:
        rows: how many there are.
        stages: of each that was dropped, where.
    """
    lost = Counter(stages)
    for stage in Stage:
        if not rows:
            return
        yield Step(stage, rows, lost[stage])
        rows -= lost[stage]


class _Why:
    """One placement of a decision, looked at afterwards."""

    def __init__(self, plan: Plan, decision: Decision, filled: Filled) -> None:
        self._plan = plan
        self._decision = decision
        self._filled = filled
        self._met, self._errors = filled.screened.met, filled.screened.errors
        self._changes = Changes(plan.rule_compiler, filled.subject.activation)
        customer = Subject(plan, decision.question.known, filled.subject.situation, decision.now)
        self._changes_with_profile = Changes(plan.rule_compiler, customer.activation)
        self._writing = Writing(plan)
        place = next(at for at, one in enumerate(decision.placements) if one is filled)
        self._before = decision.placements[:place]
        # Who won the last slot kept nobody out: no slot was left.
        slots = filled.contest.slots if filled.contest else 0
        self._own = [one.row for one in filled.choices]
        self._company = [one.row for other in self._before for one in other.choices]
        self._company += self._own[:-1] if len(self._own) == slots else self._own
        self._standing_at = {
            plan.rows[one.row].action: other.placement.id for other in (*self._before, filled) for one in other.choices
        }

    def dropped(self, at: int) -> Dropped:
        plan, filled = self._plan, self._filled
        if filled.denied is not None:
            return self._drop(at, Stage.CONSENT, filled.denied.reason, filled.denied.change)
        return (
            self._by_itself(at)
            or self._not_whole(at)
            or self._drop(at, Stage.ARBITRATION, *outranked(plan, self._decision, filled, at))
        )

    def _by_itself(self, at: int) -> Dropped | None:
        """Whatever the rest of its bundle."""
        filled = self._filled
        forced = filled.contest is not None and filled.contest.forced >> at & 1
        barred = {stage for stage, rows in filled.barred if rows >> at & 1 and not (forced and stage is Stage.FLOOR)}
        for stage in Stage:
            if stage in barred:
                return self._barred(at, stage)
            found = self._unmet(at, stage)
            if found is not None:
                return found
        return self._not_rendered(at) or self._kept_out(at)

    def _drop(self, at: int, stage: Stage, reason: str, change: str) -> Dropped:
        return Dropped(at, stage, "", reason, change)

    def _unmet(self, at: int, stage: Stage) -> Dropped | None:
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

    def _barred(self, at: int, stage: Stage) -> Dropped:
        plan, decision, channel = self._plan, self._decision, self._filled.placement.channel
        why: tuple[str, str] | None = None
        match stage:
            case Stage.EXPERIMENT:
                group = "holdout" if decision.assignment.held_out else "action's control group"
                change = f"the {group} would have to be smaller, or drawn with another salt"
                why = decision.assignment.because(at), change
            case Stage.SCHEDULE if decision.schedule is not None:
                why = decision.schedule.why_quiet(channel) or decision.schedule.why(at)
            case Stage.BUDGET:
                why = plan.budgets.why(plan.rows[at].action_id, decision.now)
            case Stage.CONTACT if decision.contact is not None:
                why = decision.contact.why(at, channel)
            case Stage.MATURITY:
                why = self._unreached(at)
            case Stage.FLOOR:
                why = self._too_low(at)
        assert why is not None, f"nothing at the stage {stage.name} drops row {at}"
        return self._drop(at, stage, *why)

    def _unreached(self, at: int) -> tuple[str, str]:
        """The share that an action reaches grows with its positives: this customer's number says from how many on."""
        plan, decision = self._plan, self._decision
        action, maturity = plan.rows[at].action, plan.arbitration.maturity
        assert maturity is not None
        positives = decision.models.positives[action]
        share = share_of(np.array([positives]), maturity).item()
        number = lot_numbers(decision.question.lot, plan.salts[action : action + 1]).item()
        wanted = int((number - maturity.start) / (1.0 - maturity.start) * maturity.positives) + 1
        return (
            f"new: with {positives:.6g} positive responses it reaches {share:.1%} of customers, and not yet this one",
            f"it reaches this customer from {wanted:,} positive responses on",
        )

    def _too_low(self, at: int) -> tuple[str, str]:
        plan, placement = self._plan, self._filled.placement
        standing = self._filled.standing.usual or self._filled.standing
        action = plan.rows[at].action
        propensity, priority = standing.propensity.item(action), standing.row_priority.item(at)
        if plan.floors is not None:
            least_propensity, least_priority = plan.floors[0].item(action), plan.floors[1].item(action)
            if propensity < least_propensity:
                reason = f"its propensity {propensity:.6g} is below the floor"
                return reason, f"a propensity of at least {least_propensity:.6g}"
            if priority < least_priority:
                return f"its priority {priority:.6g} is below the floor", f"a priority of at least {least_priority:.6g}"
        reason = f"rather silence: its priority {priority:.6g} is below the placement's"
        return reason, f"a priority of at least {placement.silence:.6g}"

    def _not_rendered(self, at: int) -> Dropped | None:
        if not self._filled.unrendered >> at & 1:
            return None
        plan, failures = self._plan, self._decision.failures
        row = plan.rows[at]
        name = f"content:{row.action_id}/{row.treatment_id} "
        failure = next((one.removeprefix(name) for one in failures if one.startswith(name)), None)
        for other in () if failure else plan.company.bundles.get(row.action, ()):
            member = plan.actions[other].id
            if any(one.startswith(f"content:{member}/") for one in failures):
                reason = f"it won a slot, but its bundle would not be whole without {member}, whose content failed"
                return self._drop(at, Stage.ARBITRATION, reason, f"the template of {member}")
        return self._drop(
            at, Stage.ARBITRATION, f"it won a slot, but its content {failure or 'failed'}", "its template"
        )

    def _kept_out(self, at: int) -> Dropped | None:
        """By who stands in the response already."""
        plan = self._plan
        action = plan.rows[at].action
        if action in self._standing_at:
            change = f"another choice for {self._standing_at[action]}, where it stands"
            return self._drop(at, Stage.COMPANY, "the action is already in this response", change)
        excluders = [row for row in self._company if plan.company.excludes.get(action, 0) >> row & 1]
        if excluders:
            name = plan.rows[excluders[0]].action_id
            return self._drop(at, Stage.COMPANY, f"it must not stand beside {name}", f"another choice than {name}")
        group = plan.company.group_of[action]
        members = [row for row in self._company if plan.company.group_of[plan.rows[row].action] == group]
        most = plan.company.most.get(group)
        if most is not None and len(members) >= most:
            names = " or ".join(plan.rows[row].action_id for row in members)
            reason = f"its group already has {most} in this response, the most that it may"
            return self._drop(at, Stage.COMPANY, reason, f"another choice than {names}")
        refusal = self._refusal(at)
        if refusal is None:
            return None
        reason = f"{refusal.reason}: what this response holds already uses it up"
        return self._drop(at, Stage.CONTACT, reason, f"fewer choices before it; or {refusal.change}")

    def _refusal(self, at: int, beside: Sequence[int] = ()) -> Refusal | None:
        """By a contact cap that several actions share, which the response itself has used up, with some more rows."""
        plan, decision, filled = self._plan, self._decision, self._filled
        if filled.contest is None or filled.contest.gate is None:
            return None
        known = decision.question.known
        own = [row for row in self._company if row in self._own]
        places = [(one.placement.channel, choice.row) for one in self._before for choice in one.choices]
        places += [(filled.placement.channel, row) for row in (*own, *beside)]
        at_ms = milliseconds(decision.now)
        met = [*(known.contacts if known else ()), *decision.limits.reserved]
        for channel, row in places:
            met += promised(Met("impression", plan.rows[row].action_id, channel, at_ms, ""))
        verdict = plan.contact.judge(met, known.timezone if known else "", decision.now)
        return verdict.why(at, filled.placement.channel)

    def _not_whole(self, at: int) -> Dropped | None:
        """By the rest of its bundle."""
        plan, filled = self._plan, self._filled
        action = plan.rows[at].action
        others = plan.company.bundles.get(action)
        if others is None or filled.contest is None:
            return None
        company = Company(plan.company)
        for row in self._company:
            company.join(plan.rows[row].action)
        own = sum(row in self._own for row in self._company)
        left, among = filled.contest.slots - own, filled.contest.open & ~company.shut
        partners = company.partners(action, among, left)
        if partners is not None:
            return self._capped_beside(at, partners)
        if len(others) >= left:
            reason = f"its bundle needs {len(others) + 1} slots, of which {left} were left"
            return self._drop(at, Stage.COMPANY, reason, "more slots, or an earlier one for it")
        missing = [other for other in others if not among & plan.company.rows_of(other)] or others
        reasons, changes = zip(*(self._missing(other) for other in missing), strict=True)
        reason = f"its bundle would not be whole without {' and without '.join(reasons)}"
        return self._drop(at, Stage.COMPANY, reason, "; and ".join(changes))

    def _capped_beside(self, at: int, partners: Sequence[int]) -> Dropped | None:
        """By a shared cap that its bundle would break, one after the other."""
        for place, row in enumerate(partners):
            refusal = self._refusal(row, [at, *partners[:place]])
            if refusal is not None:
                name = self._plan.rows[row].action_id
                reason = f"its bundle would not be whole without {name}, which is dropped at the stage contact"
                reason += f": {refusal.reason}, which this response and the rest of the bundle use up"
                return self._drop(
                    at, Stage.COMPANY, reason, "a higher limit, a smaller bundle, or fewer choices before it"
                )
        return None

    def _missing(self, action: int) -> tuple[str, str]:
        """A member of a bundle that cannot go out: its name with why, and what would have to change for it."""
        plan, placement = self._plan, self._filled.placement
        name, rows = plan.actions[action].id, placement.rows & plan.company.rows_of(action)
        why: Dropped | None = None  # of several treatments, the one that came furthest
        for row in bits(rows):
            found = self._by_itself(row)
            if found is None:
                return name, f"{name} would have to pass as well"
            if why is None or found.stage > why.stage:
                why = found
        if why is None:
            return f"{name}, which has no treatment for {placement.id}", f"{name} would need a treatment for it"
        return f"{name}, which is dropped at the stage {why.stage.name.lower()}: {why.reason}", f"{name}: {why.change}"
