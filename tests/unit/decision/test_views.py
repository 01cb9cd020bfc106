"""The cache of views: current, bounded, and empty whenever the feed is in doubt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import pytest

from wayline.identity import identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_decision.views import ViewCache

ADA, BOB = identity_key("user_id", "ada"), identity_key("user_id", "bob")
BROWSER = identity_key("anonymous_id", "b")
NOW_MS = 1_000_000


def a_view(version: int, *keys: bytes, valid_until_ms: int = 0) -> profile_pb2.CustomerView:
    return profile_pb2.CustomerView(
        profile_id=keys[0].hex(), identity_keys=keys, version=version, valid_until_ms=valid_until_ms
    )


def token(sequence: int, partition: int = 0) -> events_pb2.EventToken:
    return events_pb2.EventToken(partition=partition, sequence=sequence)


class Profiles:
    """Stands where the profile service stands, and counts what it is asked."""

    def __init__(self, *views: profile_pb2.CustomerView) -> None:
        self.views = list(views)
        self.asked: list[list[bytes]] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.away = False

    def BatchGetViews(self, request: Any, timeout: float) -> profile_pb2.BatchGetViewsResponse:
        self.asked.append(list(request.identity_keys))
        if self.away:
            raise Unreachable
        wanted = set(request.identity_keys)
        response = profile_pb2.BatchGetViewsResponse(
            views=[view for view in self.views if wanted & set(view.identity_keys)]
        )
        self.meanwhile()
        return response


class Unreachable(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE


class Feed:
    """Numbers updates as the profile service does."""

    def __init__(self, cache: ViewCache, name: str = "feed") -> None:
        self.cache = cache
        self.name = name
        self.number = 0

    def send(self, views: Sequence[profile_pb2.CustomerView] = (), *watermarks: events_pb2.EventToken) -> None:
        self.number += 1
        self.cache.apply(
            profile_pb2.ViewUpdate(feed_id=self.name, number=self.number, views=views, watermarks=watermarks)
        )


def a_cache(profiles: Profiles, size: int = 10) -> ViewCache:
    cache = ViewCache(profiles, size=size, timeout_seconds=1, now_ms=lambda: NOW_MS)  # type: ignore[arg-type]
    cache.follow(True)
    Feed(cache).send()
    return cache


def following(cache: ViewCache) -> Feed:
    """A feed that goes on where `a_cache` began."""
    feed = Feed(cache)
    feed.number = 1
    return feed


def version(cache: ViewCache, key: bytes) -> int:
    return cache.get([key]).entries[key].view.version


def test_a_view_is_asked_for_once_and_then_held() -> None:
    profiles = Profiles(a_view(5, ADA))
    cache = a_cache(profiles)
    assert [version(cache, ADA) for _ in range(3)] == [5, 5, 5]
    assert profiles.asked == [[ADA]]


def test_the_feed_replaces_what_is_held_by_what_is_newer_only() -> None:
    cache = a_cache(Profiles(a_view(5, ADA)))
    feed = following(cache)
    version(cache, ADA)
    feed.send([a_view(7, ADA)])
    assert version(cache, ADA) == 7
    feed.send([a_view(6, ADA)])
    assert version(cache, ADA) == 7


def test_a_view_that_is_held_is_no_part_of_the_update_that_brought_it() -> None:
    cache = a_cache(Profiles(a_view(5, ADA)))
    version(cache, ADA)
    update = profile_pb2.ViewUpdate(feed_id="feed", number=2, views=[a_view(7, ADA), a_view(7, BROWSER)])
    cache.apply(update)
    update.views[0].timezone = "changed"  # what is a part of a message keeps all of it in memory
    held = cache.get([ADA]).entries[ADA].view
    assert (held.version, held.timezone) == (7, "")


def test_the_feed_does_not_fill_the_cache_with_customers_nobody_asks_for() -> None:
    cache = a_cache(Profiles())
    following(cache).send([a_view(1, ADA)])
    assert len(cache) == 0


def test_after_a_merge_the_former_identifier_finds_the_merged_view() -> None:
    cache = a_cache(Profiles(a_view(5, BROWSER)))
    version(cache, BROWSER)
    following(cache).send([a_view(8, ADA, BROWSER)])
    assert cache.get([BROWSER]).entries[BROWSER].view.profile_id == ADA.hex()


def test_an_erased_customer_is_held_no_more() -> None:
    profiles = Profiles(a_view(5, ADA), a_view(5, BOB))
    cache = a_cache(profiles)
    assert (version(cache, ADA), version(cache, BOB)) == (5, 5)
    del profiles.views[0]
    cache.apply(profile_pb2.ViewUpdate(feed_id="feed", number=2, erased=[ADA]))
    assert cache.get([ADA, BOB]).entries.keys() == {BOB}


def test_an_answer_that_was_on_its_way_when_its_customer_was_erased_does_not_stay() -> None:
    profiles = Profiles(a_view(5, ADA))
    cache = a_cache(profiles)
    profiles.meanwhile = lambda: cache.apply(profile_pb2.ViewUpdate(feed_id="feed", number=2, erased=[ADA]))
    cache.get([ADA])
    assert len(cache) == 0


def test_an_unknown_customer_is_no_failure() -> None:
    looked = a_cache(Profiles()).get([ADA])
    assert looked.entries == {}
    assert looked.reachable


def test_a_profile_service_that_is_away_is_said_to_be() -> None:
    profiles = Profiles(a_view(5, ADA))
    cache = a_cache(profiles)
    version(cache, ADA)
    profiles.away = True
    looked = cache.get([ADA, BOB])
    assert set(looked.entries) == {ADA}
    assert not looked.reachable


@pytest.mark.parametrize("doubt", ["gap", "new feed", "disconnected"])
def test_doubt_about_the_feed_empties_the_cache(doubt: str) -> None:
    profiles = Profiles(a_view(5, ADA))
    cache = a_cache(profiles)
    feed = following(cache)
    version(cache, ADA)
    if doubt == "gap":
        feed.number += 1
        feed.send()
    elif doubt == "new feed":
        Feed(cache, "another").send()
    else:
        cache.follow(False)
    assert len(cache) == 0


def test_without_the_feed_nothing_is_held() -> None:
    profiles = Profiles(a_view(5, ADA))
    cache = a_cache(profiles)
    cache.follow(False)
    assert [version(cache, ADA), version(cache, ADA)] == [5, 5]
    assert len(profiles.asked) == 2


def test_an_update_that_comes_while_we_ask_is_not_overwritten_by_the_older_answer() -> None:
    profiles = Profiles(a_view(5, ADA))
    cache = a_cache(profiles)
    feed = following(cache)
    profiles.meanwhile = lambda: feed.send([a_view(6, ADA)])
    assert version(cache, ADA) == 5
    profiles.views, profiles.meanwhile = [a_view(6, ADA)], lambda: None
    assert version(cache, ADA) == 6


def test_a_feed_that_breaks_while_we_ask_leaves_nothing_held() -> None:
    profiles = Profiles(a_view(5, ADA))
    cache = a_cache(profiles)
    profiles.meanwhile = lambda: Feed(cache, "another").send()
    version(cache, ADA)
    assert len(cache) == 0


def test_a_view_whose_windows_have_rolled_is_asked_for_again() -> None:
    profiles = Profiles(a_view(5, ADA, valid_until_ms=NOW_MS), a_view(5, BOB, valid_until_ms=NOW_MS + 1))
    cache = a_cache(profiles)
    for key in (ADA, ADA, BOB, BOB):
        version(cache, key)
    assert profiles.asked == [[ADA], [ADA], [BOB]]


def test_the_least_recently_used_goes_first() -> None:
    keys = [identity_key("user_id", str(number)) for number in range(3)]
    profiles = Profiles(*(a_view(1, key) for key in keys))
    cache = a_cache(profiles, size=2)
    for key in (keys[0], keys[1], keys[0], keys[2], keys[0]):
        version(cache, key)
    assert profiles.asked == [[keys[0]], [keys[1]], [keys[2]]]


def test_many_customers_are_asked_for_in_one_call() -> None:
    profiles = Profiles(a_view(1, ADA), a_view(1, BOB))
    cache = a_cache(profiles)
    assert set(cache.get([ADA, BOB]).entries) == {ADA, BOB}
    assert profiles.asked == [[ADA, BOB]]


def test_a_wait_ends_when_the_watermark_has_passed_every_token() -> None:
    cache = a_cache(Profiles())
    feed = following(cache)
    feed.send((), token(3), token(1, partition=1))
    assert cache.wait_for([token(3), token(1, partition=1)], 0)
    assert not cache.wait_for([token(4)], 0)
    waiting = threading.Thread(target=lambda: results.append(cache.wait_for([token(4)], 20)))
    results: list[bool] = []
    waiting.start()
    feed.send((), token(4))
    waiting.join(20)
    assert results == [True]


def test_a_new_feed_forgets_the_watermarks_of_the_old_one() -> None:
    cache = a_cache(Profiles())
    following(cache).send((), token(9))
    Feed(cache, "another").send((), token(2))
    assert not cache.wait_for([token(9)], 0)
