"""How each kind of declared trait takes up an event, merges, and says its value.

A state is a commutative summary: folding events in another order, or folding two halves apart and merging them, gives
the same state (affinities: the same up to the rounding of floating point).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from math import log2
from typing import Any, NamedTuple, Protocol

from google.protobuf import struct_pb2

from wayline.catalog.fields import Default
from wayline.catalog.model import (
    AffinityTrait,
    Catalog,
    CountTrait,
    DistinctTrait,
    MomentTrait,
    SumTrait,
)
from wayline.v1 import events_pb2, profile_pb2

MAX_DISTINCT = 1_000
MAX_WEIGHTS = 50
BUCKETS_PER_WINDOW = 48
# An affinity's values are sent anew when they have decayed by about one per cent.
_REFRESHES_PER_HALF_LIFE = 64
_NEGLIGIBLE_WEIGHT = 0.01

State = profile_pb2.TraitState


class Valued(NamedTuple):
    """A value as of a time. `until_ms`: from then on it may differ without any event; 0 means never."""

    value: Any
    until_ms: int = 0


class Folder(Protocol):
    """One declared trait."""

    def fold(self, state: State, event: events_pb2.Event, timestamp_ms: int) -> None:
        """Take up an event of the declared names, in place. An event without the property leaves the state alone."""

    def merge(self, state: State, other: State) -> None:
        """Take up another customer's state for the same trait, in place."""

    def value(self, state: State, now_ms: int) -> Valued:
        """The value as of `now_ms`."""


@dataclass(frozen=True, slots=True)
class TotalFolder:
    """count and sum, ever."""

    property_name: str | None

    def fold(self, state: State, event: events_pb2.Event, timestamp_ms: int) -> None:  # noqa: ARG002
        """One event more, and its amount."""
        amount = _amount(event, self.property_name)
        if amount is not None:
            state.total.count += 1
            state.total.sum += amount

    def merge(self, state: State, other: State) -> None:
        """Add up."""
        state.total.count += other.total.count
        state.total.sum += other.total.sum

    def value(self, state: State, now_ms: int) -> Valued:  # noqa: ARG002
        """The sum of the property, or the number of events."""
        return Valued(state.total.count if self.property_name is None else state.total.sum)


@dataclass(frozen=True, slots=True)
class MomentFolder:
    """The first or last value, by the event's own time; the message id breaks ties."""

    property_name: str
    first: bool
    type: str
    default: Default | None

    def fold(self, state: State, event: events_pb2.Event, timestamp_ms: int) -> None:
        """Keep the earlier, or the later."""
        if self.property_name in event.properties.fields and self._precedes(state, timestamp_ms, event.message_id):
            state.moment.value.CopyFrom(event.properties.fields[self.property_name])
            state.moment.timestamp_ms = timestamp_ms
            state.moment.message_id = event.message_id

    def merge(self, state: State, other: State) -> None:
        """Keep the earlier, or the later."""
        if self._precedes(state, other.moment.timestamp_ms, other.moment.message_id):
            state.moment.CopyFrom(other.moment)

    def value(self, state: State, now_ms: int) -> Valued:  # noqa: ARG002
        """The value, if it is of the declared type."""
        return Valued(typed(state.moment.value, self.type, self.default))

    def _precedes(self, state: State, timestamp_ms: int, message_id: str) -> bool:
        if not state.HasField("moment"):
            return True
        held = (state.moment.timestamp_ms, state.moment.message_id)
        return (timestamp_ms, message_id) < held if self.first else (timestamp_ms, message_id) > held


@dataclass(frozen=True, slots=True)
class DistinctFolder:
    """Different values, ever. At the limit the smallest are kept, whatever their order."""

    property_name: str

    def fold(self, state: State, event: events_pb2.Event, timestamp_ms: int) -> None:  # noqa: ARG002
        """Take the value into the set."""
        value = text_of(event, self.property_name)
        if value is not None:
            _insert(state.values.values, value)

    def merge(self, state: State, other: State) -> None:
        """Unite."""
        for value in other.values.values:
            _insert(state.values.values, value)

    def value(self, state: State, now_ms: int) -> Valued:  # noqa: ARG002
        """How many."""
        return Valued(len(state.values.values))


