"""Slots that are drawn for: who wins them among the candidates, and with what chance."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf

import numpy as np

from wayline.catalog.arbitration import Exploration
from wayline_decision.core.company import Company
from wayline_decision.core.contest import Choice, Contest
from wayline_decision.core.explore import pick, thompson
from wayline_decision.core.known import Duel, Floats, Race, Standing
from wayline_decision.core.noise import STEP, WORD, uniforms
from wayline_decision.core.plan import Indices, Plan
from wayline_decision.core.race import NOISE, Singles, product, race_of

_GONE = -np.inf


class Dice:
    """A seed for each time that something is drawn for one decision."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        """Begin with the decision's seed."""
        self._state = seed

    def roll(self) -> int:
        """The next seed, 64 bits."""
        self._state = (self._state + STEP) & WORD
        return self._state


def draw(
    plan: Plan,
    standing: Standing,
    contest: Contest,
    among: int,
    slots: int,
    company: Company,
    dice: Dice,
    chosen: Sequence[Choice],
) -> list[Choice]:
    """Slot by slot, whoever wins among those that are left."""
    exploration, placement = contest.exploration, contest.placement
    # Where a choice shuts out nobody else, those who cannot win even with the luckiest draw need none.
    alone = exploration.method == "thompson" and not placement.diversity and not plan.company.restricts
    race = race_of(plan, standing, among, one_each=placement.most_per_action > 1, contenders=slots if alone else 0)
    slots = min(slots, len(race.rows))
    if race.duel is not None:
        return _winners(race, race.duel, NOISE.normals(dice.roll(), slots * len(race.rows)), company)
    drawn, prices, lots = _draws(plan, standing, race, exploration, slots, dice.roll())
    groups = plan.group_of[race.actions]
    variety = variety_of(plan, groups, placement.diversity, chosen) if placement.diversity else None
    gone: list[int] = []
    picks: list[Choice] = []
    for slot in range(slots):
        if len(gone) == len(race.rows):
            break
        price = race.priority if prices is None else prices[slot]
        if variety is not None:
            price = price * variety
        if lots is not None:
            at, chance = _by_lot(exploration, price, gone, lots[slot])
            picks.append(Choice(race.rows[at], chance))
        else:
            if gone:
                price = price.copy() if prices is None and variety is None else price
                price[gone] = _GONE
            at = int(price.argmax())
            picks.append(Choice(race.rows[at], *((1.0,) if drawn is None else (None, drawn.item(slot, at)))))
        gone += _join(plan, race, at, company, among)
        if variety is not None:
            variety[groups == groups[at]] *= 1.0 - placement.diversity
    return picks


def _winners(race: Race, duel: Duel, noise: Floats, company: Company) -> list[Choice]:
    """Slot by slot, who has the least of 1 / priority; see `Duel`, and `explore.thompson` for the same on arrays."""
    rows, actions = race.rows, race.actions
    spread, shifted, inverse = duel.spread, duel.shifted, duel.inverse
    normals: list[float] = noise.tolist()
    left = list(range(len(rows)))
    picks: list[Choice] = []
    for first in range(0, len(normals), len(rows)):
        winner, least = left[0], inf
        for at in left:
            cost = inverse[at] + exp(spread[at] * normals[first + at] - shifted[at])
            if cost < least:
                winner, least = at, cost
        left.remove(winner)
        company.join(actions[winner])
        picks.append(Choice(rows[winner], None, inverse[winner] / least))
    return picks


def _by_lot(exploration: Exploration, price: Floats, gone: Sequence[int], lot: float) -> tuple[int, float]:
    if not gone:
        return pick(exploration, price, lot)
    left = np.delete(np.arange(len(price)), gone)
    found, chance = pick(exploration, price[left], lot)
    return int(left[found]), chance


def _draws(
    plan: Plan, standing: Standing, race: Race, exploration: Exploration, slots: int, seed: int
) -> tuple[Singles | None, Floats | None, Sequence[float] | None]:
    """What is drawn for so many slots: [slots, K] propensities and priorities, or one number for each slot."""
    if exploration.method == "thompson":
        drawn = thompson(race.logit, race.spread, NOISE.normals(seed, slots * len(race.rows)))
        return drawn, _priced(plan, standing, race, drawn), None
    if exploration.method == "none":
        return None, None, None
    return None, None, uniforms(seed, slots)


def variety_of(plan: Plan, groups: Indices, diversity: float, chosen: Sequence[Choice]) -> Floats:
    """[K] by how much the groups that the placement holds already lower priorities."""
    variety = np.ones(len(groups))
    for one in chosen:
        variety[groups == plan.actions[plan.rows[one.row].action].group] *= 1.0 - diversity
    return variety


def _join(plan: Plan, race: Race, at: int, company: Company, among: int) -> list[int]:
    """Who is out of the race now that candidate `at` was chosen: it, and whom it excludes."""
    before = company.shut
    company.join(race.actions[at])
    if not plan.company.restricts:
        return [at]
    newly = company.shut & ~before & among
    return [place for place, row in enumerate(race.rows) if newly >> row & 1]


def _priced(plan: Plan, standing: Standing, race: Race, drawn: Singles) -> Floats:
    """[slots, K] the priorities that drawn propensities come to."""
    if plan.formula is not None:
        actions = race.actions
        return plan.formula(
            drawn.astype(np.float64), standing.weights[actions], plan.value[actions], plan.lever[actions]
        )
    return product(plan, race, drawn)
