"""Affinities: what a customer leans to, and how it fades.

An event weighs w * 2^-(age / half life). Weights of different times can only be added up as of one time, and to move a
sum to another time rounds it. So sums are kept by half-life, each as of the start of its own, where the weight of an
event depends on the event alone; there they are added up exactly, and neither order nor merges leave a trace.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from wayline_profile.core import exact
from wayline_profile.core.buckets import bucket_at
from wayline_profile.core.evidence import Folder, State, Valued
from wayline_profile.core.limits import keep_smallest
from wayline_profile.core.properties import Occurrence

MAX_VALUES = 200
"""In one bucket: the smallest values. One that has given way never comes back."""
KEPT_HALF_LIVES = 20
"""What is older has come down to a millionth."""
# An affinity's values are sent anew when they have decayed by about one per cent.
_REFRESHES_PER_HALF_LIFE = 64
_NEGLIGIBLE_WEIGHT = 0.01


class Leaning:
    """What an affinity comes to."""

    __slots__ = ("latest_ms", "left", "weights")

    def __init__(self, weights: dict[str, float], latest_ms: int, left: float) -> None:
        """See the fields."""
        self.weights = weights
        """Value to weight as of the latest event."""
        self.latest_ms = latest_ms
        """The latest event."""
        self.left = left
        """What is left of a weight as of now."""


@dataclass(frozen=True, slots=True)
class AffinityFolder(Folder):
    """Weights that halve every `half_life_ms`: w(t) = w(t0) * 2^-((t - t0) / half life)."""

    property_name: str
    half_life_ms: int
    weights: Mapping[str, float]

    def fold(self, state: State, occurrence: Occurrence) -> None:
        """Add the event's weight to the sum of its half-life."""
        value = occurrence.text(self.property_name)
        if value is None:
            return
        timestamp_ms, half_life_ms = occurrence.timestamp_ms, self.half_life_ms
        index = timestamp_ms // half_life_ms
        decay = state.decay
        if timestamp_ms > decay.latest_ms:
            decay.latest_ms = timestamp_ms
        bucket = bucket_at(decay.buckets, index, KEPT_HALF_LIVES)
        if bucket is not None:
            since_ms = timestamp_ms - index * half_life_ms
            sums = bucket.sums
            exact.add(sums[value], self.weights.get(occurrence.name, 1.0) * math.pow(2.0, since_ms / half_life_ms))
            keep_smallest(sums, MAX_VALUES)

    def merge(self, state: State, other: State) -> None:
        """Unite half-life by half-life."""
        decay = state.decay
        decay.latest_ms = max(decay.latest_ms, other.decay.latest_ms)
        for theirs in other.decay.buckets:
            ours = bucket_at(decay.buckets, theirs.index, KEPT_HALF_LIVES)
            if ours is not None:
                for value, summed in theirs.sums.items():
                    exact.unite(ours.sums[value], summed)
                keep_smallest(ours.sums, MAX_VALUES)

    def value(self, state: State, now_ms: int) -> Valued:
        """Value to weight as of `now_ms`, without what has become negligible."""
        return self.faded(self.leaning_of(state, now_ms), now_ms)

    def leaning_of(self, state: State, now_ms: int) -> Leaning:
        """What `faded` and `top` go on from."""
        decay, half_life_ms = state.decay, self.half_life_ms
        latest_ms: int = decay.latest_ms
        buckets = decay.buckets
        weights: dict[str, float] = {}
        for at in range(len(buckets)):  # an iteration over a repeated field ends with an error, which costs more
            bucket = buckets[at]
            factor = math.pow(2.0, (bucket.index * half_life_ms - latest_ms) / half_life_ms)
            sums = bucket.sums
            for value in sums:
                weights[value] = weights.get(value, 0.0) + sums[value].sum * factor
        for value, weight in weights.items():
            # So that an event of just now weighs 1, and not a little less: rules say `>= 1.0`.
            weights[value] = exact.rounded(weight)
        age_ms = now_ms - latest_ms
        # All of it is left of an event that is yet to come.
        left = math.pow(2.0, -age_ms / half_life_ms) if age_ms > 0 else 1.0
        return Leaning(weights, latest_ms, left)

    def faded(self, leaning: Leaning, now_ms: int) -> tuple[dict[str, float], int]:
        """The weights as of `now_ms`, without what has become negligible."""
        lasting: dict[str, float] = {}
        for value, weight in leaning.weights.items():
            faded = weight * leaning.left
            if faded >= _NEGLIGIBLE_WEIGHT:
                lasting[value] = faded
        return lasting, now_ms + self.half_life_ms // _REFRESHES_PER_HALF_LIFE if lasting else 0

    def top(self, leaning: Leaning, min_weight: float) -> Valued:
        """The heaviest value that weighs at least `min_weight`, else ''. Of equal weights the smaller value."""
        heaviest, most = "", -1.0
        for value, weight in leaning.weights.items():
            if weight > most or (weight == most and value < heaviest):
                heaviest, most = value, weight
        if min_weight <= 0:
            return heaviest, 0
        if most * leaning.left < min_weight:
            return "", 0
        lasts_ms = int(self.half_life_ms * math.log2(most / min_weight)) + 1
        return heaviest, leaning.latest_ms + lasts_ms
