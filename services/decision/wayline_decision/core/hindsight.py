"""The chances of Thompson sampling, worked out after the decision: a request does not wait for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wayline_decision.core.explore import Drawn, thompson
from wayline_decision.core.noise import Floats, Noise, children

DRAWS = 20_000
"""Of an estimate. Its standard error is sqrt(p (1 - p) / DRAWS), 0.0035 at most."""
_FAR = 6.0  # a normal is further from 0 than this once in half a billion
_NEVER = 1e-12  # what divides is not 0
_SHARPEST = 1e-6  # a smaller spread counts as this
_PANELS = 16
_WRONG = 1e-7  # of one panel; the whole is then better than 1e-4 by far
_HALVINGS = 50
_AT_ONCE = 1 << 18

# Hart's rational approximation of the normal distribution function, from G. West, 'Better approximations to cumulative
# normal functions' (2005). Highest power first.
_ABOVE = (
    3.52624965998911e-02, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871, 221.213596169931,
    220.206867912376,
)  # fmt: skip
_BELOW = (
    8.83883476483184e-02, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674, 637.333633378831,
    793.826512519948, 440.413735824752,
)  # fmt: skip


def _lobatto(nodes: int) -> tuple[Floats, Floats]:
    """The points of Gauss-Lobatto quadrature between -1 and 1, and their weights."""
    inner = np.polynomial.Legendre.basis(nodes - 1)
    points = np.concatenate(([-1.0], np.real(inner.deriv().roots()), [1.0]))
    return points, 2.0 / (nodes * (nodes - 1) * inner(points) ** 2)


_POINTS, _WEIGHTS = _lobatto(8)


def thompson_distribution(logit: Floats, spread: Floats, unit: Floats, exponent: float = 1.0) -> Floats:
    """The chance of each candidate to have the highest priority, where priority = unit x drawn propensity^exponent.

    With t the logarithm of a priority (over the exponent), and G_k(t) the chance that k's is at most t, k wins with the
    chance: integral of G_k'(t) x product of G_j(t) over all j but k. Summed over k, that is the integral of the
    derivative of H, the product of all G. So the integrals over a panel of t must add up to what H gains there. Where
    the quadrature (Gauss-Lobatto, whose nodes include the ends) says otherwise, the panel is halved: no propensity is
    too sharp.

    Args:
        logit: [K], of the propensities.
        spread: [K], as `explore.spread` gives it.
        unit: [K] what the priority would be at a propensity of 1; 0 or more.
        exponent: of the propensity; 0 or more.

    Returns:
        [K] chances, which sum to 1; the error is less than 1e-4.
    """
    found = np.zeros(len(logit))
    if exponent == 0 or not unit.any():  # nothing is drawn that matters
        found[unit.argmax()] = 1.0
        return found
    with np.errstate(divide="ignore"):
        top = np.log(unit) / exponent
    top -= top.max()
    sharp = np.maximum(spread, _SHARPEST)
    worst = top - np.logaddexp(0.0, _FAR * sharp - logit)
    best = top - np.logaddexp(0.0, -_FAR * sharp - logit)
    able = np.flatnonzero(best > worst.max())  # no other comes near the one that is the best at its worst
    race = _Race(top[able], logit[able], sharp[able])
    found[able] = race.won(float(worst.max()), float(best.max()))
    found /= found.sum()
    return found


class _Race:
    """The candidates that may win. All arrays are [K] or [K, points]."""

    def __init__(self, top: Floats, logit: Floats, spread: Floats) -> None:
        self._top, self._logit, self._spread = top[:, np.newaxis], logit[:, np.newaxis], spread[:, np.newaxis]

    def won(self, low: float, high: float) -> Floats:
        """[K] the integrals from `low` to `high`."""
        edges = np.linspace(low, high, _PANELS + 1)
        start, end = edges[:-1], edges[1:]
        total = np.zeros(len(self._top))
        for _ in range(_HALVINGS):
            half = (end - start) / 2.0
            points = (start + half)[:, np.newaxis] + half[:, np.newaxis] * _POINTS
            rate, below = self._rates(points.ravel())
            parts = (rate.reshape(-1, *points.shape) @ _WEIGHTS) * half
            below = below.reshape(points.shape)
            wrong = np.abs(parts.sum(axis=0) - (below[:, -1] - below[:, 0])) > _WRONG
            total += parts[:, ~wrong].sum(axis=1)
            start, end, middle = start[wrong], end[wrong], points[wrong].mean(axis=1)
            if not len(middle):
                break
            start, end = np.concatenate((start, middle)), np.concatenate((middle, end))
        return total

    def _rates(self, t: Floats) -> tuple[Floats, Floats]:
        """[K, points] the densities of winning at t, and [points] the chance that nobody is above t."""
        log_p = np.minimum(t - self._top, -1e-15)
        log_not_p = np.log(-np.expm1(log_p))
        z = (log_p - log_not_p - self._logit) / self._spread
        bell = np.exp(-0.5 * z * z)
        below = np.maximum(_normal_cdf(z, bell), _NEVER)
        together = below.prod(axis=0)
        density = bell / (np.sqrt(2.0 * np.pi) * self._spread * np.exp(log_not_p))
        return density * together / below, together


def _normal_cdf(z: Floats, bell: Floats) -> Floats:
    """The normal distribution function, to 1e-12; `bell` is exp(-z^2 / 2)."""
    size = np.abs(z)
    tail: Floats = bell * np.polyval(_ABOVE, size) / np.polyval(_BELOW, size)
    return np.where(z > 0, 1.0 - tail, tail)


def thompson_estimate(
    logit: Floats, spread: Floats, reprice: Callable[[Drawn], Floats], noise: Noise, seed: int
) -> Floats:
    """As `thompson_distribution`, for any formula, by drawing again DRAWS times.

    Args:
        logit: [K], of the propensities.
        spread: [K], as `explore.spread` gives it.
        reprice: [draws, K] propensities to [draws, K] priorities. Of equal ones the first wins.
        noise: the bank.
        seed: of the draws.

    Returns:
        [K] chances, which sum to 1. Every candidate counts as having won half a draw more than it did (the prior of
        Jeffreys): one that was chosen in earnest had some chance, and weights divide by it.
    """
    count = len(logit)
    wins = np.full(count, 0.5)
    seeds = children(seed, DRAWS)
    step = max(1, _AT_ONCE // count)
    for at in range(0, DRAWS, step):
        z = noise.batch(seeds[at : at + step], count)
        best = reprice(thompson(logit, spread, z)).argmax(axis=1)
        wins += np.bincount(best, minlength=count)
    wins /= wins.sum()
    return wins
