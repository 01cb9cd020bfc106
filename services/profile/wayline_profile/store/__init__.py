"""The port of the profile store."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from wayline.errors import WaylineError
from wayline.v1 import profile_pb2
from wayline_profile.core.projector import Commit


class PositionMoved(WaylineError):
    """Someone else has committed to this store: this process must not write on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What the store has seen since it was made."""

    profiles: int
    folded: int
    duplicates: int
    poison: int


class ProfileStore(Protocol):
    """Profiles, identifiers, message ids, timelines and positions. What is unknown is left out; that is no error."""

    def positions(self) -> dict[int, int]:
        """Partition to the last sequence that is folded."""

    def counters(self) -> Counters:
        """What was counted, as of the last commit."""

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """Identity keys to profile ids."""

    def get_many(self, profile_ids: Collection[str]) -> dict[str, profile_pb2.Profile]:
        """Profiles by id. The caller owns the messages."""

    def seen(self, message_ids: Collection[str]) -> set[str]:
        """Those of the message ids that were folded before, within the time that they are remembered."""

    def timeline(
        self, keys: Collection[bytes], *, limit: int, before_ms: int | None = None
    ) -> list[profile_pb2.TimelineEntry]:
        """The newest events filed under any of the identity keys, newest first."""

    def profiles(self) -> Iterator[profile_pb2.Profile]:
        """Every profile, by ascending id."""

    def commit(self, commit: Commit) -> None:
        """Write a commit, all of it or nothing.

        Raises:
            PositionMoved: the positions in the store are not those that the commit builds on.
        """

    def sweep(self, *, message_ids_before_ms: int, timeline_before_ms: int, at_most: int) -> int:
        """Forget old message ids and timeline entries, looking at up to `at_most` of each, going on where the last
        sweep ended. Returns how many were forgotten.
        """

    def close(self) -> None:
        """Flush and release. Twice is safe."""
