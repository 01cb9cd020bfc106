"""The chance that a placement is filled in a given way, all its slots, whoever it was that filled it so."""

from __future__ import annotations

from collections.abc import Sequence

from wayline_decision.core.company import Company
from wayline_decision.core.known import Standing
from wayline_decision.core.odds import slot_distribution
from wayline_decision.core.plan import Plan
from wayline_decision.core.slots import Choice, Contest


def ranking_chance(
    plan: Plan, standing: Standing, contest: Contest | None, before: Sequence[int], rows: Sequence[int], seed: int
) -> float:
    """The product of the chances of the slots, and of nobody else in those that are left.

    Args:
        plan: the catalogue.
        standing: how the rows stand with the customer.
        contest: the placement, and who may stand in it; None: nobody.
        before: the rows that the placements before it hold.
        rows: that fill it, the best first.
        seed: of the draws, where chances have to be estimated.
    """
    if contest is None or len(rows) > contest.slots:
        return float(not rows)
    company = Company(plan.company)
    for row in before:
        company.join(plan.rows[row].action)
    chance = 1.0
    chosen: list[Choice] = []
    along: list[int] = []  # the rest of a bundle
    for row in rows:
        if along:
            chance *= row == along.pop(0)
        else:
            chance *= slot_distribution(plan, standing, contest, company, chosen, seed).get(row, 0.0)
            others, left = contest.open & ~company.shut, contest.slots - len(chosen)
            along = list(company.partners(plan.rows[row].action, others, left) or ())
        if not chance:
            return 0.0
        company.join(plan.rows[row].action)
        chosen.append(Choice(row, None))
    if along or (len(rows) < contest.slots and slot_distribution(plan, standing, contest, company, chosen, seed)):
        return 0.0
    return chance
