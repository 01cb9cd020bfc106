"""The clusters that a batch changes: links and rulings in, connected clusters out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from wayline.identifiers import IdentityRules, Pair
from wayline.identity import rank_of
from wayline_profile.core.changes import RecordKey
from wayline_profile.core.clusters import MAX_NODES, Cluster, Edge, Ends, Link, Node, Ruling, encode, ends_of
from wayline_profile.core.records import CLUSTER, CLUSTER_OF

MAX_SHARED_LINKS = 50
"""Links of one identifier to shared ones of lesser kinds that are kept, to be shown: the least keys."""

_DEVICE = "device_id"


class Graph:
    """Opens clusters as they are touched, and arranges them anew at the end. The order of calls does not matter, as
    long as no cluster comes to its limit.
    """

    def __init__(
        self, clusters: Mapping[bytes, Cluster], cluster_of: Mapping[bytes, bytes], rules: IdentityRules
    ) -> None:
        """Start from what is stored; clusters are taken over."""
        self._clusters = clusters
        self._cluster_of = cluster_of
        self._rules = rules
        self._nodes: dict[bytes, Node] = {}
        self._edges: dict[Ends, Edge] = {}
        self._beside: dict[bytes, set[bytes]] = {}
        # Key to those that it is connected with, itself included. Of nodes of these clusters only: no strangers.
        self._home: dict[bytes, set[bytes]] = {}
        self._opened: set[bytes] = set()

    def knows(self, key: bytes) -> bool:
        """Whether an identifier is in some cluster."""
        return key in self._home or key in self._cluster_of

    def open(self, key: bytes, pair: Pair | None, *, strand: bool) -> None:
        """Bring an identifier, and the cluster that it is in, to the table."""
        cluster_id = self._cluster_of.get(key)
        if cluster_id is not None and cluster_id not in self._opened:
            self._open(cluster_id)
        if key not in self._home:  # new, or erased a moment ago
            self._take(key, Node())
            self._home[key] = {key}
        node = self._nodes[key]
        node.pair = node.pair or pair
        node.strand = node.strand or strand

    def link(self, one: bytes, other: bytes, link: Link) -> bool:
        """Take up a link of two identifiers that were opened by name. False: the cluster would be too large."""
        nodes = self._nodes
        if not self._connect(one, other):
            return False
        self._edges.setdefault(ends_of(one, other), Edge()).add(link)
        for key in (one, other):
            if not nodes[key].shared and self._has_too_many_owners(key):
                self._share(key)
        return True

    def rule(self, one: bytes, other: bytes, ruling: Ruling) -> bool:
        """Take up a ruling on two identifiers that were opened. False: as in `link`."""
        if not self._connect(one, other):
            return False
        self._edges.setdefault(ends_of(one, other), Edge()).rule(ruling)
        return True

    def remove(self, key: bytes) -> None:
        """Forget an identifier that was opened, and all its links."""
        home = self._home.pop(key)
        for other in list(self._beside[key]):
            self._cut(key, other)
        del self._nodes[key], self._beside[key]
        self._settle(home - {key})

    def arranged(self) -> Iterator[Cluster]:
        """The clusters as they are now; an identifier that was opened and is linked with nobody is one of its own."""
        for home in {id(home): home for home in self._home.values()}.values():
            cluster = Cluster({key: self._nodes[key] for key in home})
            for key in home:
                for other in self._shown(key):
                    ends = ends_of(key, other)
                    cluster.edges[ends] = self._edges[ends]
                    if other not in home:
                        cluster.nodes[other] = _seen_from_afar(self._nodes[other])
            yield cluster

    def records(self, clusters: Iterable[Cluster]) -> dict[RecordKey, bytes | None]:
        """What to write, so that the store holds these clusters in the place of those that were opened."""
        former = {key: gone for gone in self._opened for key in self._clusters[gone].members()}
        written: dict[RecordKey, bytes | None] = {(CLUSTER, gone): None for gone in self._opened}
        homes: dict[bytes, bytes | None] = dict.fromkeys(former)
        for cluster in clusters:
            members = cluster.members()
            if cluster.edges or cluster.nodes[members[0]].shared:  # else nobody is linked with it any more
                written[CLUSTER, min(members)] = encode(cluster)
                homes |= dict.fromkeys(members, min(members))
        return written | {(CLUSTER_OF, key): home for key, home in homes.items() if former.get(key) != home}

    def _open(self, cluster_id: bytes) -> None:
        self._opened.add(cluster_id)
        cluster = self._clusters[cluster_id]
        members = set(cluster.members())
        for key, node in cluster.nodes.items():
            if key in members or key not in self._nodes:
                self._take(key, Node(node.pair, node.strand, node.shared))
        for key in members:
            self._home[key] = members
        for ends, edge in cluster.edges.items():
            self._edges[ends] = Edge(edge.link, edge.ruling)
            self._beside[ends[0]].add(ends[1])
            self._beside[ends[1]].add(ends[0])

    def _take(self, key: bytes, node: Node) -> None:
        self._nodes[key] = node
        self._beside.setdefault(key, set())

    def _connect(self, one: bytes, other: bytes) -> bool:
        nodes, home = self._nodes, self._home
        if not nodes[one].shared and not nodes[other].shared and home[one] is not home[other]:
            small, large = sorted((home[one], home[other]), key=len)
            if len(small) + len(large) > MAX_NODES:
                return False
            large |= small
            for key in small:
                home[key] = large
        self._beside[one].add(other)
        self._beside[other].add(one)
        return True

    def _cut(self, one: bytes, other: bytes) -> None:
        self._edges.pop(ends_of(one, other), None)
        self._beside[one].discard(other)
        self._beside[other].discard(one)

    def _share(self, key: bytes) -> None:
        self._nodes[key].shared = True
        home = self._home[key]
        self._home[key] = {key}
        self._settle(home - {key})

    def _settle(self, keys: set[bytes]) -> None:
        """Find out anew who of some keys is connected with whom."""
        left = set(keys)
        while left:
            found, edge_of_it = set(), [left.pop()]
            while edge_of_it:
                key = edge_of_it.pop()
                found.add(key)
                near = self._beside[key] & left
                left -= near
                edge_of_it += near
            for key in found:
                self._home[key] = found

    def _has_too_many_owners(self, key: bytes) -> bool:
        """Whether it is linked with more of one higher kind than it may belong to. A device owns nobody. Rulings do not
        matter: they may be lifted, and shared is for ever.
        """
        pair = self._nodes[key].pair
        assert pair is not None, "links name both ends"
        owners: Counter[str] = Counter()
        for other in self._beside[key]:
            theirs = self._nodes[other].pair
            if theirs and theirs[0] != _DEVICE and rank_of(theirs[0]) < rank_of(pair[0]):
                owners[theirs[0]] += self._edges[ends_of(key, other)].link is not None
        return max(owners.values(), default=0) > self._rules.of(pair[0]).owners

    def _shown(self, key: bytes) -> Iterable[bytes]:
        """Whom it has an edge with. Of shared ones of lesser kinds some only: somebody may use a thousand kiosks."""
        if self._nodes[key].shared:
            return  # they are kept with the others
        pair, shared = self._nodes[key].pair, []
        for other in self._beside[key]:
            theirs = self._nodes[other].pair
            if self._nodes[other].shared and pair and theirs and rank_of(theirs[0]) > rank_of(pair[0]):
                shared.append(other)
            else:
                yield other
        yield from sorted(shared)[:MAX_SHARED_LINKS]


def _seen_from_afar(shared: Node) -> Node:
    """What is kept of a shared identifier with those that were linked with it: its kind, and never its value, which is
    in one place only, from where it can be erased.
    """
    return Node((shared.pair[0], "") if shared.pair else None, shared=True)
