"""Clusters: identifiers that events have linked with each other, directly or through others, and what staff ruled.

A cluster depends on the set of events only. So what is kept of a link is the earliest event that said so, of a ruling
the latest, and an identifier that was linked with too many is shared for ever: it stands alone, and links to it
connect nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from wayline.identifiers import Pair
from wayline.v1 import customers_pb2, events_pb2

MAX_NODES = 500
"""Identifiers in one cluster, besides shared ones. A link that would go beyond it is refused: the one thing that
depends on the order of events. No crowd should come to it, since what a crowd shares is cut out before."""

Ends = tuple[bytes, bytes]
"""Two identity keys, the lesser first."""


class Link(NamedTuple):
    """The earliest event that linked two identifiers."""

    timestamp_ms: int
    message_id: str
    alias: bool
    """Whether any event that linked them was an alias."""


class Ruling(NamedTuple):
    """The latest word of staff on two identifiers."""

    timestamp_ms: int
    message_id: str
    apart: bool


@dataclass(slots=True)
class Node:
    """One identifier."""

    pair: Pair | None = None
    """None: only a ruling has named it."""
    strand: bool = False
    """Whether events were filed under it."""
    shared: bool = False


@dataclass(slots=True)
class Edge:
    """What is known of two identifiers."""

    link: Link | None = None
    ruling: Ruling | None = None

    def add(self, link: Link) -> None:
        """Take up that an event links them."""
        if self.link is None:
            self.link = link
        else:
            self.link = Link(*min(self.link[:2], link[:2]), self.link.alias or link.alias)

    def holds(self, link: Link) -> bool:
        """Whether `add` would change nothing."""
        held = self.link
        return held is not None and held[:2] <= link[:2] and (held.alias or not link.alias)

    def rule(self, ruling: Ruling) -> None:
        """Take up what staff say."""
        self.ruling = ruling if self.ruling is None else max(self.ruling, ruling)


@dataclass(slots=True)
class Cluster:
    """Nodes and edges; nodes that are shared, and not alone, are those of another cluster to which edges lead."""

    nodes: dict[bytes, Node] = field(default_factory=dict)
    edges: dict[Ends, Edge] = field(default_factory=dict)

    def members(self) -> list[bytes]:
        """The keys of its own nodes."""
        if len(self.nodes) == 1:
            return list(self.nodes)
        return [key for key, node in self.nodes.items() if not node.shared]


def ends_of(one: bytes, other: bytes) -> Ends:
    """In their order."""
    return (one, other) if one < other else (other, one)


def encode(cluster: Cluster) -> bytes:
    """The bytes that are kept, the same for the same cluster."""
    message = customers_pb2.Cluster()
    for key, node in sorted(cluster.nodes.items(), key=lambda item: item[0]):
        added = message.nodes.add(key=key, strand=node.strand, shared=node.shared)
        if node.pair:
            added.identifier.CopyFrom(events_pb2.Identifier(kind=node.pair[0], value=node.pair[1]))
    for (one, other), edge in sorted(cluster.edges.items(), key=lambda item: item[0]):
        kept = message.edges.add(one=one, other=other)
        if edge.link:
            kept.link.CopyFrom(customers_pb2.ClusterLink(**edge.link._asdict()))
        if edge.ruling:
            kept.ruling.CopyFrom(customers_pb2.ClusterRuling(**edge.ruling._asdict()))
    return message.SerializeToString(deterministic=True)


def decode(data: bytes) -> Cluster:
    """What `encode` made."""
    message = customers_pb2.Cluster.FromString(data)
    cluster = Cluster()
    for node in message.nodes:
        pair = (node.identifier.kind, node.identifier.value) if node.HasField("identifier") else None
        cluster.nodes[node.key] = Node(pair, node.strand, node.shared)
    for kept in message.edges:
        link, ruling = kept.link, kept.ruling
        cluster.edges[(kept.one, kept.other)] = Edge(
            Link(link.timestamp_ms, link.message_id, link.alias) if kept.HasField("link") else None,
            Ruling(ruling.timestamp_ms, ruling.message_id, ruling.apart) if kept.HasField("ruling") else None,
        )
    return cluster
