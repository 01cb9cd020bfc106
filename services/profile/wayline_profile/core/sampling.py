"""What a sample says of all."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

_Z = 1.959964
"""Of the normal distribution, for 95 % in the middle."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """For how many of all something probably holds, and the 95 % interval."""

    number: int
    low: int
    high: int


def estimate(matched: int, judged: int, everybody: int) -> Estimate:
    """From a sample to all, by Wilson's score interval (Wilson 1927), which also holds for shares near 0 and 1.

    Args:
        matched: of the sample.
        judged: the size of the sample; where it is everybody, the number is known.
        everybody: how many there are.
    """
    if judged >= everybody:
        return Estimate(matched, matched, matched)
    if not judged:
        return Estimate(0, 0, everybody)
    share, doubt = matched / judged, _Z * _Z / judged
    middle = (share + doubt / 2) / (1 + doubt)
    spread = _Z / (1 + doubt) * sqrt(share * (1 - share) / judged + doubt / (4 * judged))
    low, high = max(0.0, middle - spread), min(1.0, middle + spread)
    # What was counted in the sample is certain.
    return Estimate(
        round(share * everybody),
        max(matched, int(low * everybody)),
        min(everybody - (judged - matched), round(high * everybody + 0.5)),
    )
