"""Affinities: what a customer leans to, and how it fades."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2

from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.evidence import State, Valued
from wayline_profile.core.properties import text_of

MAX_WEIGHTS = 50
# An affinity's values are sent anew when they have decayed by about one per cent.
_REFRESHES_PER_HALF_LIFE = 64
_NEGLIGIBLE_WEIGHT = 0.01


@dataclass(frozen=True, slots=True)
class AffinityFolder:
    """Weights that halve every `half_life_ms`: w(t) = w(t0) * 2^-((t - t0) / half life)."""

    property_name: str
    half_life_ms: int
    weights: Mapping[str, float]

    def fold(self, state: State, event: events_pb2.Event, timestamp_ms: int) -> None:
        """Add the event's weight, decayed to the reference time."""
        value = text_of(event, self.property_name)
        if value is None:
            return
        affinity = state.affinity
        self._refer(affinity, timestamp_ms)
        weight = self.weights.get(event.name, 1.0)
        affinity.weights[value] += weight * self._decay(affinity.reference_ms - timestamp_ms)
        self._limit(affinity)

    def merge(self, state: State, other: State) -> None:
        """Add up at the later reference time."""
        affinity = state.affinity
        self._refer(affinity, other.affinity.reference_ms)
        factor = self._decay(affinity.reference_ms - other.affinity.reference_ms)
        for value, weight in sorted(other.affinity.weights.items()):
            affinity.weights[value] += weight * factor
        self._limit(affinity)

    def value(self, state: State, now_ms: int) -> Valued:
        """Value to weight as of `now_ms`, without what has become negligible."""
        factor = self._decay(max(0, now_ms - state.affinity.reference_ms))
        weights = {
            value: weight * factor
            for value, weight in state.affinity.weights.items()
            if weight * factor >= _NEGLIGIBLE_WEIGHT
        }
        return Valued(weights, now_ms + self.half_life_ms // _REFRESHES_PER_HALF_LIFE if weights else 0)

    def top(self, state: State, now_ms: int, min_weight: float) -> Valued:
        """The heaviest value that weighs at least `min_weight`, else ''. Of equal weights the smaller value."""
        weights = state.affinity.weights
        if not weights:
            return Valued("")
        heaviest = min(weights, key=lambda value: (-weights[value], value))
        age_ms = max(0, now_ms - state.affinity.reference_ms)
        if weights[heaviest] * self._decay(age_ms) < min_weight:
            return Valued("")
        if min_weight <= 0:
            return Valued(heaviest)
        lasts_ms = int(self.half_life_ms * log2(weights[heaviest] / min_weight)) + 1
        return Valued(heaviest, state.affinity.reference_ms + lasts_ms)

    def _refer(self, affinity: profile_pb2.Affinity, timestamp_ms: int) -> None:
        if timestamp_ms > affinity.reference_ms:
            factor = self._decay(timestamp_ms - affinity.reference_ms)
            # From a copy: a protobuf map that is written to while it is walked may give a key twice, or not at all.
            for value, weight in list(affinity.weights.items()):
                affinity.weights[value] = weight * factor
            affinity.reference_ms = timestamp_ms

    def _decay(self, age_ms: int) -> float:
        return float(2.0 ** (-age_ms / self.half_life_ms))

    def _limit(self, affinity: profile_pb2.Affinity) -> None:
        while len(affinity.weights) > MAX_WEIGHTS:
            del affinity.weights[min(affinity.weights, key=lambda value: (affinity.weights[value], value))]
