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
    """Profiles, identifiers, message ids, timelines, positions, records. What is unknown is left out: that is no error.

    Every method may raise `Retryable`: the store's server did not answer within its time. Nothing was changed then, or
    a commit was made of which no answer came: the next one is refused, and who starts anew goes on behind it.
    """

    def positions(self) -> dict[int, int]:
        """Partition to the last sequence that is folded, as this store read it when it was opened, or wrote it last."""

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

    def records(self, kind: str, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """What is kept beside profiles, of one kind; see `store.records` for the kinds."""

    def scan(self, kind: str, *, after: bytes = b"", at_most: int) -> list[tuple[bytes, bytes]]:
        """Records of one kind whose key is greater than `after`, by ascending key."""

    def profiles(self) -> Iterator[profile_pb2.Profile]:
        """Every profile, by ascending id."""

    def commit(self, commit: Commit) -> None:
        """Write a commit, all of it or nothing. It builds on `positions()`, which must still hold for its partitions.

        Raises:
            PositionMoved: they do not: someone else has committed, or the commit goes back. Nothing was written. What
                this process has read of the store may be old: it must begin anew, from a store that it opens anew.
        """

    def sweep(self, *, message_ids_before_ms: int, timeline_before_ms: int, at_most: int) -> int:
        """Forget old message ids and timeline entries, looking at up to `at_most` of each, going on where the last
        sweep ended. Returns how many were forgotten.
        """

    def close(self) -> None:
        """Flush and release. Twice is safe."""
