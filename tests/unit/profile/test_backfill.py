"""What is to be filled in when a catalogue comes into use, and how far that is."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.events import NOON_MS
from tests.support.traits import a_reading

from wayline.v1 import backfill_pb2
from wayline_profile.core.backfill import FilledStates, Plan, Walk, digest_of, plan
from wayline_profile.core.backfill_status import share_done, status_of

VIEWS = a_reading(views={"kind": "count", "event": "Viewed"}).definitions
KEY = VIEWS.keys["views"]


def planned(
    declared: Iterable[str], filled: Iterable[str] | None, walk: Walk | None = None, *, empty: bool = False
) -> Plan:
    held = None if filled is None else FilledStates(states=dict.fromkeys(filled, backfill_pb2.FilledState()))
    return plan(held, walk, frozenset(declared), empty=empty, now_ms=NOON_MS)


def a_walk(declared: Iterable[str], states: Iterable[str], *, finished: bool = False) -> Walk:
    return Walk(declared=digest_of(declared), states=sorted(states), after=b"x" * 16, finished_ms=NOON_MS * finished)


def test_a_store_without_customers_has_everything() -> None:
    made = planned("ab", None, empty=True)
    assert sorted(made.filled.states) == ["a", "b"]
    assert made.walk is None


def test_a_store_of_an_earlier_version_has_nothing() -> None:
    made = planned("ab", None)
    assert not made.filled.states
    assert made.walk == Walk(declared=digest_of("ab"), states=["a", "b"], started_ms=NOON_MS)


def test_what_is_new_is_filled_in_and_the_rest_left_alone() -> None:
    made = planned("abc", "ab")
    assert sorted(made.filled.states) == ["a", "b"]
    assert made.walk is not None
    assert list(made.walk.states) == ["c"]


def test_what_is_declared_no_more_is_taken_out_and_no_longer_filled() -> None:
    made = planned("a", "ab")
    assert sorted(made.filled.states) == ["a"]
    assert made.walk == Walk(declared=digest_of("a"), started_ms=NOON_MS)


def test_the_same_catalogue_goes_on_where_the_walk_was() -> None:
    walk = a_walk("abc", "c")
    assert planned("abc", "ab", walk).walk == walk


def test_another_catalogue_in_the_middle_begins_anew_with_all_that_is_missing() -> None:
    made = planned("abcd", "ab", a_walk("abc", "c"))
    assert made.walk == Walk(declared=digest_of("abcd"), states=["c", "d"], started_ms=NOON_MS)


def test_a_catalogue_that_is_taken_back_in_the_middle_leaves_nothing_behind() -> None:
    made = planned("ab", "ab", a_walk("abc", "c"))
    assert made.walk == Walk(declared=digest_of("ab"), started_ms=NOON_MS)


def test_when_all_is_filled_in_there_is_nothing_to_do() -> None:
    walk = a_walk("abc", "c", finished=True)
    assert planned("abc", "abc", walk).walk == walk


def test_keys_are_spread_evenly_so_the_last_one_says_how_much_is_done() -> None:
    assert share_done(Walk()) == 0
    assert share_done(Walk(after=b"\x40" + bytes(15))) == 0.25
    assert share_done(Walk(after=b"\x40" + bytes(15), finished_ms=NOON_MS)) == 1


def test_a_walk_under_way_says_what_is_left() -> None:
    walk = Walk(states=[KEY], after=b"\x80" + bytes(15), strands=50, events=700, started_ms=NOON_MS)
    earlier = Walk(states=[KEY], after=b"\x40" + bytes(15), strands=25, events=300, started_ms=NOON_MS)
    found = status_of(VIEWS, FilledStates(), walk, (10.0, earlier))
    assert found.running
    assert [(one.name, one.filled) for one in found.traits] == [("views", False)]
    progress = found.progress
    assert (progress.done, progress.strands_total, list(progress.traits)) == (0.5, 100, ["views"])
    assert (progress.events_per_second, progress.seconds_left) == (40.0, 20.0)
    assert not progress.HasField("finished_at")


def test_a_trait_says_from_which_events_it_was_filled_in() -> None:
    state = backfill_pb2.FilledState(filled_ms=NOON_MS + 5, events_since_ms=NOON_MS)
    [views] = status_of(VIEWS, FilledStates(states={KEY: state}), None, None).traits
    assert (views.filled_at.ToMilliseconds(), views.events_since.ToMilliseconds()) == (NOON_MS + 5, NOON_MS)
    [first] = status_of(VIEWS, FilledStates(states={KEY: backfill_pb2.FilledState()}), None, None).traits
    assert first.filled
    assert not first.HasField("filled_at")
