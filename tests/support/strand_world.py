"""The world of `tests.support.identity` with timelines, for what goes over all strands; no disk, so it is quick."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from tests.support.identity import World

from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.changes import Commit, Filed
from wayline_profile.core.fold import Definitions
from wayline_profile.store import Counters
from wayline_profile.store.keys import entry_key, place_of


class StrandWorld:
    """A store in memory."""

    def __init__(self) -> None:
        self.world = World()
        self._sequence = 0
        self._timeline: dict[bytes, Filed] = {}

    def take(self, definitions: Definitions, events: Sequence[events_pb2.Event]) -> None:
        """Fold one batch."""
        self.world.definitions = definitions
        self._sequence += len(events)
        self._file(self.world.take(*events))

    def positions(self) -> dict[int, int]:
        return {0: self._sequence}

    def counters(self) -> Counters:
        return Counters(profiles=len(self.world.data), folded=0, duplicates=0, poison=0)

    def identities(self, *, after: bytes = b"", at_most: int) -> list[tuple[bytes, str]]:
        return [one for one in sorted(self.world.identities.items()) if one[0] > after][:at_most]

    def filed(self, keys: Collection[bytes], *, after: bytes = b"", at_most: int) -> list[Filed]:
        return [row for place, row in sorted(self._timeline.items()) if place > after and row.key in keys][:at_most]

    @contextmanager
    def begin(self) -> Iterator[StrandWorld]:
        yield self

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        return self.world.resolve(keys)

    def get_many(self, profile_ids: Collection[str]) -> dict[str, profile_pb2.Profile]:
        return self.world.get_many(profile_ids)

    def seen(self, message_ids: Collection[str]) -> set[str]:
        return self.world.seen(message_ids)

    def records(self, kind: str, keys: Collection[bytes]) -> dict[bytes, bytes]:
        return self.world.records(kind, keys)

    def commit(self, commit: Commit) -> int:
        self.world.apply(commit)
        self._file(commit)
        return 0

    def _file(self, commit: Commit) -> None:
        for row in commit.timeline:
            place = place_of(row.key, row.timestamp_ms, entry_key(row.message_id))
            self._timeline[place] = Filed(place, row.partition, row.sequence, row.data)
