"""Affinities: what a customer leans to, and how it fades.

An event weighs w * 2^-(age / half life). Weights of different times can only be added up as of one time, and to move a
sum to another time rounds it. So sums are kept by half-life, each as of the start of its own, where the weight of an
event depends on the event alone; there they are added up exactly, and neither order nor merges leave a trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2

from wayline.v1 import events_pb2
from wayline_profile.core import exact
from wayline_profile.core.buckets import bucket_at
from wayline_profile.core.evidence import State, Valued
from wayline_profile.core.limits import keep_smallest
from wayline_profile.core.properties import text_of

MAX_VALUES = 200
"""In one bucket: the smallest values. One that has given way never comes back."""
KEPT_HALF_LIVES = 20
"""What is older has come down to a millionth."""
# An affinity's values are sent anew when they have decayed by about one per cent.
_REFRESHES_PER_HALF_LIFE = 64
_NEGLIGIBLE_WEIGHT = 0.01
_DECIMALS = 9


@dataclass(frozen=True, slots=True)
class AffinityFolder:
    """Weights that halve every `half_life_ms`: w(t) = w(t0) * 2^-((t - t0) / half life)."""

    property_name: str
    half_life_ms: int
    weights: Mapping[str, float]

    def fold(self, state: State, event: events_pb2.Event, timestamp_ms: int) -> None:
        """Add the event's weight to the sum of its half-life."""
        value = text_of(event, self.property_name)
        if value is None:
            return
        index, since_ms = divmod(timestamp_ms, self.half_life_ms)
        decay = state.decay
        decay.latest_ms = max(decay.latest_ms, timestamp_ms)
        bucket = bucket_at(decay.buckets, index, KEPT_HALF_LIVES)
        if bucket is not None:
            weight = self.weights.get(event.name, 1.0) * 2.0 ** (since_ms / self.half_life_ms)
            exact.add(bucket.sums[value], weight)
            keep_smallest(bucket.sums, MAX_VALUES)

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
        return self.faded(self.weights_of(state), state.decay.latest_ms, now_ms)

    def weights_of(self, state: State) -> dict[str, float]:
        """Value to weight as of the latest event: what `faded` and `top` go on from."""
        weights: dict[str, float] = {}
        decay, half_life_ms = state.decay, self.half_life_ms
        latest_ms = decay.latest_ms
        for bucket in decay.buckets:
            factor = 2.0 ** ((bucket.index * half_life_ms - latest_ms) / half_life_ms)
            sums = bucket.sums
            for value in sums:
                weights[value] = weights.get(value, 0.0) + sums[value].sum * factor
        # So that an event of just now weighs 1, and not a little less: rules say `>= 1.0`.
        return {value: round(weight, _DECIMALS) for value, weight in weights.items()}

    def faded(self, weights: Mapping[str, float], latest_ms: int, now_ms: int) -> Valued:
        """The weights of `latest_ms` as of `now_ms`, without what has become negligible."""
        factor = self._decay(now_ms - latest_ms)
        lasting = {
            value: faded for value, weight in weights.items() if (faded := weight * factor) >= _NEGLIGIBLE_WEIGHT
        }
        return lasting, now_ms + self.half_life_ms // _REFRESHES_PER_HALF_LIFE if lasting else 0

    def top(self, weights: Mapping[str, float], latest_ms: int, now_ms: int, min_weight: float) -> Valued:
        """The heaviest value that weighs at least `min_weight`, else ''. Of equal weights the smaller value."""
        if not weights:
            return "", 0
        weight = max(weights.values())
        heaviest = min(value for value, other in weights.items() if other == weight)
        if min_weight <= 0:
            return heaviest, 0
        if weight * self._decay(now_ms - latest_ms) < min_weight:
            return "", 0
        lasts_ms = int(self.half_life_ms * log2(weight / min_weight)) + 1
        return heaviest, latest_ms + lasts_ms

    def _decay(self, age_ms: int) -> float:
        """What is left of a weight; all of it of an event that is yet to come."""
        return float(2.0 ** (-age_ms / self.half_life_ms)) if age_ms > 0 else 1.0
