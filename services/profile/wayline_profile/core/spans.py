"""Over which time a tally is kept: ever, or in a rolling window."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from operator import attrgetter

from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.evidence import State, Valued
from wayline_profile.core.tallies import Tally

BUCKETS_PER_WINDOW = 48
_index_of = attrgetter("index")


@dataclass(frozen=True, slots=True)
class EverFolder:
    """One cell for all time."""

    tally: Tally
    field: str
    """The cell's name in the state."""

    def fold(self, state: State, event: events_pb2.Event, timestamp_ms: int) -> None:  # noqa: ARG002
        """Take it into the cell."""
        taken = self.tally.read(event)
        if taken is not None:
            self.tally.add(getattr(state, self.field), taken)

    def merge(self, state: State, other: State) -> None:
        """Unite the cells."""
        if other.HasField(self.field):
            self.tally.merge(getattr(state, self.field), getattr(other, self.field))

    def value(self, state: State, now_ms: int) -> Valued:  # noqa: ARG002
        """What the tally says."""
        return Valued(self.tally.value((getattr(state, self.field),)))


@dataclass(frozen=True, slots=True)
class WindowFolder:
    """A rolling window of `BUCKETS_PER_WINDOW` buckets, by the events' own time.

    The oldest bucket counts whole until all of it has left, so a value is exact or includes up to one forty-eighth of
    the window more: a cap built on it errs on the quiet side.
    """

    tally: Tally
    window_ms: int

    @property
    def width_ms(self) -> int:
        """The width of a bucket."""
        return -(-self.window_ms // BUCKETS_PER_WINDOW)

    def fold(self, state: State, event: events_pb2.Event, timestamp_ms: int) -> None:
        """Take it into the bucket of the event's own time."""
        taken = self.tally.read(event)
        if taken is not None:
            bucket = self._bucket(state, timestamp_ms // self.width_ms)
            if bucket is not None:
                self.tally.add(bucket, taken)

    def merge(self, state: State, other: State) -> None:
        """Unite bucket by bucket."""
        for theirs in other.buckets.buckets:
            ours = self._bucket(state, theirs.index)
            if ours is not None:
                self.tally.merge(ours, theirs)

    def value(self, state: State, now_ms: int) -> Valued:
        """What the tally says of the buckets that reach into the window."""
        buckets, width_ms = state.buckets.buckets, self.width_ms
        # In whole numbers: (index + 1) * width > now - window.
        live = buckets[bisect_left(buckets, (now_ms - self.window_ms) // width_ms, key=_index_of) :]
        return Valued(self.tally.value(live), (live[0].index + 1) * width_ms + self.window_ms if live else 0)

    def _bucket(self, state: State, index: int) -> profile_pb2.Bucket | None:
        """The bucket of an index; None when the window before the newest does not reach back to it."""
        buckets = state.buckets.buckets
        if not buckets:
            return buckets.add(index=index)
        newest = buckets[-1].index
        if newest == index:  # nearly always
            return buckets[-1]
        if index > newest:
            added = buckets.add(index=index)
            while buckets[0].index < index - BUCKETS_PER_WINDOW:
                del buckets[0]
            return added
        if index < newest - BUCKETS_PER_WINDOW:
            return None
        at = bisect_left(buckets, index, key=_index_of)
        if buckets[at].index != index:
            buckets.insert(at, profile_pb2.Bucket(index=index))
        return buckets[at]
