"""The chances of a slot, worked out after the decision: of all who might have won it, not of the winner alone.

What was given to the slots before counts as given, as in `Selection.selection_probability`. A forced action, and who
comes along with a bundle, has the chance 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from wayline.catalog.arbitration import Exploration
from wayline_decision.core.arbitrate import priorities
from wayline_decision.core.company import Company
from wayline_decision.core.contest import GREEDY, Choice, Contest
from wayline_decision.core.controls import priced_by
from wayline_decision.core.decision import Decision, Filled
from wayline_decision.core.draw import variety_of
from wayline_decision.core.explore import Drawn, distribution
from wayline_decision.core.hindsight import DRAWS, thompson_distribution, thompson_estimate
from wayline_decision.core.known import Floats, Race, Standing
from wayline_decision.core.noise import children
from wayline_decision.core.plan import Plan
from wayline_decision.core.race import NOISE, race_of
from wayline_decision.core.slots import fitting

_UNIT = 2.0**-53
_AT_ONCE = 100
Chances = Mapping[int, float]
"""Row to its chance; they sum to 1. Empty: nobody could have won."""


def first_slot_distribution(
    plan: Plan, standing: Standing, contest: Contest, before: Sequence[int] = (), seed: int = 0
) -> Chances:
    """The chances of the first slot of a placement, under every method of exploration.

    Args:
        plan: the catalogue.
        standing: how the rows stand with the customer.
        contest: the placement, and who may stand in it.
        before: the rows that the placements before it hold.
        seed: of the draws, where the chances have to be estimated: Thompson sampling under a formula.
    """
    return slot_distribution(plan, standing, contest, _company(plan, before), (), seed)


def slot_distribution(
    plan: Plan, standing: Standing, contest: Contest, company: Company, chosen: Sequence[Choice], seed: int
) -> Chances:
    """The chances of the next slot of a placement.

    Args:
        plan: the catalogue.
        standing: how the rows stand with the customer.
        contest: the placement, and who may stand in it.
        company: what the response holds so far, `chosen` included.
        chosen: what the placement holds so far.
        seed: as above.
    """
    plan = priced_by(plan, standing)
    among, exploration = _candidates(plan, contest, company, chosen)
    if not among:
        return {}
    race = race_of(plan, standing, among, one_each=contest.placement.most_per_action > 1)
    diversity = contest.placement.diversity
    variety = np.ones(len(race.rows))
    if diversity:
        variety = variety_of(plan, plan.group_of[race.actions], diversity, chosen)
    if exploration.method == "thompson":
        chances = _thompson(plan, standing, race, variety, seed)
    else:
        chances = distribution(exploration, race.priority * variety)
    return dict(zip(race.rows, chances.tolist(), strict=True))


def selection_probabilities(plan: Plan, decision: Decision) -> list[dict[int, float]]:
    """By placement: the chances of the rows in its slots, where the method gives them in hindsight only.

    In the control arm 'random_propensity' one draw stands for all slots: only the first slot has a chance that can be
    told by itself.
    """
    found: list[dict[int, float]] = []
    before: list[int] = []
    by_lot = decision.assignment.control == "random_propensity"
    for filled in decision.placements:
        chances: dict[int, float] = {}
        if by_lot and not before:
            chances = _by_random_propensity(plan, decision, filled)
        elif not by_lot:
            chances = _of_slots(plan, decision, filled, before)
        found.append(chances)
        before += [one.row for one in filled.choices]
    return found


def _of_slots(plan: Plan, decision: Decision, filled: Filled, before: Sequence[int]) -> dict[int, float]:
    chances: dict[int, float] = {}
    company = _company(plan, before)
    for slot, choice in enumerate(filled.choices):
        if choice.selection_probability is None and filled.contest is not None:
            chosen, seed = filled.choices[:slot], decision.question.seed
            chances[choice.row] = slot_distribution(plan, filled.standing, filled.contest, company, chosen, seed)[
                choice.row
            ]
        company.join(plan.rows[choice.row].action)
    return chances


def _company(plan: Plan, rows: Sequence[int]) -> Company:
    company = Company(plan.company)
    for row in rows:
        company.join(plan.rows[row].action)
    return company


def _candidates(plan: Plan, contest: Contest, company: Company, chosen: Sequence[Choice]) -> tuple[int, Exploration]:
    """Among whom the next slot is drawn, and how: as `slots.fill` goes about it."""
    rest = contest.open & ~contest.forced
    left = contest.slots - len(chosen)
    contests = [(contest.forced & tier, GREEDY) for tier in contest.tiers]
    contests += [(rest & tier, contest.exploration) for tier in contest.tiers]
    for rows, exploration in contests:
        among = rows & ~company.shut
        if plan.company.bundled or contest.gate is not None:
            among = fitting(plan, contest, among, left, company, chosen)
        if among:
            return among, exploration
    return 0, GREEDY


def _thompson(plan: Plan, standing: Standing, race: Race, variety: Floats, seed: int) -> Floats:
    formula = plan.formula
    if formula is None:
        return thompson_distribution(race.logit, race.spread, race.unit * variety, plan.arbitration.propensity)
    weights, value, lever = (one[race.actions] for one in (standing.weights, plan.value, plan.lever))

    def reprice(drawn: Drawn) -> Floats:
        return formula(drawn.astype(np.float64), weights, value, lever) * variety

    return thompson_estimate(race.logit, race.spread, reprice, NOISE, seed)


def _by_random_propensity(plan: Plan, decision: Decision, filled: Filled) -> dict[int, float]:
    """Of the first slot: shares of further draws. Who won has at least half a draw, as in `thompson_estimate`."""
    if filled.contest is None or not filled.choices:
        return {}
    contest, weights = filled.contest, filled.standing.weights
    among = _candidates(plan, contest, _company(plan, ()), ())[0]
    race = race_of(plan, filled.standing, among, one_each=contest.placement.most_per_action > 1)
    winner = race.rows.index(filled.choices[0].row)
    if contest.forced >> race.rows[winner] & 1:
        return {race.rows[winner]: 1.0}
    width = len(plan.actions)
    wins = 0.5
    for seed in children(decision.question.seed, DRAWS // _AT_ONCE).tolist():
        drawn: Floats = (children(seed, _AT_ONCE * width) >> np.uint64(11)).astype(np.float64).reshape(
            -1, width
        ) * _UNIT
        best = priorities(plan, drawn, weights)[:, race.actions].argmax(axis=1)
        wins += np.count_nonzero(best == winner)
    return {race.rows[winner]: wins / (DRAWS + 0.5 * len(race.rows))}
