"""Exploration: which candidate fills a slot, and with what chance. The formulas are explained in docs/exploration.md.

Slots are filled one after the other, each from the candidates that are left. The chances here are those of one slot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wayline.catalog.arbitration import Exploration
from wayline_decision.core.noise import Floats

Drawn = NDArray[np.float32]

CERTAIN = 1e-6
"""Propensities are held this far from 0 and 1, where the logit is infinite."""
PRIOR_PRECISION = 1.0
"""Of a propensity's logit, before any response: one standard deviation is one logit, so that 5 % without evidence is
mostly drawn between 0.7 % and 27 %. A prior of N(0, 1) is the usual one for a logistic regression's weights.
"""


def logit(propensity: Floats) -> Floats:
    """ln(p / (1 - p)), element by element.

    Args:
        propensity: [...] chances, of any float type.
    """
    p = _uncertain(propensity)
    return np.log(p / (1.0 - p))


def spread(propensity: Floats, evidence: Floats) -> Floats:
    """The standard deviation of a propensity's logit: 1 / sqrt(n p (1 - p) + PRIOR_PRECISION).

    That is the Laplace approximation of a logistic regression's posterior: Chapelle and Li, 'An empirical evaluation of
    Thompson sampling' (2011), algorithm 3, with one weight. For many responses it is the spread of a beta posterior.

    Args:
        propensity: [...] chances.
        evidence: [...] the responses that they rest on. Less than 0 and what is no number count as 0.
    """
    p = _uncertain(propensity)
    precision = p * (1.0 - p)
    precision *= np.fmax(evidence, 0.0)
    precision += PRIOR_PRECISION
    np.sqrt(precision, out=precision)
    return np.reciprocal(precision, out=precision)


def _uncertain(propensity: Floats) -> Floats:
    p: Floats = np.maximum(propensity, CERTAIN, dtype=np.float64)
    return np.minimum(p, 1.0 - CERTAIN, out=p)


def thompson(logit: Floats, spread: Floats, noise: Floats) -> Drawn:
    """Propensities drawn from their posteriors: 1 / (1 + exp(spread z - logit)), which falls as z grows.

    The sign of z makes no difference to what is drawn how often, and this one saves a pass.

    Args:
        logit: [T], or [customers, 1, T].
        spread: likewise.
        noise: standard normals, [slots x T], or [customers, slots, T].

    Returns:
        [slots, T], or [customers, slots, T]. Each slot has a draw of its own. Exponentials differ in their last bits
        from one processor to the next; as float32 the draws do not, and a replay elsewhere finds them again.
    """
    drawn = (noise.reshape(-1, len(logit)) if noise.ndim == 1 else noise) * spread
    drawn -= logit
    np.exp(drawn, out=drawn)
    drawn += 1.0
    return np.reciprocal(drawn, out=drawn).astype(np.float32)


def distribution(exploration: Exploration, priority: Floats) -> Floats:
    """[K] the chance of each candidate to fill the slot. They sum to 1.

    Args:
        exploration: any method but Thompson sampling, whose chances do not follow from priorities: see `hindsight`.
        priority: [K] finite, 0 or more. Of equal ones the first counts as the best.

    Raises:
        ValueError: for Thompson sampling.
    """
    best = int(priority.argmax())
    match exploration.method:
        case "none":
            chances = np.zeros(len(priority))
            chances[best] = 1.0
        case "epsilon_greedy":
            chances = np.full(len(priority), exploration.epsilon / len(priority))
            chances[best] += 1.0 - exploration.epsilon
        case "squarecb":
            chances = _inverse_gaps(exploration.gamma, priority, best)
            chances[best] = 1.0 - float(chances.sum())
        case _:
            raise ValueError(f"the chances of {exploration.method} do not follow from priorities")
    return chances


def pick(exploration: Exploration, priority: Floats, uniform: float) -> tuple[int, float]:
    """Draw a candidate from `distribution`, and give its chance, without working out those of all where possible.

    Args:
        exploration: any method but Thompson sampling.
        priority: [K] as for `distribution`; K is at least 1.
        uniform: the lot, from 0 up to, but not including, 1.

    Returns:
        The candidate's index, and the chance with which it was drawn.

    Raises:
        ValueError: for Thompson sampling.
    """
    best = int(priority.argmax())
    match exploration.method:
        case "none":
            return best, 1.0
        case "epsilon_greedy":
            return _pick_epsilon_greedy(exploration.epsilon, len(priority), best, uniform)
        case "squarecb":
            return _pick_squarecb(exploration.gamma, priority, best, uniform)
        case _:
            raise ValueError(f"the chances of {exploration.method} do not follow from priorities")


def _pick_epsilon_greedy(epsilon: float, count: int, best: int, uniform: float) -> tuple[int, float]:
    index = int(uniform / epsilon * count) if uniform < epsilon else best
    by_lot = epsilon / count
    return index, by_lot + (1.0 - epsilon) if index == best else by_lot


def _pick_squarecb(gamma: float, priority: Floats, best: int, uniform: float) -> tuple[int, float]:
    """Each has a turn with chance 1 / K, and takes it with chance K / (K + gamma x gap): the product is its own.

    The best takes the turns that are left. The whole part of uniform x K says whose turn it is, and the rest whether it
    is taken.
    """
    count = len(priority)
    turn = uniform * count
    index = int(turn)
    if index != best:
        weight = count + gamma * _gap(priority.item(index), priority.item(best))
        if (turn - index) * weight < count:
            return index, 1.0 / weight
    return best, 1.0 - float(_inverse_gaps(gamma, priority, best).sum())


def _gap(priority: float, best: float) -> float:
    return 1.0 - priority / best if best > 0 else 0.0


def _inverse_gaps(gamma: float, priority: Floats, best: int) -> Floats:
    """[K] 1 / (K + gamma x gap), and 0 for the best."""
    top = priority.item(best)
    if top > 0:
        weights = priority / top
        weights *= -gamma
        weights += len(priority) + gamma
    else:
        weights = np.full(len(priority), float(len(priority)))
    np.reciprocal(weights, out=weights)
    weights[best] = 0.0
    return weights
