"""Whom the links of a cluster make one customer, and what stands against it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from wayline.catalog.identifiers import rules_of
from wayline.catalog.model import Catalog
from wayline.identifiers import MAX_PROFILE_IDENTIFIERS
from wayline.identity import identity_key
from wayline_profile.core.clusters import Cluster, Edge, Link, Node, Ruling, decode, encode, ends_of
from wayline_profile.core.resolution import resolve

RULES = rules_of(Catalog.model_validate({"identifiers": {"anonymous_id": {"most": 2}}}))
KINDS = {"u": "user_id", "e": "email", "b": "anonymous_id"}


def key(name: str) -> bytes:
    return identity_key(KINDS[name[0]], name)


def cluster(*links: str, apart: str = "", shared: str = "") -> Cluster:
    """'u1 b1 5' links user u1 with browser b1 at the time 5; with '!' by an alias."""
    made = Cluster()
    for link in links:
        one, other, at = link.split()
        for name in (one, other):
            made.nodes[key(name)] = Node((KINDS[name[0]], name), shared=name == shared)
        made.edges[ends_of(key(one), key(other))] = Edge(Link(int(at.strip("!")), f"m{at}", at.endswith("!")))
    if apart:
        one, other = apart.split()
        made.edges.setdefault(ends_of(key(one), key(other)), Edge()).ruling = Ruling(1, "r", True)
    return made


def groups(made: Cluster) -> set[frozenset[str]]:
    names = {node_key: node.pair[1] for node_key, node in made.nodes.items() if node.pair}
    return {frozenset(names[one] for one in group) for group in resolve(made, RULES).groups}


def status(made: Cluster, one: str, other: str) -> str:
    return resolve(made, RULES).statuses[ends_of(key(one), key(other))].outcome


def test_who_is_linked_is_one_customer() -> None:
    assert groups(cluster("u1 b1 1", "u1 e1 2")) == {frozenset({"u1", "b1", "e1"})}


def test_two_users_stay_two_and_the_earliest_link_wins_what_they_share() -> None:
    made = cluster("u1 b1 2", "u2 b1 1")
    assert groups(made) == {frozenset({"u2", "b1"}), frozenset({"u1"})}
    assert (status(made, "u1", "b1"), status(made, "u2", "b1")) == ("refused", "joined")


def test_a_link_of_higher_priority_comes_before_an_earlier_one() -> None:
    made = cluster("u1 b1 1", "u2 b1 2", "u1 e1 9", "u2 e1 8")
    assert groups(made) == {frozenset({"u1", "b1"}), frozenset({"u2", "e1"})}
    # By time alone the browser would have brought the address to the first user.
    assert groups(cluster("u1 b1 1", "e1 b1 2", "u2 e1 9")) == {frozenset({"u1", "b1"}), frozenset({"u2", "e1"})}


def test_an_alias_makes_two_users_one_and_comes_first() -> None:
    assert groups(cluster("u1 u2 9!", "u1 b1 1", "u3 b1 0")) == {frozenset({"u1", "u2"}), frozenset({"u3", "b1"})}


def test_a_browser_that_two_users_of_one_person_share_is_hers() -> None:
    assert groups(cluster("u1 u2 9!", "u1 b1 1", "u2 b1 2")) == {frozenset({"u1", "u2", "b1"})}


def test_the_latest_of_too_many_browsers_stays_alone() -> None:
    made = cluster("u1 b1 1", "u1 b2 3", "u1 b3 2")
    assert groups(made) == {frozenset({"u1", "b1", "b3"}), frozenset({"b2"})}
    assert (
        resolve(made, RULES).statuses[ends_of(key("u1"), key("b2"))].reason == "at most 2 anonymous_id in one profile"
    )


def test_a_customer_has_a_hundred_identifiers_at_most() -> None:
    rules = rules_of(Catalog.model_validate({"identifiers": {"anonymous_id": {"most": 100}}}))
    made = cluster(*(f"u1 b{number} {number}" for number in range(120)))
    assert max(map(len, resolve(made, rules).groups)) == MAX_PROFILE_IDENTIFIERS


def test_whom_staff_keep_apart_no_detour_brings_together() -> None:
    made = cluster("u1 e1 1", "u1 b1 2", "e1 b1 3", apart="u1 b1")
    assert groups(made) == {frozenset({"u1", "e1"}), frozenset({"b1"})}
    assert {status(made, "u1", "b1"), status(made, "e1", "b1")} == {"apart"}


def test_a_ruling_alone_brings_nobody_together() -> None:
    made = cluster("u1 b1 1", "u2 b2 1")
    made.edges[ends_of(key("u1"), key("b2"))] = Edge(ruling=Ruling(2, "r", False))
    assert groups(made) == {frozenset({"u1", "b1"}), frozenset({"u2", "b2"})}


def test_a_link_to_what_is_shared_joins_nobody() -> None:
    made = cluster("u1 b1 1", "u1 b2 2", shared="b2")
    assert groups(made) == {frozenset({"u1", "b1"})}
    assert status(made, "u1", "b2") == "shared"


names = st.sampled_from(["u1", "u2", "u3", "e1", "e2", "b1", "b2", "b3", "b4"])
some_links = st.lists(
    st.tuples(names, names, st.integers(0, 5), st.booleans()).filter(lambda link: link[0] != link[1]),
    min_size=1, max_size=14, unique_by=lambda link: frozenset(link[:2]),
)  # fmt: skip


@given(some_links, st.tuples(names, names), st.randoms(use_true_random=False))
def test_the_order_in_which_a_cluster_is_written_down_changes_nothing(
    links: list[tuple[str, str, int, bool]], apart: tuple[str, str], rng: random.Random
) -> None:
    told = [f"{one} {other} {at}{'!' if aliased else ''}" for one, other, at, aliased in links]
    ruled = (
        " ".join(apart) if apart[0] != apart[1] and {*apart} <= {name for link in links for name in link[:2]} else ""
    )
    made = cluster(*told, apart=ruled)
    rng.shuffle(told)
    again = cluster(*told, apart=ruled)
    assert encode(made) == encode(again)
    assert decode(encode(made)) == Cluster(dict(sorted(made.nodes.items())), dict(sorted(made.edges.items())))
    assert set(resolve(made, RULES).groups) == set(resolve(again, RULES).groups)
    if ruled:
        assert not any({key(apart[0]), key(apart[1])} <= group for group in resolve(made, RULES).groups)


links = st.lists(st.builds(Link, st.integers(0, 3), st.sampled_from("abc"), st.booleans()), min_size=1, max_size=6)


@given(links)
def test_of_a_link_the_earliest_event_is_kept_and_whether_any_was_an_alias(told: list[Link]) -> None:
    edge = Edge()
    for link in told:
        edge.add(link)
        assert edge.holds(link)
    at_ms, message_id = min((link.timestamp_ms, link.message_id) for link in told)
    assert edge.link == Link(at_ms, message_id, any(link.alias for link in told))
