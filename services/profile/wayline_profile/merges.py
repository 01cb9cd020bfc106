"""How a customer's identifiers hang together, as the store has it: for staff who look into a merge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wayline.identifiers import IdentityRules, Pair
from wayline.identity import rank_of
from wayline.v1 import customers_pb2, events_pb2, profile_pb2
from wayline_profile.core.clusters import Cluster, Edge, Ends, Node, decode
from wayline_profile.core.records import CLUSTER, CLUSTER_OF
from wayline_profile.core.resolution import Outcome, Status, resolve
from wayline_profile.store import ProfileStore

_STATUSES: Mapping[Outcome, customers_pb2.MergeStatus] = {
    "joined": customers_pb2.MERGE_STATUS_JOINED,
    "refused": customers_pb2.MERGE_STATUS_REFUSED,
    "shared": customers_pb2.MERGE_STATUS_SHARED,
    "apart": customers_pb2.MERGE_STATUS_APART,
}


@dataclass(frozen=True, slots=True)
class Relations:
    """What is known of one identifier."""

    key: bytes
    profile: profile_pb2.Profile | None
    """None: no event was filed under any identifier of the customer."""
    cluster: Cluster
    """Empty: it was never linked."""
    group: frozenset[bytes]
    """The keys of all identifiers of the customer."""
    statuses: Mapping[Ends, Status]
    names: Mapping[bytes, Pair]
    """Of every key that an edge of the group names, where it is known."""

    def merges(self) -> list[customers_pb2.Merge]:
        """Every link of the customer, the strongest first."""
        touching = (ends for ends in self.statuses if self.group.intersection(ends))
        return [_merge(ends, self.cluster.edges[ends], self.statuses[ends], self.names) for ends in touching]

    def linked(self) -> list[Ends]:
        """The links of the identifier with others of its customer."""
        return [
            ends
            for ends, edge in self.cluster.edges.items()
            if self.key in ends and edge.link and self.group.issuperset(ends)
        ]

    def ruled_apart(self, other: Relations) -> list[Ends]:
        """The rulings in force that keep the identifier from the customer of `other`; all, if that is itself."""
        whom = self.cluster.nodes.keys() if other.key == self.key else other.group
        return [
            ends
            for ends, edge in self.cluster.edges.items()
            if self.key in ends and edge.ruling and edge.ruling.apart and whom & ({*ends} - {self.key})
        ]

    def latest_ms(self, ends: Ends) -> int:
        """When staff ruled last on two identifiers; 0: never."""
        edge = self.cluster.edges.get(ends, Edge())
        return edge.ruling.timestamp_ms if edge.ruling else 0


def relations_of(store: ProfileStore, key: bytes, rules: IdentityRules) -> Relations | None:
    """What is known of an identifier; None: nothing."""
    profile = next(iter(store.profiles_of([key]).values()), None)
    home = store.records(CLUSTER_OF, [key]).get(key)
    data = store.records(CLUSTER, [home]).get(home) if home else None
    if data is None:
        alone = Relations(key, profile, Cluster(), frozenset([key]), {}, {})
        return alone if profile else None
    cluster = decode(data)
    resolution = resolve(cluster, rules)
    group = next(group for group in resolution.groups if key in group)
    names = {node: one.pair for node, one in cluster.nodes.items() if one.pair}
    return Relations(key, profile, cluster, group, resolution.statuses, names | _names_of_shared(store, cluster))


def _names_of_shared(store: ProfileStore, cluster: Cluster) -> dict[bytes, Pair]:
    """The values of identifiers that are shared, which only their own clusters hold."""
    shared = [key for key, node in cluster.nodes.items() if node.shared]
    found = {key: decode(data).nodes.get(key, Node()) for key, data in store.records(CLUSTER, shared).items()}
    return {key: node.pair for key, node in found.items() if node.pair}


def _merge(ends: Ends, edge: Edge, status: Status, names: Mapping[bytes, Pair]) -> customers_pb2.Merge:
    merge = customers_pb2.Merge(status=_STATUSES[status.outcome], reason=status.reason)
    known = sorted((names[key] for key in ends if key in names), key=lambda pair: (rank_of(pair[0]), pair[1]))
    for field, pair in zip((merge.one, merge.other), known, strict=False):
        field.CopyFrom(events_pb2.Identifier(kind=pair[0], value=pair[1]))
    if edge.link:
        merge.time.FromMilliseconds(edge.link.timestamp_ms)
        merge.message_id, merge.alias = edge.link.message_id, edge.link.alias
    if edge.ruling:
        merge.ruled_at.FromMilliseconds(edge.ruling.timestamp_ms)
    return merge
