"""The port of the profile store."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from wayline.errors import WaylineError
from wayline.v1 import profile_pb2
from wayline_profile.core.changes import Commit, Filed


class PositionMoved(WaylineError):
    """Someone else has read on in a partition: this process must not write for it before it has taken it over anew."""


class Conflict(WaylineError):
    """Another process has changed meanwhile what a commit builds on. Nothing was written: read and project anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What the store has seen since it was made."""

    profiles: int
    folded: int
    duplicates: int
    poison: int


class UnitOfWork(Protocol):
    """What is read of the store as of one moment, and one commit that builds on it."""

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """See `ProfileStore`."""

    def get_many(self, profile_ids: Collection[str]) -> dict[str, profile_pb2.Profile]:
        """See `ProfileStore`."""

    def seen(self, message_ids: Collection[str]) -> set[str]:
        """See `ProfileStore`."""

    def records(self, kind: str, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """See `ProfileStore`."""

    def commit(self, commit: Commit) -> int:
        """Write it, as `ProfileStore.commit`, if all that was read through this unit is still so, what was absent
        included.

        Raises:
            Conflict: it is not.
            PositionMoved: see `ProfileStore.commit`.
        """


class ProfileStore(Protocol):
    """Profiles, identifiers, message ids, timelines, positions, records. What is unknown is left out: that is no error.

    Every method may raise `Retryable`: the store's server did not answer within its time. Nothing was changed then, or
    a commit was made of which no answer came: the next one is refused, and who starts anew goes on behind it.
    """

    def positions(self) -> dict[int, int]:
        """Partition to the last sequence that is folded, whoever folded it."""

    def counters(self) -> Counters:
        """What was counted, as of the last commit."""

    def version(self) -> int:
        """The number of the last commit, 0 before the first. What is read after this call is at least so new."""

    def take_over(self, partitions: Collection[int]) -> dict[int, int]:
        """Where these partitions stand. From now on commits build on that, and on no other partition."""

    def begin(self) -> AbstractContextManager[UnitOfWork]:
        """Begin a unit of work: the way to change something that depends on what is stored. One at a time."""

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """Identity keys to profile ids."""

    def get_many(self, profile_ids: Collection[str]) -> dict[str, profile_pb2.Profile]:
        """Profiles by id. The caller owns the messages."""

    def profiles_of(self, keys: Collection[bytes]) -> dict[str, profile_pb2.Profile]:
        """The profiles that identity keys lead to, by id, as of one moment; one that `resolve` names may be merged away
        before `get_many` is called. The caller owns the messages.
        """

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

    def identities(self, *, after: bytes = b"", at_most: int) -> list[tuple[bytes, str]]:
        """Identity keys greater than `after` with their profile ids, by ascending key."""

    def filed(self, keys: Collection[bytes], *, after: bytes = b"", at_most: int) -> list[Filed]:
        """The events filed under the identity keys: by ascending place, that is by key, and of one key the oldest
        first. Only those whose place is greater than `after`.
        """

    def profiles(self, *, after: str = "") -> Iterator[profile_pb2.Profile]:
        """Every profile, by ascending id; those with an id greater than `after`."""

    def commit(self, commit: Commit) -> int:
        """Write a commit that depends on nothing that was read, all of it or nothing. It builds on the positions as
        this process took them over, or wrote them last: they must still hold for its partitions.

        Returns:
            The number of the commit, which is greater than that of every commit before: among all views of a customer
            the one with the greatest is the newest.

        Raises:
            PositionMoved: they do not: someone else has committed, or the commit goes back. Nothing was written. What
                this process has read of the store may be old: it must begin anew, after `take_over`.
        """

    def sweep(self, *, message_ids_before_ms: int, timeline_before_ms: int, at_most: int) -> int:
        """Forget old message ids and timeline entries, looking at up to `at_most` of each, going on where the last
        sweep ended. Returns how many were forgotten.
        """

    def compact(self) -> list[str]:
        """Write the files anew, so that nothing of what was deleted stays on the disk. It may take minutes, and may be
        called from another thread while the store is in use.

        Returns:
            What could not be done here, in words for who runs the database. Empty: all was done.
        """

    def close(self) -> None:
        """Flush and release. Twice is safe."""
