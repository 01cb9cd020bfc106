"""What goes in and comes out of the projection of a batch: events as read, and the one commit that they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from wayline.identity import KEY_BYTES
from wayline.v1 import events_pb2, profile_pb2

Profile = profile_pb2.Profile
RecordKey = tuple[str, bytes]
"""A kind of record (see `wayline_profile.store.records`), and a key of it."""


@dataclass(frozen=True, slots=True)
class Read:
    """One event as it was read from the stream."""

    partition: int
    sequence: int
    event: events_pb2.Event
    data: bytes


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One line of a customer's timeline, filed under the event's own foremost identifier: merges move nothing."""

    key: bytes
    timestamp_ms: int
    message_id: str
    partition: int
    sequence: int
    data: bytes


class Filed(NamedTuple):
    """A line of a timeline, as the store has it."""

    place: bytes
    """By which all lines are ordered: the identity key (16 bytes), the time, the message."""
    partition: int
    sequence: int
    data: bytes
    """The event."""

    @property
    def key(self) -> bytes:
        """The identity key that the event is filed under."""
        return self.place[:KEY_BYTES]


@dataclass(slots=True)
class Commit:
    """What one batch changes, to be written at once or not at all."""

    profiles: dict[str, Profile | None] = field(default_factory=dict)
    """By id; None: merged into another profile, or renamed."""
    identities: dict[bytes, str | None] = field(default_factory=dict)
    """Identity key to profile id; None: it leads to nobody any more."""
    message_ids: dict[str, int] = field(default_factory=dict)
    """Message id to the time it was received, in ms."""
    timeline: list[TimelineRow] = field(default_factory=list)
    records: dict[RecordKey, bytes | None] = field(default_factory=dict)
    """What else is kept, by kind and key; None: no longer."""
    erased: set[bytes] = field(default_factory=set)
    """Identity keys whose timelines are deleted, before `timeline` is written."""
    unfiled: list[TimelineRow] = field(default_factory=list)
    """Single lines that go from timelines; what is in them does not matter."""
    positions: dict[int, int] = field(default_factory=dict)
    """How far was read. Empty: no event was read, something else changes."""
    folded: int = 0
    duplicates: int = 0
    poison: int = 0
    created: int = 0
    """Customers more; negative when more were merged than came."""
    links_refused: dict[str, int] = field(default_factory=dict)
    """Why links that the batch told joined nobody, to how many did not."""

    def strangers(self) -> set[bytes]:
        """The identity keys that lead to nobody any more: whoever holds a view of them must drop it."""
        return self.erased | {key for key, profile_id in self.identities.items() if profile_id is None}

    def refuse(self, reason: str) -> None:
        """Count a link that joins nobody."""
        self.links_refused[reason] = self.links_refused.get(reason, 0) + 1
