"""A store in memory for the pure core: what it would hold after each commit, byte for byte."""

from __future__ import annotations

from collections.abc import Collection

from wayline.catalog.model import Catalog
from wayline.identity import identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.changes import Commit, Read
from wayline_profile.core.fold import Definitions, definitions_of
from wayline_profile.core.loading import load
from wayline_profile.core.projector import Projector
from wayline_profile.core.records import CLUSTER, CLUSTER_OF, STRAND

CATALOG = Catalog.model_validate({"traits": {"views": {"kind": "count", "event": "Viewed"}}})
Event = events_pb2.Event
Profile = profile_pb2.Profile


class World:
    """Customers, as a profile service with a store would know them."""

    def __init__(self, definitions: Definitions | None = None) -> None:
        self.definitions = definitions or definitions_of(CATALOG)
        self.identities: dict[bytes, str] = {}
        self.data: dict[str, bytes] = {}
        self.kept: dict[tuple[str, bytes], bytes] = {}
        self.message_ids: set[str] = set()
        self.created = 0
        self._sequence = 0

    def take(self, *events: Event) -> Commit:
        """Fold one batch, and commit."""
        loaded = load(self, events, self.definitions)
        reads = []
        for event in events:
            self._sequence += 1
            reads.append(Read(0, self._sequence, event, event.SerializeToString()))
        commit = Projector(self.definitions, loaded).project(reads)
        self.apply(commit)
        return commit

    def apply(self, commit: Commit) -> None:
        """Write a commit."""
        self.message_ids |= set(commit.message_ids)
        self.created += commit.created
        for profile_id, profile in commit.profiles.items():
            if profile is None:
                self.data.pop(profile_id, None)
            else:
                assert profile.profile_id == profile_id
                self.data[profile_id] = profile.SerializeToString(deterministic=True)
        for key, led in commit.identities.items():
            if led is None:
                self.identities.pop(key, None)
            else:
                self.identities[key] = led
        for place, value in commit.records.items():
            if value is None:
                self.kept.pop(place, None)
            else:
                self.kept[place] = value

    @property
    def profiles(self) -> dict[str, Profile]:
        """By id."""
        return {name: Profile.FromString(data) for name, data in self.data.items()}

    def of(self, kind: str, value: str) -> Profile:
        """Whom an identifier leads to."""
        return Profile.FromString(self.data[self.identities[identity_key(kind, value)]])

    def knows(self, kind: str, value: str) -> bool:
        """Whether it leads to anybody."""
        return identity_key(kind, value) in self.identities

    def state(self) -> dict[str, object]:
        """All of it, to be compared."""
        records = {place: value for place, value in self.kept.items() if place[0] in (STRAND, CLUSTER, CLUSTER_OF)}
        return {"profiles": self.data, "identities": self.identities, "records": records, "created": self.created}

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        return {key: self.identities[key] for key in keys if key in self.identities}

    def get_many(self, profile_ids: Collection[str]) -> dict[str, Profile]:
        return {name: Profile.FromString(self.data[name]) for name in profile_ids if name in self.data}

    def seen(self, message_ids: Collection[str]) -> set[str]:
        return self.message_ids.intersection(message_ids)

    def records(self, kind: str, keys: Collection[bytes]) -> dict[bytes, bytes]:
        return {key: self.kept[kind, key] for key in keys if (kind, key) in self.kept}