@dataclass(frozen=True, slots=True)
class WindowFolder:
    """count, sum and distinct within a rolling window of `BUCKETS_PER_WINDOW` buckets.

    The oldest bucket counts whole until all of it has left, so a value is exact or includes up to one forty-eighth of
    the window more: a cap built on it errs on the quiet side.
    """

    property_name: str | None
    window_ms: int
    distinct: bool = False

    @property
    def width_ms(self) -> int:
        """The width of a bucket."""
        return -(-self.window_ms // BUCKETS_PER_WINDOW)

    def fold(self, state: State, event: events_pb2.Event, timestamp_ms: int) -> None:
        """Take it into the bucket of the event's own time."""
        if self.distinct:
            value = text_of(event, self.property_name or "")
            if value is None:
                return
            _insert(self._bucket(state, timestamp_ms // self.width_ms).values, value)
        else:
            amount = _amount(event, self.property_name)
            if amount is None:
                return
            bucket = self._bucket(state, timestamp_ms // self.width_ms)
            bucket.count += 1
            bucket.sum += amount
        self._prune(state)

    def merge(self, state: State, other: State) -> None:
        """Add up bucket by bucket."""
        for theirs in other.buckets.buckets:
            ours = self._bucket(state, theirs.index)
            ours.count += theirs.count
            ours.sum += theirs.sum
            for value in theirs.values:
                _insert(ours.values, value)
        self._prune(state)

    def value(self, state: State, now_ms: int) -> Valued:
        """Over the buckets that reach into the window."""
        live = [b for b in state.buckets.buckets if (b.index + 1) * self.width_ms > now_ms - self.window_ms]
        until_ms = (live[0].index + 1) * self.width_ms + self.window_ms if live else 0
        if self.distinct:
            return Valued(min(MAX_DISTINCT, len({value for b in live for value in b.values})), until_ms)
        if self.property_name is None:
            return Valued(sum(b.count for b in live), until_ms)
        return Valued(float(sum(b.sum for b in live)), until_ms)

    def _bucket(self, state: State, index: int) -> profile_pb2.Bucket:
        buckets = state.buckets.buckets
        if buckets and buckets[-1].index == index:  # nearly always
            return buckets[-1]
        at = bisect_left([b.index for b in buckets], index)
        if at == len(buckets) or buckets[at].index != index:
            buckets.insert(at, profile_pb2.Bucket(index=index))
        return buckets[at]

    def _prune(self, state: State) -> None:
        buckets = state.buckets.buckets
        oldest = buckets[-1].index - BUCKETS_PER_WINDOW
        while buckets[0].index < oldest:
            del buckets[0]


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


def folder_of(trait: Any) -> Folder | None:
    """The folder of a declaration; None for those without a state of their own (attribute, top)."""
    match trait:
        case CountTrait(window=None):
            return TotalFolder(None)
        case SumTrait(window=None):
            return TotalFolder(trait.property)
        case CountTrait():
            return WindowFolder(None, (trait.window or 0) * 1_000)
        case SumTrait():
            return WindowFolder(trait.property, (trait.window or 0) * 1_000)
        case MomentTrait():
            return MomentFolder(trait.property, trait.kind == "first", trait.type, trait.default)
        case DistinctTrait(window=None):
            return DistinctFolder(trait.property)
        case DistinctTrait():
            return WindowFolder(trait.property, (trait.window or 0) * 1_000, distinct=True)
        case AffinityTrait():
            return AffinityFolder(trait.property, trait.half_life * 1_000, trait.weights)
        case _:
            return None


def folders_of(catalog: Catalog) -> dict[str, Folder]:
    """Every trait with a state, by name."""
    return {name: folder for name, trait in catalog.traits.items() if (folder := folder_of(trait))}


def typed(value: struct_pb2.Value, type_name: str, default: Default | None) -> Any:
    """A JSON value as a declared type; `default` (None: the type's own zero) when it is of another type."""
    kind = value.WhichOneof("kind")
    if type_name == "string" and kind == "string_value":
        return value.string_value
    if type_name == "number" and kind == "number_value":
        return value.number_value
    if type_name == "integer" and kind == "number_value" and value.number_value.is_integer():
        return int(value.number_value) if abs(value.number_value) < 2**63 else default
    if type_name == "boolean" and kind == "bool_value":
        return value.bool_value
    return default


def text_of(event: events_pb2.Event, name: str) -> str | None:
    """A property as text; None when it is missing, empty, or neither text, number nor boolean."""
    if name not in event.properties.fields:
        return None
    value = event.properties.fields[name]
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value[:256] or None
        case "number_value":
            return repr(value.number_value)
        case "bool_value":
            return str(value.bool_value).lower()
        case _:
            return None


def _amount(event: events_pb2.Event, name: str | None) -> float | None:
    if name is None:
        return 0.0
    if name not in event.properties.fields:
        return None
    value = event.properties.fields[name]
    return value.number_value if value.HasField("number_value") else None


def _insert(values: Any, value: str) -> None:
    """Into a sorted repeated field, once; at the limit the greatest gives way."""
    at = bisect_left(values, value)
    if at < len(values) and values[at] == value:
        return
    values.insert(at, value)
    if len(values) > MAX_DISTINCT:
        del values[-1]
