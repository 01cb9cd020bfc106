"""Slots: who of those that may stand in a placement stands in it, and with what chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, inf
from typing import Final

import numpy as np

from wayline.catalog.arbitration import Exploration
from wayline_decision.core.arbitrate import ranked
from wayline_decision.core.bitset import bits
from wayline_decision.core.company import Company
from wayline_decision.core.explore import pick, thompson
from wayline_decision.core.known import Duel, Floats, Race, Standing
from wayline_decision.core.noise import STEP, WORD, uniforms
from wayline_decision.core.plan import Indices, PlacementPlan, Plan
from wayline_decision.core.race import NOISE, Singles, product, race_of

GREEDY = Exploration()
_GONE = -np.inf


class Choice:
    """A row for the next slot."""

    __slots__ = ("drawn", "row", "selection_probability")

    def __init__(self, row: int, selection_probability: float | None, drawn: float | None = None) -> None:
        """Choose.

        Args:
            row: of the plan.
            selection_probability: the chance that it was to be this row, given the slots before; None: it was drawn by
                Thompson sampling.
            drawn: the propensity that was drawn.
        """
        self.row: Final = row
        self.selection_probability: Final = selection_probability
        self.drawn: Final = drawn


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


class Contest:
    """One placement to fill."""

    __slots__ = ("exploration", "forced", "gate", "open", "placement", "slots", "tiers")

    def __init__(
        self,
        placement: PlacementPlan,
        slots: int,
        open_: int,
        forced: int,
        exploration: Exploration,
        tiers: tuple[int, ...],
        gate: Callable[[Sequence[int]], int] | None = None,
    ) -> None:
        """Put together.

        Args:
            placement: that is filled.
            slots: how many, at most.
            open_: the rows that may stand in it, as a bit set.
            forced: those of them that come first, as a bit set.
            exploration: among the others.
            tiers: rows that come before those of the next tier, whatever the scores, as bit sets.
            gate: the rows, as a bit set, that the contact policy no longer lets through once these rows are promised;
                None: what is promised in one response makes no difference.
        """
        self.placement: Final = placement
        self.slots: Final = slots
        self.open: Final = open_
        self.forced: Final = forced
        self.exploration: Final = exploration
        self.tiers: Final = tiers
        self.gate: Final = gate

    def greedy(self) -> Contest:
        """The same without exploration."""
        return Contest(self.placement, self.slots, self.open, self.forced, GREEDY, self.tiers, self.gate)

    def without(self, rows: int) -> Contest:
        """The same without some rows, a bit set."""
        open_, forced = self.open & ~rows, self.forced & ~rows
        return Contest(self.placement, self.slots, open_, forced, self.exploration, self.tiers, self.gate)


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
            picks = _by_contest(plan, standing, contest, among, slots, company, dice, chosen)
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


def _by_contest(
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
