"""Who is one customer with whom: profiles are divided and merged as the clusters say, from their strands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wayline.identifiers import Pair
from wayline.identity import foremost, identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.changes import Commit
from wayline_profile.core.clusters import Node
from wayline_profile.core.fold import Definitions
from wayline_profile.core.loading import Loaded
from wayline_profile.core.records import STRAND
from wayline_profile.core.strands import as_strand, merged, strands_of

Profile = profile_pb2.Profile
Group = Mapping[bytes, Node]


class Partition:
    """The profiles of a batch, the strands of which they are made, and which identifier leads to which."""

    def __init__(self, loaded: Loaded, definitions: Definitions, commit: Commit) -> None:
        """Start from what was loaded, and write changes into `commit`."""
        self._loaded = loaded
        self._identities: dict[bytes, str] = loaded.identities
        self._cluster_of = loaded.cluster_of
        self._profiles = loaded.profiles
        self._strands = loaded.strands
        self._definitions = definitions
        self._commit = commit
        self._begun: dict[bytes, Pair | None] = {}
        self._changed_strands: set[bytes] = set()
        self._former: set[str] = set()

    def profiles_of(self, keys: Iterable[bytes]) -> list[Profile]:
        """The profiles to which some identifiers lead."""
        ids = dict.fromkeys(self._identities[key] for key in keys if key in self._identities)
        return [self._profiles[profile_id] for profile_id in ids]

    def forget(self, keys: Iterable[bytes]) -> None:
        """What was filed under some identifiers is erased. Of their profiles the other strands stay, until `divide`."""
        self._former.update(profile.profile_id for profile in self.profiles_of(keys))
        for key in keys:
            self._loaded.known.discard(key)
            self._identities.pop(key, None)
            self._strands.pop(key, None)

    def begin(self, key: bytes, pair: Pair | None) -> bool:
        """An event is filed under an identifier; whether it is the first, or the first to name it."""
        if key in self._loaded.known:  # nearly always
            return False
        held = self._loaded.profile_of(key) if self._loaded.has_strand(key) else None
        if held is None and self.unlinked(key):
            return False
        is_known = key in self._begun or held is not None
        is_named = self._begun.get(key) or (held is not None and held.identifiers)
        if is_known and (is_named or not pair):
            return False
        self._begun[key] = pair
        return True

    def has_strand(self, key: bytes) -> bool:
        """Whether events were filed under an identifier, those of the batch included."""
        return key in self._begun or self._loaded.has_strand(key)

    def pair_of(self, key: bytes) -> Pair | None:
        """The identifier itself, if it is known."""
        if self._begun.get(key):
            return self._begun[key]
        profile = self._loaded.profile_of(key)
        for one in profile.identifiers if profile else ():
            if identity_key(one.kind, one.value) == key:
                return one.kind, one.value
        return None

    def unlinked(self, key: bytes) -> list[Pair]:
        """The identifiers of a profile that was merged by an earlier version, which kept no links: it is one strand.
        Else empty.
        """
        profile = self._loaded.profile_of(key)
        if profile is None or len(profile.identifiers) < 2 or key in self._cluster_of:
            return []
        return [(one.kind, one.value) for one in profile.identifiers]

    def divide(self, groups: Sequence[Group]) -> None:
        """Make the profiles of all groups, and of those who are in none."""
        grouped = {key for group in groups for key in group}
        alone = [{key: Node(pair, strand=True)} for key, pair in self._begun.items() if key not in grouped]
        former = {self._identities[key] for key in (*grouped, *self._begun) if key in self._identities} | self._former
        made = [(group, self._profile_of(group)) for group in (*groups, *alone)]
        kept = {profile.profile_id for _, profile in made if profile}
        for profile_id in former - kept:
            del self._profiles[profile_id]
            self._commit.profiles[profile_id] = None
        for group, profile in made:
            for key in group:
                self._lead(key, profile.profile_id if profile else None)
            if profile:
                self._profiles[profile.profile_id] = profile
                self._commit.profiles[profile.profile_id] = profile
        self._commit.created += len(kept) - len(former)

    def holders(self, key: bytes) -> Iterable[Profile]:
        """What takes up an event that is filed under an identifier: its profile, and its strand where that is kept."""
        profile = self._profiles[self._identities[key]]
        self._commit.profiles[profile.profile_id] = profile
        if len(profile.strands) > 1:
            self._changed_strands.add(key)
            return profile, self._strands[key]
        return (profile,)

    def write_strands(self) -> None:
        """Put the strands that have changed into the commit."""
        for key in self._changed_strands:
            strand = self._strands.get(key)
            data = None if strand is None else strand.SerializeToString(deterministic=True)
            self._commit.records[STRAND, key] = data

    def _profile_of(self, group: Group) -> Profile | None:
        """The profile of a group; None when no event was filed under any of it."""
        strands = sorted(key for key, node in group.items() if node.strand)
        if not strands:
            return None
        held = [key for key in strands if self._loaded.has_strand(key)]
        whole = {self._identities[key]: self._profiles[self._identities[key]] for key in held}
        parts = {name: profile for name, profile in whole.items() if set(strands_of(profile)) <= set(strands)}
        covered = {key for profile in parts.values() for key in strands_of(profile)}
        split = [self._strand(key) for key in held if key not in covered]
        self._keep_strands(strands)
        if len(parts) == 1 and not split:
            profile = next(iter(parts.values()))
        else:
            profile = merged((*parts.values(), *split), self._definitions)
        _name(profile, group, strands)
        return profile

    def _strand(self, key: bytes) -> Profile:
        if key in self._strands:
            return self._strands[key]
        if not self._loaded.has_strand(key):
            return Profile()
        return as_strand(self._profiles[self._identities[key]])

    def _keep_strands(self, strands: Sequence[bytes]) -> None:
        """Strands are kept apart when there are several."""
        for key in strands:
            if len(strands) > 1 and key not in self._strands:
                self._strands[key] = self._strand(key)
                self._changed_strands.add(key)
            elif len(strands) == 1 and key in self._strands:
                del self._strands[key]
                self._changed_strands.add(key)

    def _lead(self, key: bytes, profile_id: str | None) -> None:
        if self._identities.get(key) == profile_id:
            return
        self._commit.identities[key] = profile_id
        if profile_id is None:
            del self._identities[key]
        else:
            self._identities[key] = profile_id


def _name(profile: Profile, group: Group, strands: Sequence[bytes]) -> None:
    pairs = sorted(node.pair for node in group.values() if node.pair)
    # Of an identifier that only a ruling or a restriction has named, the key is all that is known.
    key = identity_key(*foremost(pairs)) if pairs else min(group)
    profile.profile_id = key.hex()
    del profile.identifiers[:]
    profile.identifiers.extend(events_pb2.Identifier(kind=kind, value=value) for kind, value in pairs)
    del profile.strands[:]
    if list(strands) != [key]:
        profile.strands.extend(strands)
