"""A batch of events becomes one commit: which profiles change, which identifiers lead where, how far was read.

Pure: what the batch needs from the store is loaded before, what it changes is returned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wayline.identity import foremost, identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.fold import Definitions, fold_into, merge, timestamp_ms
from wayline_profile.core.identifiers import Pair, linked

MAX_IDENTIFIERS = 100

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


@dataclass(slots=True)
class Commit:
    """What one batch changes, to be written at once or not at all."""

    profiles: dict[str, Profile | None] = field(default_factory=dict)
    """By id; None: merged into another profile, or renamed."""
    identities: dict[bytes, str] = field(default_factory=dict)
    message_ids: dict[str, int] = field(default_factory=dict)
    """Message id to the time it was received, in ms."""
    timeline: list[TimelineRow] = field(default_factory=list)
    records: dict[RecordKey, bytes | None] = field(default_factory=dict)
    """What else is kept, by kind and key; None: no longer."""
    positions: dict[int, int] = field(default_factory=dict)
    """How far was read. Empty: no event was read, something else changes."""
    folded: int = 0
    duplicates: int = 0
    poison: int = 0
    created: int = 0
    """Customers more; negative when more were merged than came."""


class Projector:
    """Projects one batch."""

    def __init__(
        self,
        definitions: Definitions,
        identities: Mapping[bytes, str],
        profiles: Mapping[str, Profile],
        seen: Collection[str],
    ) -> None:
        """Start from what the store holds of the customers and message ids of the batch. `profiles` are taken over."""
        self._definitions = definitions
        self._identities = dict(identities)
        self._profiles = dict(profiles)
        self._seen = set(seen)
        self.commit = Commit()

    def project(self, batch: Sequence[Read]) -> Commit:
        """Fold the batch, in order. The caller says in the commit how far was read."""
        for read in batch:
            if read.event.message_id in self._seen:
                self.commit.duplicates += 1
                continue
            self._seen.add(read.event.message_id)
            self._take(read)
        return self.commit

    def _take(self, read: Read) -> None:
        event = read.event
        pairs = linked(event)
        if not pairs:
            self.commit.poison += 1
            return
        profile = self._find_or_merge(pairs, may_merge_users=event.type == events_pb2.EVENT_TYPE_ALIAS)
        fold_into(profile, event, self._definitions)
        self.commit.profiles[profile.profile_id] = profile
        received = event.received_at
        self.commit.message_ids[event.message_id] = received.seconds * 1_000 + received.nanos // 1_000_000
        row = TimelineRow(
            identity_key(*pairs[0]), timestamp_ms(event), event.message_id, read.partition, read.sequence, read.data
        )
        self.commit.timeline.append(row)
        self.commit.folded += 1

    def _find_or_merge(self, pairs: list[Pair], *, may_merge_users: bool) -> Profile:
        keys = [identity_key(*pair) for pair in pairs]
        known = list(dict.fromkeys(self._identities[key] for key in keys if key in self._identities))
        if keys[0] in self._identities:
            profile = self._profiles[known.pop(0)]
        else:
            profile = self._adopt_or_create(known, pairs, keys[0], may_merge_users=may_merge_users)
        for other_id in known:
            other = self._profiles[other_id]
            if _mergeable(profile, other, pairs, may_merge_users=may_merge_users):
                profile = self._merge(profile, other)
        self._add_identifiers(profile, pairs, keys, may_add_user=may_merge_users)
        return self._named_after_foremost(profile)

    def _adopt_or_create(self, known: list[str], pairs: list[Pair], key: bytes, *, may_merge_users: bool) -> Profile:
        """The first known profile that may bear the event's foremost identifier, else a new one."""
        bearer = Profile(identifiers=[_identifier(pairs[0])])
        for profile_id in known:
            if _mergeable(bearer, self._profiles[profile_id], pairs, may_merge_users=may_merge_users):
                known.remove(profile_id)
                return self._profiles[profile_id]
        return self._create(pairs[0], key)

    def _create(self, pair: Pair, key: bytes) -> Profile:
        profile = Profile(profile_id=key.hex(), identifiers=[_identifier(pair)])
        self._profiles[profile.profile_id] = profile
        self._lead(key, profile.profile_id)
        self.commit.created += 1
        return profile

    def _merge(self, profile: Profile, other: Profile) -> Profile:
        merged = merge(profile, other, self._definitions)
        pairs = sorted({(one.kind, one.value) for one in (*profile.identifiers, *other.identifiers)})
        del merged.identifiers[:]
        merged.identifiers.extend(_identifier(pair) for pair in pairs)
        self._replace(other.profile_id, merged)
        self._profiles[merged.profile_id] = merged
        self.commit.created -= 1
        return merged

    def _add_identifiers(self, profile: Profile, pairs: list[Pair], keys: list[bytes], *, may_add_user: bool) -> None:
        held = [(one.kind, one.value) for one in profile.identifiers]
        has_user = any(kind == "user_id" for kind, _ in held)
        added = False
        for pair, key in zip(pairs, keys, strict=True):
            if pair in held or key in self._identities or len(held) >= MAX_IDENTIFIERS:
                continue
            if pair[0] == "user_id" and has_user and not may_add_user:
                continue
            held.append(pair)
            self._lead(key, profile.profile_id)
            added = True
        if added:
            del profile.identifiers[:]
            profile.identifiers.extend(_identifier(pair) for pair in sorted(held))

    def _named_after_foremost(self, profile: Profile) -> Profile:
        name = identity_key(*foremost((one.kind, one.value) for one in profile.identifiers)).hex()
        if name != profile.profile_id:
            former, profile.profile_id = profile.profile_id, name
            self._replace(former, profile)
            self._profiles[name] = profile
        return profile

    def _replace(self, former_id: str, profile: Profile) -> None:
        """The profile `former_id` is gone; whoever led there leads to `profile`."""
        self._profiles.pop(former_id, None)
        self.commit.profiles[former_id] = None
        for one in profile.identifiers:
            self._lead(identity_key(one.kind, one.value), profile.profile_id)

    def _lead(self, key: bytes, profile_id: str) -> None:
        self._identities[key] = profile_id
        self.commit.identities[key] = profile_id


def _identifier(pair: Pair) -> events_pb2.Identifier:
    return events_pb2.Identifier(kind=pair[0], value=pair[1])


def _users(profile: Profile) -> Iterator[str]:
    return (one.value for one in profile.identifiers if one.kind == "user_id")


def _mergeable(profile: Profile, other: Profile, pairs: Sequence[Pair], *, may_merge_users: bool) -> bool:
    """Whether two profiles may become one.

    An identify never unites two user ids, or a device that is shared would unite a family; an alias says so expressly.
    """
    if len(profile.identifiers) + len(other.identifiers) > MAX_IDENTIFIERS:
        return False
    users = {*_users(profile), *_users(other), *(value for kind, value in pairs if kind == "user_id")}
    return may_merge_users or len(users) <= 1
