"""Over which time a tally is kept: ever, or in a rolling window."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from wayline.v1 import profile_pb2
from wayline_profile.core.buckets import bucket_at, index_of
from wayline_profile.core.evidence import Folder, State, Valued
from wayline_profile.core.properties import Occurrence
from wayline_profile.core.tallies import Tally

BUCKETS_PER_WINDOW = 48


@dataclass(frozen=True, slots=True)
class EverFolder(Folder):
    """One cell for all time."""

    tally: Tally
    cell: str
    """The cell's name in the state."""

    def fold(self, state: State, occurrence: Occurrence) -> None:
        """Take it into the cell."""
        taken = self.tally.read(occurrence)
        if taken is not None:
            self.tally.add(getattr(state, self.cell), taken)

    def merge(self, state: State, other: State) -> None:
        """Unite the cells."""
        if other.HasField(self.cell):
            self.tally.merge(getattr(state, self.cell), getattr(other, self.cell))

    def value(self, state: State, now_ms: int) -> Valued:  # noqa: ARG002
        """What the tally says."""
        return self.tally.alone(getattr(state, self.cell)), 0


@dataclass(frozen=True, slots=True)
class WindowFolder(Folder):
    """A rolling window of `BUCKETS_PER_WINDOW` buckets, by the events' own time.

    The oldest bucket counts whole until all of it has left, so a value is exact or includes up to one forty-eighth of
    the window more: a cap built on it errs on the quiet side.
    """

    tally: Tally
    window_ms: int
    width_ms: int = field(init=False)
    """The width of a bucket."""

    def __post_init__(self) -> None:
        """Work out the width."""
        object.__setattr__(self, "width_ms", -(-self.window_ms // BUCKETS_PER_WINDOW))

    def fold(self, state: State, occurrence: Occurrence) -> None:
        """Take it into the bucket of the event's own time."""
        taken = self.tally.read(occurrence)
        if taken is not None:
            bucket = bucket_at(state.buckets.buckets, occurrence.timestamp_ms // self.width_ms, BUCKETS_PER_WINDOW)
            if bucket is not None:
                self.tally.add(bucket, taken)

    def merge(self, state: State, other: State) -> None:
        """Unite bucket by bucket."""
        for theirs in other.buckets.buckets:
            ours = bucket_at(state.buckets.buckets, theirs.index, BUCKETS_PER_WINDOW)
            if ours is not None:
                self.tally.merge(ours, theirs)

    def value(self, state: State, now_ms: int) -> Valued:
        """What the tally says of the buckets that reach into the window."""
        buckets: Sequence[profile_pb2.Bucket] = state.buckets.buckets
        width_ms = self.width_ms
        # In whole numbers: (index + 1) * width > now - window.
        first = (now_ms - self.window_ms) // width_ms
        number = len(buckets)
        if not number:
            return self.tally.value(()), 0
        oldest = buckets[0]
        index = oldest.index
        if index < first:
            if number == 1 or buckets[-1].index < first:
                return self.tally.value(()), 0
            buckets = buckets[bisect_left(buckets, first, key=index_of) :]
            number, oldest = len(buckets), buckets[0]
            index = oldest.index
        value = self.tally.alone(oldest) if number == 1 else self.tally.value(buckets)
        return value, (index + 1) * width_ms + self.window_ms
