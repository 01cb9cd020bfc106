"""Slots: who of those that may stand in a placement stands in it, one slot after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wayline_decision.core.arbitrate import ranked
from wayline_decision.core.bitset import bits
from wayline_decision.core.company import Company
from wayline_decision.core.contest import Choice, Contest
from wayline_decision.core.draw import Dice, draw
from wayline_decision.core.known import Standing
from wayline_decision.core.plan import Plan


def fill(plan: Plan, standing: Standing, contest: Contest, company: Company, dice: Dice) -> list[Choice]:
    """Fill the slots of a placement, best first; `company` grows by who was chosen.

    Forced actions come first, then the tiers of the catalogue's priorities, one after the other; exploration is among
    those of one tier. Every slot is a contest of its own among those that are left, so the chance of a ranking is the
    product of its slots' chances.
    """
    chosen: list[Choice] = []
    if contest.forced:
        certain = contest.greedy()
        for tier in contest.tiers:
            _fill_from(plan, standing, certain, contest.forced & tier, company, dice, chosen)
    rest = contest.open & ~contest.forced
    for tier in contest.tiers:
        if len(chosen) >= contest.slots:
            break
        _fill_from(plan, standing, contest, rest & tier, company, dice, chosen)
    return chosen


def _fill_from(
    plan: Plan, standing: Standing, contest: Contest, rows: int, company: Company, dice: Dice, chosen: list[Choice]
) -> None:
    # Whether a bundle fits, and whom a shared cap lets through, depends on who was chosen: one slot at a time then.
    one_by_one = bool(plan.company.bundled) or contest.gate is not None
    greedy = contest.exploration.method == "none" and not contest.placement.diversity
    while (left := contest.slots - len(chosen)) > 0:
        others = contest.open & ~company.shut
        among = rows & others
        if one_by_one:
            among = fitting(plan, contest, among, left, company, chosen)
        if not among:
            return
        slots = 1 if one_by_one else left
        if greedy:
            picks = _in_order(plan, standing, contest, among, slots, company)
        else:
            picks = draw(plan, standing, contest, among, slots, company, dice, chosen)
        chosen += picks
        if not one_by_one:
            return
        for row in company.partners(plan.rows[picks[0].row].action, others, left) or ():
            company.join(plan.rows[row].action)
            chosen.append(Choice(row, 1.0))


def fitting(plan: Plan, contest: Contest, among: int, left: int, company: Company, chosen: Sequence[Choice]) -> int:
    """The rows of `among` that can go out, their bundles whole, without breaking a cap that is shared."""
    gate, promised = contest.gate, [one.row for one in chosen]
    others = contest.open & ~company.shut  # a bundle goes by its first: the rest may be of other tiers
    if gate is not None:
        among &= ~gate(promised)
    for row in bits(among & plan.company.bundled):
        partners = company.partners(plan.rows[row].action, others, left)
        if partners is None or (gate is not None and not _all_pass(gate, promised, [row, *partners])):
            among &= ~(1 << row)
    return among


def _all_pass(gate: Callable[[Sequence[int]], int], promised: Sequence[int], rows: Sequence[int]) -> bool:
    return not any(gate([*promised, *rows[:at]]) >> row & 1 for at, row in enumerate(rows))


def _in_order(
    plan: Plan, standing: Standing, contest: Contest, among: int, slots: int, company: Company
) -> list[Choice]:
    """The first rows of the ranking that the company takes."""
    enough = slots * contest.placement.most_per_action
    if plan.company.restricts:
        enough = len(plan.rows)
    picks: list[Choice] = []
    for row in ranked(plan, standing, among, enough):
        if not company.shut >> row & 1:
            picks.append(Choice(row, 1.0))
            company.join(plan.rows[row].action)
            if len(picks) == slots:
                break
    return picks
