"""One decision in the making: who may compete, slots, content."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from wayline_decision.core.admission import Admission, Barred
from wayline_decision.core.arbitrate import above
from wayline_decision.core.company import Company
from wayline_decision.core.content import Contents
from wayline_decision.core.contest import Choice, Contest
from wayline_decision.core.controls import explored_in, priced_by, under
from wayline_decision.core.decision import (
    Chosen,
    Content,
    Decision,
    Filled,
    Limits,
    Prepared,
    Seen,
)
from wayline_decision.core.draw import Dice
from wayline_decision.core.known import Arithmetic, Standing
from wayline_decision.core.noise import children
from wayline_decision.core.plan import PlacementPlan, Plan, Stage
from wayline_decision.core.promises import Promises
from wayline_decision.core.recorded import as_recorded, recorded
from wayline_decision.core.score import CATALOGUE, Models
from wayline_decision.core.screen import Screened, forced, judge, screen
from wayline_decision.core.slots import fill
from wayline_decision.core.standing import standings
from wayline_decision.core.subject import Subject

_WITHOUT_TIERS = ("random", "propensity")


def _control_seeds(seed: int) -> list[int]:
    """Of an arm with propensities by lot: where the profile is used, and where it is not."""
    return children(seed, 2).tolist()  # type: ignore[no-any-return]


class _Rendered(NamedTuple):
    """A placement with its contents."""

    contest: Contest
    choices: list[Choice]
    contents: Mapping[int, Content]
    """By row, of those that have a template."""
    unrendered: int
    """The rows that were left out, as a bit set."""


class Conclusion:
    """One decision in the making."""

    __slots__ = (
        "_admission",
        "_aside",
        "_candidates",
        "_company",
        "_control",
        "_dice",
        "_failures",
        "_limits",
        "_mode",
        "_models",
        "_now",
        "_plan",
        "_promises",
        "_question",
        "_screened",
        "_standing",
        "_subject",
    )

    def __init__(self, plan: Plan, models: Models, prepared: Prepared, now: datetime, limits: Limits) -> None:
        self._plan = plan
        self._models = models
        self._question = question = prepared.question
        self._mode = prepared.mode
        self._now = now
        self._limits = limits
        self._control = question.assignment.control
        self._dice = Dice(question.seed)
        self._company = Company(plan.company)
        self._admission = Admission(plan, models, question, limits, now)
        self._promises = Promises(plan, question, limits, now) if plan.contact.pooled else None
        self._subject = prepared.subject
        self._screened = self._screen(prepared.subject)
        self._standing = prepared.standing
        self._aside: Seen | None = None
        self._candidates = 0
        self._failures: list[str] = []
        if question.recorded is not None:
            self._standing = self._as_recorded(question.recorded)
        if self._control is not None:
            self._standing = under(self._control, plan, self._standing, _control_seeds(question.seed)[0])

    def decision(self) -> Decision:
        """All placements, in the order of the request."""
        filled = [self._fill(placement, slots) for placement, slots in self._question.placements]
        return Decision(
            self._mode,
            filled,
            (*self._standing.failures, *self._failures),
            self._now,
            self._question,
            self._models,
            self._limits,
            self._admission.contact,
            self._admission.schedule,
            recorded(self._plan, self._standing, self._candidates),
        )

    def _screen(self, subject: Subject) -> Screened:
        return screen(self._plan, judge(self._plan, subject), subject)

    def _fill(self, placement: PlacementPlan, slots: int) -> Filled:
        plan, admission = self._plan, self._admission
        seen = self._seen(placement)
        refused = admission.denied(placement)
        if refused is not None:
            return Filled(placement, seen, denied=refused)
        open_, barred = admission.open(placement, seen.screened)
        self._candidates |= open_
        first = 0
        if (plan.always_forced or plan.forced_by) and self._control not in _WITHOUT_TIERS:
            first = open_ & forced(plan, seen.screened)
        if plan.floors is not None or placement.silence > 0:
            reaching = above(plan, seen.standing, placement.silence)
            barred = (*barred, (Stage.FLOOR, ~reaching & plan.everything))
            open_ &= reaching | first  # what is forced need not compete
        if not open_:
            return Filled(placement, seen, barred, quiet=admission.quiet(placement))
        gate = None if self._promises is None else self._promises.gate(placement)
        exploration = explored_in(self._control, placement.exploration)
        contest = Contest(placement, slots, open_, first, exploration, self._tiers(), gate)
        if not plan.dynamic:
            choices = fill(priced_by(plan, seen.standing), seen.standing, contest, self._company, self._dice)
            chosen = [self._chosen(one, seen.standing) for one in choices]
            filled = Filled(placement, seen, barred, chosen=chosen, contest=contest, choices=choices)
        else:
            filled = self._filled(placement, contest, seen, barred)
        if self._promises is not None:
            self._promises.add(placement, [one.row for one in filled.choices])
        return filled

    def _seen(self, placement: PlacementPlan) -> Seen:
        """What is known for a placement: where the profile may not be used, nothing of the customer."""
        if placement.personal or self._subject.known is self._plan.nobody:
            return Seen(self._subject, self._screened, self._standing)
        if self._aside is None:
            nobody = Subject(self._plan, None, self._subject.situation, self._now)
            standing = standings(self._plan, self._models, [nobody])[0]
            if self._control is not None:
                standing = under(self._control, self._plan, standing, _control_seeds(self._question.seed)[1])
            self._aside = Seen(nobody, self._screen(nobody), standing)
        return self._aside

    def _tiers(self) -> tuple[int, ...]:
        """By lot or by propensity alone, priorities of the catalogue count for nothing."""
        return (self._plan.everything,) if self._control in _WITHOUT_TIERS else self._plan.tiers

    def _filled(self, placement: PlacementPlan, contest: Contest, seen: Seen, barred: Barred) -> Filled:
        """The placement, with the contents of those rows that have a template."""
        contest, choices, contents, unrendered = self._rendered(contest, seen)
        chosen = [
            self._chosen(one, seen.standing, contents.get(one.row)) for one in choices if not unrendered >> one.row & 1
        ]
        return Filled(placement, seen, barred, chosen=chosen, contest=contest, choices=choices, unrendered=unrendered)

    def _rendered(self, contest: Contest, seen: Seen) -> _Rendered:
        """The slots filled, with the content of those rows that have a template.

        A row whose content cannot be rendered for this customer is left out, and the slots are filled without it. Where
        lots are drawn its slot stays empty: a second draw would make the chances of the first one wrong, and to render
        all candidates before would cost more than the rest of the decision.
        """
        contents = Contents(self._plan, seen.subject, self._now)
        open_ = contest.open
        while True:
            company = self._company.copy()
            choices = fill(priced_by(self._plan, seen.standing), seen.standing, contest, company, self._dice)
            broken = contents.broken(choices)
            if not broken or contest.exploration.method != "none":
                self._company = company
                self._failures += contents.failures
                return _Rendered(contest, choices, contents.by_row, open_ & ~contest.open | broken)
            contest = contest.without(broken)

    def _chosen(self, choice: Choice, standing: Standing, content: Content | None = None) -> Chosen:
        arithmetic = standing.arithmetic.get(choice.row)
        if arithmetic is None:
            arithmetic = standing.arithmetic[choice.row] = self._arithmetic(choice.row, standing)
        # The chance of those that stand by propensities by lot is known in hindsight only.
        chance = None if self._control == "random_propensity" else choice.selection_probability
        return Chosen(choice.row, arithmetic, chance, choice.drawn, content or None)

    def _arithmetic(self, row: int, standing: Standing) -> Arithmetic:
        plan, action = self._plan, self._plan.rows[row].action
        return Arithmetic(
            propensity=standing.propensity.item(action),
            context=standing.weights.item(action),
            value=plan.value.item(action),
            lever=plan.lever.item(action),
            priority=standing.row_priority.item(row),
            source=standing.sources.get(action, CATALOGUE),
            unsmoothed=standing.raw.item(action) if plan.arbitration.smoothing is not None else None,
        )

    def _as_recorded(self, kept: bytes) -> Standing:
        candidates = 0
        for placement, _ in self._question.placements:
            if self._admission.denied(placement) is None:
                candidates |= self._admission.open(placement, self._seen(placement).screened)[0]
        return as_recorded(self._plan, self._models, self._subject, self._standing, candidates, kept)
