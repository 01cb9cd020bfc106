"""Resolution: which of a cluster's identifiers are one customer. A pure function of the cluster and the rules.

Kruskal's algorithm: links are taken by their strength, aliases first, then those between identifiers of high
priority, then the earliest; each unites what it links, unless that would break a limit or a ruling.
J. B. Kruskal, On the shortest spanning subtree of a graph, 1956.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from wayline.identifiers import MAX_PROFILE_IDENTIFIERS, IdentityRules
from wayline_profile.core.clusters import Cluster, Edge, Ends

Outcome = Literal["joined", "refused", "shared", "apart"]
USER = "user_id"


class Status(NamedTuple):
    """What became of a link."""

    outcome: Outcome
    reason: str = ""
    """Why it was refused."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Who is one customer with whom, and what became of each edge."""

    groups: list[frozenset[bytes]]
    statuses: dict[Ends, Status]
    """Of every edge, the strongest link first, rulings without a link last."""


@dataclass(slots=True)
class _Group:
    keys: set[bytes]
    kinds: dict[str, int]
    """How many of each kind."""
    users: int
    """How many user ids, those that an alias has made one counted once."""


def resolve(cluster: Cluster, rules: IdentityRules) -> Resolution:
    """Resolve. A shared identifier is a customer of its own in its own cluster, and none in others."""
    group_of = {key: _group(key, cluster) for key in cluster.members()}
    apart = [ends for ends, edge in cluster.edges.items() if edge.ruling and edge.ruling.apart]
    statuses: dict[Ends, Status] = {}
    for ends in sorted(cluster.edges, key=lambda ends: _strength(ends, cluster, rules)):
        statuses[ends] = _take(ends, cluster.edges[ends], group_of, apart, cluster, rules)
    groups = {id(group): group for group in group_of.values()}
    return Resolution([frozenset(group.keys) for group in groups.values()], statuses)


def _group(key: bytes, cluster: Cluster) -> _Group:
    pair = cluster.nodes[key].pair
    kind = pair[0] if pair else ""
    return _Group({key}, {kind: 1}, int(kind == USER))


def _strength(ends: Ends, cluster: Cluster, rules: IdentityRules) -> tuple[bool, bool, int, int, str, Ends]:
    link = cluster.edges[ends].link
    if link is None:
        return True, True, 0, 0, "", ends
    priority = min(rules.of(_kind(cluster, key)).priority for key in ends)
    return False, not link.alias, -priority, link.timestamp_ms, link.message_id, ends


def _take(
    ends: Ends, edge: Edge, group_of: dict[bytes, _Group], apart: list[Ends], cluster: Cluster, rules: IdentityRules
) -> Status:
    if any(key not in group_of for key in ends):
        return Status("shared")
    one, other = group_of[ends[0]], group_of[ends[1]]
    if one is other:
        return Status("joined")
    if any((a in one.keys and b in other.keys) or (a in other.keys and b in one.keys) for a, b in apart):
        return Status("apart")
    if edge.link is None:
        return Status("refused", "no event links them")
    same_user = edge.link.alias and all(_kind(cluster, key) == USER for key in ends)
    users = one.users + other.users - same_user
    if reason := _beyond(one, other, users, rules):
        return Status("refused", reason)
    if len(one.keys) < len(other.keys):
        one, other = other, one
    one.keys |= other.keys
    for kind, count in other.kinds.items():
        one.kinds[kind] = one.kinds.get(kind, 0) + count
    one.users = users
    for key in other.keys:
        group_of[key] = one
    return Status("joined")


def _beyond(one: _Group, other: _Group, users: int, rules: IdentityRules) -> str:
    """The limit that one profile of both would break; '' for none."""
    if users > max(1, rules.of(USER).most):
        return f"at most {rules.of(USER).most} {USER} in one profile, unless an alias says that they are one"
    for kind in one.kinds.keys() & other.kinds.keys():
        most = rules.of(kind).most
        if kind != USER and one.kinds[kind] + other.kinds[kind] > most:
            return f"at most {most} {kind} in one profile"
    if len(one.keys) + len(other.keys) > MAX_PROFILE_IDENTIFIERS:
        return f"at most {MAX_PROFILE_IDENTIFIERS} identifiers in one profile"
    return ""


def _kind(cluster: Cluster, key: bytes) -> str:
    pair = cluster.nodes[key].pair
    return pair[0] if pair else ""
