"""What every kind of evidence for a trait can do: take up an event, merge, and say its value.

A state is a commutative summary: folding events in another order, or folding two halves apart and merging them, gives
the same state, byte for byte (affinities: the same up to the rounding of floating point). Sums are exact for that
reason: see `exact`.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

from wayline.v1 import profile_pb2
from wayline_profile.core.properties import Occurrence

State = profile_pb2.TraitState


Valued = tuple[Any, int]
"""A value as of a time; None without evidence. From the time that follows, in ms, it may differ without any event; 0:
never. A plain pair, since more of these are made for each event than of anything else."""


class Folder(metaclass=ABCMeta):
    """One declared trait. A class to inherit from and no protocol: once compiled, its calls are cheaper."""

    __slots__ = ()

    @abstractmethod
    def fold(self, state: State, occurrence: Occurrence) -> None:
        """Take up an event of the declared names, in place. An event without the property leaves the state alone."""

    @abstractmethod
    def merge(self, state: State, other: State) -> None:
        """Take up another customer's state for the same trait, in place."""

    @abstractmethod
    def value(self, state: State, now_ms: int) -> Valued:
        """The value as of `now_ms`."""
