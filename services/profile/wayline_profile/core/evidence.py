"""What every kind of evidence for a trait can do: take up an event, merge, and say its value.

A state is a commutative summary: folding events in another order, or folding two halves apart and merging them, gives
the same state, byte for byte (affinities: the same up to the rounding of floating point). Sums are exact for that
reason: see `exact`.
"""

from __future__ import annotations

from typing import Any, Protocol

from wayline.v1 import events_pb2, profile_pb2

State = profile_pb2.TraitState


Valued = tuple[Any, int]
"""A value as of a time; None without evidence. From the time that follows, in ms, it may differ without any event; 0:
never. A plain pair, since more of these are made for each event than of anything else."""


class Folder(Protocol):
    """One declared trait."""

    def fold(self, state: State, event: events_pb2.Event, timestamp_ms: int) -> None:
        """Take up an event of the declared names, in place. An event without the property leaves the state alone."""

    def merge(self, state: State, other: State) -> None:
        """Take up another customer's state for the same trait, in place."""

    def value(self, state: State, now_ms: int) -> Valued:
        """The value as of `now_ms`."""
