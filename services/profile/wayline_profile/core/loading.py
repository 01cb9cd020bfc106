"""What a batch needs of the store, read beforehand: in a few reads for all its events, whatever they are.

For customers of one strand these are four: message ids, suppressions, identities, profiles. Clusters are read for
events that link, and the profiles of a whole cluster only when a link, a ruling, or a first event under an identifier
may change who is who.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from wayline.identifiers import IdentityRules, Pair, links, usable_identifiers
from wayline.identity import identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.clusters import Cluster, Link, decode, ends_of
from wayline_profile.core.fold import Definitions, timestamp_ms
from wayline_profile.core.records import CLUSTER, CLUSTER_OF, STRAND, SUPPRESSED
from wayline_profile.core.strands import Source, holds

Event = events_pb2.Event
Profile = profile_pb2.Profile
_RULING, _ERASURE = events_pb2.EVENT_TYPE_RULING, events_pb2.EVENT_TYPE_ERASURE
_RESTRICTION, _ALIAS = events_pb2.EVENT_TYPE_RESTRICTION, events_pb2.EVENT_TYPE_ALIAS


@dataclass(slots=True)
class Filing:
    """Where an event belongs."""

    type: int
    """The event's: it is asked for often, and of a message it takes longer."""
    keys: list[bytes]
    """All that it names. Under the first it is filed; a link is one of the first with each other. Of a ruling, both
    ends. Empty: it belongs to nobody."""
    pairs: list[Pair]
    """The identifiers of `keys`. Empty for events that name keys only."""
    link: Link | None = None
    """What it says, if it links."""
    settled: bool = True
    """It links nothing that was not linked before."""


@dataclass(slots=True)
class Loaded:
    """What is known before a batch."""

    filings: list[Filing]
    """One for each event."""
    identities: dict[bytes, str] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    strands: dict[bytes, Profile] = field(default_factory=dict)
    """Of profiles of several strands: those that may change."""
    cluster_of: dict[bytes, bytes] = field(default_factory=dict)
    clusters: dict[bytes, Cluster] = field(default_factory=dict)
    known: set[bytes] = field(default_factory=set)
    """Identity keys under which events were filed, of customers of whom more than a key is known."""
    seen: set[str] = field(default_factory=set)
    suppressed: dict[bytes, bytes] = field(default_factory=dict)
    """Of the keys that the batch names, those that are barred; see `erasure.Bars`."""

    def profile_of(self, key: bytes) -> Profile | None:
        """The profile that an identifier leads to; None: it leads to nobody."""
        return self.profiles.get(self.identities.get(key, ""))

    def has_strand(self, key: bytes) -> bool:
        """Whether events were filed under an identifier."""
        profile = self.profile_of(key)
        return profile is not None and holds(profile, key)

    def has_name(self, key: bytes) -> bool:
        """Whether more than its key is known of a customer."""
        profile = self.profile_of(key)
        return profile is not None and bool(profile.identifiers)


def filing_of(event: Event, rules: IdentityRules) -> Filing:
    """Where an event belongs, under the catalogue's rules."""
    kind: int = event.type
    if kind == _RULING:
        return Filing(kind, [event.ruling.one, event.ruling.other], [], settled=False)
    if kind == _ERASURE:
        return Filing(kind, list(event.erasure.identity_keys), [], settled=False)
    if kind == _RESTRICTION:
        return Filing(kind, [event.restriction.identity_key], [])
    pairs = usable_identifiers(event, rules)
    keys = [identity_key(name, value) for name, value in pairs]
    if len(pairs) < 2 or not links(event):
        return Filing(kind, keys, pairs)
    link = Link(timestamp_ms(event), event.message_id, kind == _ALIAS)
    return Filing(kind, keys, pairs, link, settled=False)


def load(store: Source, events: Sequence[Event], definitions: Definitions) -> Loaded:
    """Read what the projection of these events needs."""
    loaded = Loaded([filing_of(event, definitions.identity) for event in events])
    loaded.seen = store.seen([event.message_id for event in events])
    loaded.suppressed = store.records(SUPPRESSED, sorted(_keys(loaded.filings)))
    filed = {filing.keys[0] for filing in loaded.filings if filing.keys}
    linking = _keys(_unsettled(loaded))
    loaded.identities = store.resolve(filed | linking)
    _load_profiles(store, loaded, filed)
    loaded.known = {key for key in filed if loaded.has_strand(key) and loaded.has_name(key)}
    firsts = filed - loaded.known
    loaded.cluster_of = store.records(CLUSTER_OF, sorted(firsts | linking))
    clusters = store.records(CLUSTER, sorted(set(loaded.cluster_of.values()))) if loaded.cluster_of else {}
    loaded.clusters = {key: decode(data) for key, data in clusters.items()}
    for filing in _unsettled(loaded):
        filing.settled = _is_settled(filing, loaded)
    _load_whole(store, loaded, firsts)
    _load_strands(store, loaded, {key for key in filed if key in _kept_strands(loaded, key)})
    return loaded


def _unsettled(loaded: Loaded) -> Iterator[Filing]:
    return (filing for filing in loaded.filings if not filing.settled)


def _keys(filings: Iterable[Filing]) -> set[bytes]:
    return {key for filing in filings for key in filing.keys}


def _is_settled(filing: Filing, loaded: Loaded) -> bool:
    """Whether every link is stored already, by an event that was not later: then, whatever else the batch says, this
    event changes nothing of who is who. Most sign-ins are a repetition.
    """
    cluster = loaded.clusters.get(loaded.cluster_of.get(filing.keys[0], b""))
    if cluster is None or filing.link is None:
        return False
    edges = (cluster.edges.get(ends_of(filing.keys[0], other)) for other in filing.keys[1:])
    return all(edge is not None and edge.holds(filing.link) for edge in edges)


def _load_whole(store: Source, loaded: Loaded, firsts: set[bytes]) -> None:
    """All that a change of who is who may touch: every profile of a cluster, with all its strands."""
    touched = _keys(_unsettled(loaded)) | {key for key in firsts if key in loaded.cluster_of}
    for cluster_id in {loaded.cluster_of[key] for key in touched if key in loaded.cluster_of}:
        touched.update(loaded.clusters[cluster_id].members())
    if touched:
        loaded.identities |= store.resolve(touched - loaded.identities.keys())
        _load_profiles(store, loaded, touched)
        _load_strands(store, loaded, {strand for key in touched for strand in _kept_strands(loaded, key)})


def _load_profiles(store: Source, loaded: Loaded, keys: Iterable[bytes]) -> None:
    wanted = {loaded.identities[key] for key in keys if key in loaded.identities} - loaded.profiles.keys()
    loaded.profiles |= store.get_many(wanted)


def _load_strands(store: Source, loaded: Loaded, keys: set[bytes]) -> None:
    if not keys:
        return
    data = store.records(STRAND, sorted(keys - loaded.strands.keys()))
    loaded.strands |= {key: Profile.FromString(one) for key, one in data.items()}


def _kept_strands(loaded: Loaded, key: bytes) -> Sequence[bytes]:
    """The keys of the strands that are kept beside a profile: none, if it has one only."""
    profile = loaded.profile_of(key)
    return profile.strands if profile is not None and len(profile.strands) > 1 else ()
