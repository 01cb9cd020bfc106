"""What becomes of identifiers that crowds share, of clusters that grow too large, and what a batch reads."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from tests.support.events import NOON_MS, identify, restriction, ruling, track
from tests.support.identity import Profile, World

from wayline.catalog.model import Catalog
from wayline.identity import identity_key
from wayline.v1 import customers_pb2, events_pb2
from wayline_profile.core import graph
from wayline_profile.core.fold import definitions_of
from wayline_profile.core.records import CLUSTER, CLUSTER_OF, STRAND
from wayline_profile.core.strands import strands_of

DEFINITIONS = definitions_of(Catalog.model_validate({"traits": {"views": {"kind": "count", "event": "Viewed"}}}))
[VIEWS] = DEFINITIONS.folders


def visitors(count: int, browser: str = "kiosk") -> list[events_pb2.Event]:
    return [identify(user=f"u{n:03}", browser=browser, at_ms=NOON_MS + n) for n in range(count)]


def test_the_sixth_user_of_a_browser_makes_it_shared_and_frees_the_first() -> None:
    world = World()
    world.take(*visitors(5), track("Viewed", browser="kiosk"))
    assert world.of("anonymous_id", "kiosk") == world.of("user_id", "u000")
    commit = world.take(identify(user="u999", browser="kiosk"))
    assert commit.links_refused == {"shared": 1}
    assert world.of("anonymous_id", "kiosk").states[VIEWS].total.count == 1
    assert VIEWS not in world.of("user_id", "u000").states


def test_a_crowd_at_one_browser_leaves_small_clusters_in_any_order() -> None:
    one, other = World(), World()
    one.take(*visitors(40))
    for event in reversed(visitors(40)):
        other.take(event)
    sizes = [
        len(customers_pb2.Cluster.FromString(data).nodes) for (kind, _), data in one.kept.items() if kind == CLUSTER
    ]
    assert max(sizes) == 2
    keys = {place for place in one.kept if place[0] in (CLUSTER, CLUSTER_OF)}
    assert keys == {place for place in other.kept if place[0] in (CLUSTER, CLUSTER_OF)}


def test_the_value_of_a_shared_identifier_is_in_one_place_only() -> None:
    world = World()
    world.take(*visitors(8, browser="a-kiosk-in-the-hall"))
    assert sum(b"a-kiosk-in-the-hall" in data for data in world.kept.values()) == 1


def test_guests_who_only_share_a_browser_stay_apart() -> None:
    world = World()
    for number in range(8):
        world.take(identify({"email": f"guest{number}@b.eu"}, browser="kiosk"))
    assert len({world.of("email", f"guest{number}@b.eu").profile_id for number in range(8)}) == 8


def test_a_link_that_would_make_a_cluster_too_large_is_refused_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MAX_NODES", 4)
    world = World()
    for number in range(4):
        commit = world.take(identify(user="u", browser=f"b{number}", at_ms=NOON_MS + number))
    assert commit.links_refused == {"the cluster is full": 1}
    assert len(world.of("user_id", "u").identifiers) == 4
    world.take(track("Viewed", browser="b3"))
    assert world.of("anonymous_id", "b3") != world.of("user_id", "u")


def test_of_one_who_uses_very_many_shared_browsers_some_links_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MAX_SHARED_LINKS", 2)
    one, other = World(), World()
    told = [
        identify(user=user, browser=browser, at_ms=NOON_MS + at, message_id=f"{user}{browser}")
        for browser in ("k1", "k2", "k3", "k4")
        for at, user in enumerate(("ada", *(f"u{n}-{browser}" for n in range(6))))
    ]
    one.take(*told)
    for event in reversed(told):
        other.take(event)
    assert one.state() == other.state()
    (home,) = (
        data for (kind, key), data in one.kept.items() if key == identity_key("user_id", "ada") and kind == CLUSTER
    )
    assert len(customers_pb2.Cluster.FromString(home).edges) == 2


def test_a_ruling_waits_for_the_identifiers_that_it_names() -> None:
    world = World()
    world.take(ruling(("user_id", "ada"), ("anonymous_id", "b"), apart=True))
    world.take(track("Viewed", browser="b"), identify(user="ada", browser="b"))
    assert world.of("user_id", "ada") != world.of("anonymous_id", "b")
    assert [one.value for one in world.of("anonymous_id", "b").identifiers] == ["b"]


def test_a_restriction_stays_with_the_customer_through_a_merge() -> None:
    world = World()
    world.take(track("Viewed", browser="b"), restriction(("anonymous_id", "b"), restricted=True))
    world.take(identify(user="ada", browser="b"))
    ada = world.of("user_id", "ada")
    assert ada.restricted.holds
    assert ada.event_count == 2


def test_a_customer_of_one_strand_is_kept_once_and_one_of_two_twice() -> None:
    world = World()
    world.take(identify(user="ada", browser="b"), track("Viewed", user="ada"))
    assert not [place for place in world.kept if place[0] == STRAND]
    assert strands_of(world.of("user_id", "ada")) == [identity_key("user_id", "ada")]
    world.take(track("Viewed", browser="b"))
    kept = {key: Profile.FromString(data) for (kind, key), data in world.kept.items() if kind == STRAND}
    assert sorted(kept) == strands_of(world.of("user_id", "ada"))
    assert [kept[key].states[VIEWS].total.count for key in sorted(kept)] == [1, 1]
    world.take(ruling(("user_id", "ada"), ("anonymous_id", "b"), apart=True))
    assert not [place for place in world.kept if place[0] == STRAND]


class Counting(World):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def resolve(self, keys: Collection[bytes]) -> dict[bytes, str]:
        self.reads.append("identities")
        return super().resolve(keys)

    def get_many(self, profile_ids: Collection[str]) -> dict[str, Profile]:
        self.reads.append("profiles")
        return super().get_many(profile_ids)

    def records(self, kind: str, keys: Collection[bytes]) -> dict[bytes, bytes]:
        if keys:
            self.reads.append(kind)
        return super().records(kind, keys)


def test_what_is_known_already_costs_few_reads() -> None:
    world = Counting()
    world.take(track("Viewed", user="ada"), identify(user="bob", browser="b"))
    world.reads.clear()
    world.take(track("Viewed", user="ada", browser="x"), track("Viewed", user="ada"))
    assert world.reads == ["suppressed", "identities", "profiles"]
    world.reads.clear()
    world.take(identify(user="bob", browser="b", at_ms=NOON_MS + 1))
    assert world.reads == ["suppressed", "identities", "profiles", "cluster_of", "cluster"]


def test_what_an_earlier_version_merged_stays_merged_and_can_be_taken_back() -> None:
    world, pairs = World(), [("anonymous_id", "b"), ("email", "a@b.eu"), ("user_id", "ada")]
    old = Profile(profile_id=identity_key("user_id", "ada").hex(), event_count=7)
    old.identifiers.extend(events_pb2.Identifier(kind=kind, value=value) for kind, value in pairs)
    world.data[old.profile_id] = old.SerializeToString()
    world.identities |= {identity_key(*pair): old.profile_id for pair in pairs}
    world.take(track("Viewed", browser="b"))
    assert world.of("email", "a@b.eu").event_count == 8
    world.take(identify(user="ada", browser="b2"), track("Viewed", browser="b"))
    assert {one.value for one in world.of("anonymous_id", "b").identifiers} == {"ada", "a@b.eu", "b", "b2"}
    assert world.of("email", "a@b.eu").event_count == 10
    world.take(ruling(("user_id", "ada"), ("anonymous_id", "b"), apart=True))
    assert not world.knows("anonymous_id", "b")
    assert world.of("email", "a@b.eu").event_count == 10


def test_who_comes_again_after_an_erasure_is_somebody_new() -> None:
    world = World()
    world.take(identify({"email": "a@b.eu"}, user="ada", browser="b"))
    erasure = events_pb2.Event(message_id="erase", type=events_pb2.EVENT_TYPE_ERASURE)
    erasure.erasure.erasure_id, erasure.erasure.received_until_ms = "e1", NOON_MS + 60
    erasure.erasure.identity_keys.extend(world.identities)
    late = identify(user="ada", browser="b")
    late.received_at.FromMilliseconds(NOON_MS + 100)
    commit = world.take(identify(user="ada", browser="b"), erasure, late)
    assert (commit.created, world.created, len(world.profiles)) == (0, 1, 1)
    assert [one.value for one in world.of("user_id", "ada").identifiers] == ["b", "ada"]
    assert world.of("user_id", "ada").event_count == 1
    assert not world.knows("email", "a@b.eu")


def test_whoever_holds_a_view_of_an_identifier_that_was_taken_out_is_told_to_drop_it() -> None:
    world = World()
    assert not world.take(identify(user="ada", browser="b")).strangers()
    commit = world.take(ruling(("user_id", "ada"), ("anonymous_id", "b"), apart=True))
    assert commit.strangers() == {identity_key("anonymous_id", "b")}
    assert list(commit.profiles) == [identity_key("user_id", "ada").hex()]
