"""Who competes for slots by lot, and what is drawn from; kept with the customer's standing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wayline_decision.core.arbitrate import per_propensity
from wayline_decision.core.bitset import indices_of
from wayline_decision.core.explore import logit, spread, thompson
from wayline_decision.core.known import Duel, Floats, Race, Standing
from wayline_decision.core.noise import Noise
from wayline_decision.core.plan import Plan

NOISE = Noise()
MAX_KEPT_RACES = 2
"""Of one customer: 2 kB each for 50 candidates."""
Singles = NDArray[np.float32]
_MOST_IN_A_DUEL = 50
_LEAST_UNIT = 1e-12


def race_of(plan: Plan, standing: Standing, among: int, *, one_each: bool, contenders: int = 0) -> Race:
    """The rows of `among` with what is drawn from; of `contenders` slots, only who can win one. 0: all."""
    race = standing.races.get((among, contenders))
    if race is None:
        rows = indices_of(among, len(plan.rows))
        actions = plan.action_of[rows]
        if one_each:  # of several treatments of an action, the first
            first = np.flatnonzero(np.diff(actions, prepend=-1))
            rows, actions = rows[first], actions[first]
        propensity = standing.propensity[actions]
        race = Race(
            rows.tolist(),
            actions.tolist(),
            standing.row_priority[rows],
            logit(propensity),
            spread(propensity, standing.evidence[actions]),
            per_propensity(plan, standing.weights)[actions].astype(np.float32),
        )
        if contenders and plan.formula is None:
            race = _with_duel(plan, _contenders(plan, race, contenders))
        if len(standing.races) >= MAX_KEPT_RACES:
            standing.races.clear()
        standing.races[among, contenders] = race
    return race


def _contenders(plan: Plan, race: Race, slots: int) -> Race:
    """Whose luckiest draw beats the unluckiest of at least all but `slots` - 1 others: nobody else ever wins a slot."""
    if len(race.rows) <= slots:
        return race
    luck = np.array([NOISE.greatest, -NOISE.greatest], np.float32)  # the sign of a draw is turned: see `thompson`
    worst, best = product(plan, race, thompson(race.logit, race.spread, np.repeat(luck, len(race.rows))))
    threshold = np.partition(worst, -slots)[-slots]
    inside = np.flatnonzero(best >= threshold)
    return Race(
        [race.rows[at] for at in inside],
        [race.actions[at] for at in inside],
        race.priority[inside],
        race.logit[inside],
        race.spread[inside],
        race.unit[inside],
    )


def _with_duel(plan: Plan, race: Race) -> Race:
    """For priorities that are a propensity times something that float32 can divide by."""
    if plan.arbitration.propensity != 1 or len(race.rows) > _MOST_IN_A_DUEL:
        return race
    if not np.all((race.unit > _LEAST_UNIT) & (race.unit < 1 / _LEAST_UNIT)):
        return race
    unit = race.unit.astype(np.float64)
    shifted = race.logit + np.log(unit)
    return race._replace(duel=Duel(race.spread.tolist(), shifted.tolist(), (1 / unit).tolist()))


def product(plan: Plan, race: Race, drawn: Singles) -> Floats:
    """[slots, K] priorities by the product formula, for drawn propensities."""
    exponent = plan.arbitration.propensity
    # A power of float32 may differ from one processor to the next.
    propensity: Any = drawn if exponent == 1 else drawn.astype(np.float64) ** exponent
    prices: Floats = propensity * race.unit
    return prices
