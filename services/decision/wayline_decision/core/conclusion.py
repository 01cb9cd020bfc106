"""One decision in the making: screening, contact policy, slots, content."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from wayline.catalog.templates import RenderError
from wayline_decision.core.arbitrate import above
from wayline_decision.core.bitset import indices_of, rows_where
from wayline_decision.core.company import Company
from wayline_decision.core.consent import Denied, denied
from wayline_decision.core.contact import Met, Verdict, promised
from wayline_decision.core.controls import explored_in, priced_by, under
from wayline_decision.core.decision import (
    Chosen,
    Content,
    Decision,
    Filled,
    Limits,
    Prepared,
    Question,
    Seen,
)
from wayline_decision.core.known import Arithmetic, Standing
from wayline_decision.core.maturity import reached, share_of
from wayline_decision.core.noise import children
from wayline_decision.core.plan import Floats, PlacementPlan, Plan, Stage
from wayline_decision.core.score import CATALOGUE, Models, Scored
from wayline_decision.core.screen import Screened, eligible, forced, judge, screen
from wayline_decision.core.slots import Choice, Contest, Dice, fill
from wayline_decision.core.standing import standing_by, standings
from wayline_decision.core.subject import Subject
from wayline_decision.core.timetable import milliseconds, zone_named

_WITHOUT_TIERS = ("random", "propensity")
Barred = tuple[tuple[Stage, int], ...]


def _control_seeds(seed: int) -> list[int]:
    """Of an arm with propensities by lot: where the profile is used, and where it is not."""
    return children(seed, 2).tolist()  # type: ignore[no-any-return]


def _timezone(question: Question) -> str:
    return question.known.timezone if question.known else ""


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
        "_aside",
        "_candidates",
        "_company",
        "_contact",
        "_control",
        "_dice",
        "_failures",
        "_limits",
        "_mode",
        "_models",
        "_now",
        "_plan",
        "_promised",
        "_question",
        "_schedule",
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
        self._contact = None if plan.contact.empty else self._contact_verdict()
        self._schedule = None if plan.schedule.empty else plan.schedule.judge(now, _timezone(question))
        self._subject = prepared.subject
        self._screened = self._screen(prepared.subject)
        self._standing = prepared.standing
        self._aside: Seen | None = None
        self._candidates = 0
        self._failures: list[str] = []
        self._promised: list[Met] = []
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
            self._contact,
            self._schedule,
            self._recorded(),
        )

    def _screen(self, subject: Subject) -> Screened:
        return screen(self._plan, judge(self._plan, subject), subject)

    def _fill(self, placement: PlacementPlan, slots: int) -> Filled:
        plan = self._plan
        seen = self._seen(placement)
        refused = self._denied(placement)
        if refused is not None:
            return Filled(placement, seen, denied=refused)
        open_, barred = self._open(placement, seen.screened)
        self._candidates |= open_
        first = 0
        if (plan.always_forced or plan.forced_by) and self._control not in _WITHOUT_TIERS:
            first = open_ & forced(plan, seen.screened)
        if plan.floors is not None or placement.silence > 0:
            reaching = above(plan, seen.standing, placement.silence)
            barred = (*barred, (Stage.FLOOR, ~reaching & plan.everything))
            open_ &= reaching | first  # what is forced need not compete
        if not open_:
            quiet = self._schedule is not None and placement.channel in self._schedule.quiet
            return Filled(placement, seen, barred, quiet=quiet)
        gate = self._gate(placement) if plan.contact.pooled else None
        exploration = explored_in(self._control, placement.exploration)
        contest = Contest(placement, slots, open_, first, exploration, self._tiers(), gate)
        if not plan.dynamic:
            choices = fill(priced_by(plan, seen.standing), seen.standing, contest, self._company, self._dice)
            chosen = [self._chosen(one, seen.standing) for one in choices]
            filled = Filled(placement, seen, barred, chosen=chosen, contest=contest, choices=choices)
        else:
            filled = self._filled(placement, contest, seen, barred)
        if plan.contact.pooled:
            self._promised += self._as_promised(placement, [one.row for one in filled.choices])
        return filled

    def _denied(self, placement: PlacementPlan) -> Denied | None:
        question = self._question
        return denied(self._plan, question.known, placement, reachable=question.reachable)

    def _filled(self, placement: PlacementPlan, contest: Contest, seen: Seen, barred: Barred) -> Filled:
        """The placement, with the contents of those rows that have a template."""
        contest, choices, contents, unrendered = self._rendered(contest, seen)
        chosen = [
            self._chosen(one, seen.standing, contents.get(one.row)) for one in choices if not unrendered >> one.row & 1
        ]
        return Filled(placement, seen, barred, chosen=chosen, contest=contest, choices=choices, unrendered=unrendered)

    def _tiers(self) -> tuple[int, ...]:
        """By lot or by propensity alone, priorities of the catalogue count for nothing."""
        return (self._plan.everything,) if self._control in _WITHOUT_TIERS else self._plan.tiers

    def _rendered(self, contest: Contest, seen: Seen) -> _Rendered:
        """The slots filled, with the content of those rows that have a template.

        A row whose content cannot be rendered for this customer is left out, and the slots are filled without it. Where
        lots are drawn its slot stays empty: a second draw would make the chances of the first one wrong, and to render
        all candidates before would cost more than the rest of the decision.
        """
        contents: dict[int, Content] = {}
        open_ = contest.open
        while True:
            company = self._company.copy()
            choices = fill(priced_by(self._plan, seen.standing), seen.standing, contest, company, self._dice)
            broken = self._broken(choices, seen, contents)
            if not broken or contest.exploration.method != "none":
                self._company = company
                return _Rendered(contest, choices, contents, open_ & ~contest.open | broken)
            contest = contest.without(broken)

    def _broken(self, choices: Sequence[Choice], seen: Seen, contents: dict[int, Content]) -> int:
        """The rows whose content cannot be rendered, and the rest of their bundles, as a bit set; `contents` grows by
        those of all others.
        """
        failed: list[int] = []
        for row in (one.row for one in choices if one.row not in contents):
            content = self._content(row, seen.subject)
            if content is None:
                failed.append(row)
            else:
                contents[row] = content
        actions = {self._plan.rows[row].action for row in failed}
        actions.update(*(self._plan.company.bundles.get(action, ()) for action in tuple(actions)))
        broken = 0
        for one in choices if failed else ():
            if self._plan.rows[one.row].action in actions:
                broken |= 1 << one.row
        return broken

    def _content(self, at: int, subject: Subject) -> Content | None:
        """Rendered for this customer; {} when it is the same for everybody; None: it cannot be."""
        row = self._plan.rows[at]
        if row.template is None:
            return {}
        traits, context = subject.known.traits, subject.situation.context
        try:
            return row.template.render(traits, context, self._local(subject), _locale(self._plan, subject))
        except RenderError as error:
            self._failures.append(f"content:{row.action_id}/{row.treatment_id} failed: {error}")
            return None

    def _open(self, placement: PlacementPlan, screened: Screened) -> tuple[int, Barred]:
        """The rows that no stage before the scores drops, as a bit set, and what those other than rules drop."""
        barred = self._barred(placement)
        open_ = placement.rows & self._policies(screened)
        for _, rows in barred:
            open_ &= ~rows
        return open_, barred

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

    def _policies(self, screened: Screened) -> int:
        if self._control == "eligibility":
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
        if self._schedule is not None:
            rows = plan.everything if placement.channel in self._schedule.quiet else self._schedule.blocked
            if rows:
                barred.append((Stage.SCHEDULE, rows))
        if self._limits.exhausted:
            barred.append((Stage.BUDGET, self._limits.exhausted))
        if self._contact is not None and (rows := self._contact.blocked(placement.channel)):
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

    def _gate(self, placement: PlacementPlan) -> Callable[[Sequence[int]], int]:
        """What a shared cap lets through, once more is promised in this response."""
        known = self._question.known
        contacts = (*(known.contacts if known else ()), *self._limits.reserved, *self._promised)
        timezone = _timezone(self._question)

        def gate(rows: Sequence[int]) -> int:
            promised = self._as_promised(placement, rows)
            return self._plan.contact.judge((*contacts, *promised), timezone, self._now).blocked(placement.channel)

        return gate

    def _as_promised(self, placement: PlacementPlan, rows: Sequence[int]) -> list[Met]:
        at_ms = milliseconds(self._now)
        choices = [Met("impression", self._plan.rows[row].action_id, placement.channel, at_ms, "") for row in rows]
        return [one for choice in choices for one in promised(choice)]

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

    def _local(self, subject: Subject) -> datetime:
        """The time where the customer is; where that may not be used, by the catalogue's zone."""
        zone = zone_named(subject.known.timezone) if subject.known.timezone else None
        return self._now.astimezone(zone or ZoneInfo(self._plan.catalog.timezone))

    def _recorded(self) -> bytes:
        standing, candidates = self._standing, self._candidates
        if not standing.sources or not candidates:
            return b""
        if standing.recorded is None or standing.recorded[0] != candidates:
            standing.recorded = (candidates, standing.raw[self._actions(candidates)].astype("<f4").tobytes())
        return standing.recorded[1]

    def _actions(self, rows: int) -> Any:
        actions = self._plan.action_of[indices_of(rows, len(self._plan.rows))]
        return actions[np.diff(actions, prepend=-1) > 0]  # they ascend, as rows do

    def _as_recorded(self, recorded: bytes) -> Standing:
        """The standing by a record's propensities, which are those of the candidates.

        A record rounds to float32: what rounds to the same is the same, and has all its bits.
        """
        candidates = 0
        for placement, _ in self._question.placements:
            if self._denied(placement) is None:
                candidates |= self._open(placement, self._seen(placement).screened)[0]
        raw: Floats = self._standing.raw.copy()
        actions, given = self._actions(candidates), np.frombuffer(recorded, "<f4")
        if len(actions) != len(given):
            return self._standing  # other candidates than then: whoever compares will see it
        raw[actions] = np.where(raw[actions].astype(np.float32) == given, raw[actions], given)
        scored = Scored(raw[np.newaxis], self._standing.sources, self._standing.failures)
        return standing_by(self._plan, self._models, self._subject, scored)


def _locale(plan: Plan, subject: Subject) -> str:
    """The request's, if it says one, else the customer's: the declared context field or trait 'locale'."""
    if plan.schema.context_types.get("locale") == "string" and subject.situation.context.locale:
        return str(subject.situation.context.locale)
    if plan.schema.trait_types.get("locale") == "string":
        return str(subject.known.traits.locale)
    return ""
