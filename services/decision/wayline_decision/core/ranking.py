"""The chance that a placement is filled in a given way, slot by slot, whoever it was that filled it so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat

from wayline_decision.core.company import Company
from wayline_decision.core.contest import Choice, Contest
from wayline_decision.core.known import Standing
from wayline_decision.core.odds import slot_distribution
from wayline_decision.core.plan import Plan


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


def slots_given(
    plan: Plan, standing: Standing, contest: Contest | None, before: Sequence[int], actions: Sequence[str], seed: int
) -> Iterator[Mapping[str, float]]:
    """For one slot after the other, with what chance each action stands in it, given those before; {}: it is empty.

    Args:
        plan: the catalogue.
        standing: how the rows stand with the customer.
        contest: the placement, and who may stand in it; None: nobody.
        before: the rows that the placements before it hold.
        actions: by which the slots are filled, the best first; those after them are empty.
        seed: of the draws, where chances have to be estimated.

    Yields:
        The chances of each slot, without end; but nothing more once the slots could not have been filled so.
    """
    company = Company(plan.company)
    for row in before:
        company.join(plan.rows[row].action)
    chosen: list[Choice] = []
    along: list[int] = []  # the rest of a bundle
    for action in chain(actions, repeat("")):
        left = 0 if contest is None else contest.slots - len(chosen)
        brought = along[:1]
        by_row: Mapping[int, float] = dict.fromkeys(brought, 1.0)
        if contest is not None and left and not brought:
            by_row = slot_distribution(plan, standing, contest, company, chosen, seed)
        yield {plan.rows[row].action_id: chance for row, chance in by_row.items()}
        found = next((row for row, chance in by_row.items() if chance and plan.rows[row].action_id == action), None)
        if found is None or contest is None:
            if by_row or action:
                return
            continue
        if brought:
            del along[0]
        else:
            along = list(company.partners(plan.rows[found].action, contest.open & ~company.shut, left) or ())
        company.join(plan.rows[found].action)
        chosen.append(Choice(found, None))
