"""Which profile an event belongs to, and when two profiles become one."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from tests.support.events import NOON_MS, alias, identify, track
from tests.support.identity import CATALOG, World

from wayline.identity import identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.fold import definitions_of

Event = events_pb2.Event
[VIEWS] = definitions_of(CATALOG).folders


def names(profile: profile_pb2.Profile) -> set[tuple[str, str]]:
    return {(one.kind, one.value) for one in profile.identifiers}


def test_an_event_of_a_new_visitor_makes_a_profile() -> None:
    world = World()
    commit = world.take(track("Viewed", browser="b1"))
    assert commit.created == commit.folded == 1
    assert names(world.of("anonymous_id", "b1")) == {("anonymous_id", "b1")}


def test_signing_in_keeps_what_the_visitor_did_before() -> None:
    world = World()
    world.take(track("Viewed", browser="b1"), identify({"email": "Ada@Example.com "}, user="ada", browser="b1"))
    ada = world.of("user_id", "ada")
    assert ada.states[VIEWS].total.count == 1
    assert world.of("email", "ada@example.com") == world.of("anonymous_id", "b1") == ada
    assert len(world.profiles) == 1


def test_signing_in_on_a_second_browser_merges_its_history() -> None:
    world = World()
    world.take(identify(user="ada", browser="b1"), track("Viewed", browser="b1"), track("Viewed", browser="b2"))
    commit = world.take(identify(user="ada", browser="b2"))
    assert commit.created == -1
    assert world.of("user_id", "ada").states[VIEWS].total.count == 2


def test_signing_in_keeps_the_contacts_and_the_lot_of_the_visitor() -> None:
    world = World()
    world.take(track("Dismissal", {"action": "shoes"}, browser="b1", at_ms=NOON_MS))
    world.take(track("Click", {"action": "boots"}, user="ada", at_ms=NOON_MS + 1))
    world.take(identify(user="ada", browser="b1", at_ms=NOON_MS + 2))
    ada = world.of("user_id", "ada")
    assert [one.contact.action for one in ada.contacts] == ["shoes", "boots"]
    assert ada.origin.identity_key == identity_key("anonymous_id", "b1")


def test_a_dismissal_that_is_sent_twice_is_one_contact() -> None:
    world = World()
    dismissal = track("Dismissal", {"action": "shoes"}, user="ada", message_id="m")
    world.take(dismissal, dismissal)
    world.take(dismissal)
    assert len(world.of("user_id", "ada").contacts) == 1


def test_a_profile_is_named_after_its_foremost_identifier_whatever_came_first() -> None:
    one, other = World(), World()
    one.take(track("Viewed", browser="b"), identify(user="ada", browser="b"))
    other.take(identify(user="ada", browser="b"), track("Viewed", browser="b"))
    assert set(one.profiles) == set(other.profiles) == {identity_key("user_id", "ada").hex()}


def test_a_shared_browser_does_not_make_two_users_one() -> None:
    world = World()
    world.take(identify(user="ada", browser="b"), identify(user="bob", browser="b"))
    assert world.of("user_id", "ada") != world.of("user_id", "bob")
    assert world.of("anonymous_id", "b") == world.of("user_id", "ada")


def test_a_shared_email_address_does_not_make_two_users_one() -> None:
    world = World()
    world.take(identify({"email": "home@example.com"}, user="ada"), identify({"email": "home@example.com"}, user="bob"))
    assert world.of("user_id", "ada") != world.of("user_id", "bob")


def test_an_alias_makes_two_users_one() -> None:
    world = World()
    world.take(track("Viewed", user="old"), track("Viewed", user="new"), alias("new", "old"))
    assert world.of("user_id", "old") == world.of("user_id", "new")
    assert world.of("user_id", "new").states[VIEWS].total.count == 2


def test_a_user_with_two_ids_stays_one_at_the_next_sign_in() -> None:
    world = World()
    world.take(track("Viewed", user="old"), alias("new", "old"), identify({"city": "Rome"}, user="new"))
    assert len(world.profiles) == 1


def test_a_track_event_with_both_ids_links_nothing() -> None:
    world = World()
    world.take(track("Viewed", user="ada", browser="b"), track("Viewed", browser="b"))
    assert world.of("user_id", "ada") != world.of("anonymous_id", "b")


def test_a_message_id_counts_once_within_a_batch_and_across_batches() -> None:
    world = World()
    first = world.take(track("Viewed", user="u", message_id="m"), track("Viewed", user="u", message_id="m"))
    again = world.take(track("Viewed", user="u", message_id="m"))
    assert (first.folded, first.duplicates, again.folded, again.duplicates) == (1, 1, 0, 1)
    assert world.of("user_id", "u").event_count == 1


def test_a_profile_takes_no_more_identifiers_of_a_kind_than_its_limit() -> None:
    world = World()
    for number in range(55):
        world.take(identify(user="bot", browser=f"b{number:03}", at_ms=NOON_MS + number))
    bot = world.of("user_id", "bot")
    assert len(bot.identifiers) == 51
    assert ("anonymous_id", "b049") in names(bot)
    assert not world.knows("anonymous_id", "b050")


def test_an_event_without_any_identifier_is_counted_as_poison_and_harms_nothing() -> None:
    nobody = track("Viewed", user="u")
    nobody.ClearField("user_id")
    commit = World().take(nobody, track("Viewed", user="u"))
    assert (commit.poison, commit.folded) == (1, 1)


users, browsers = st.sampled_from(["", "ada"]), st.sampled_from(["b1", "b2", "b3"])
# Few moments, so that many events happen at the same time; the shop's visitors click on one offer or look at it.
moments, zones = st.integers(NOON_MS, NOON_MS + 3), st.sampled_from(["", "Asia/Tokyo", "Europe/Paris"])
visits = st.lists(
    st.tuples(st.booleans(), users, browsers, moments, st.sampled_from(["Viewed", "Click", "Dismissal"]), zones),
    min_size=1,
    max_size=15,
)
Visit = tuple[bool, str, str, int, str, str]


def made_of(visits_: Sequence[Visit]) -> list[Event]:
    events = []
    for number, (signs_in, user, browser, at_ms, name, zone) in enumerate(visits_):
        message_id = f"m{number}"
        if signs_in:
            event = identify(user=user, browser=browser, message_id=message_id, at_ms=at_ms)
        else:
            event = track(name, {"action": "shoes"}, user=user, browser=browser, message_id=message_id, at_ms=at_ms)
        event.context.timezone = zone
        events.append(event)
    return events


@given(visits, st.randoms(use_true_random=False))
def test_one_users_profile_is_the_same_whatever_the_order(visits_: list[Visit], rng: random.Random) -> None:
    events = made_of(visits_)
    one, other = World(), World()
    one.take(*events)
    rng.shuffle(events)
    other.take(*events)
    for world in (one, other):
        assert sum(profile.event_count for profile in world.profiles.values()) == len(events)
    assert {key: one.profiles[key].SerializeToString(deterministic=True) for key in one.profiles} == {
        key: other.profiles[key].SerializeToString(deterministic=True) for key in other.profiles
    }


@given(visits, st.integers(1, 15))
def test_batching_changes_nothing(visits_: list[Visit], size: int) -> None:
    events = made_of(visits_)
    whole, parts = World(), World()
    whole.take(*events)
    for start in range(0, len(events), size):
        parts.take(*events[start : start + size])
    assert whole.profiles == parts.profiles
    assert whole.identities == parts.identities


@given(visits)
def test_every_identifier_leads_to_the_profile_that_lists_it(visits_: list[Visit]) -> None:
    world = World()
    world.take(*made_of(visits_))
    for profile_id, profile in world.profiles.items():
        assert profile.profile_id == profile_id
        for one in profile.identifiers:
            assert world.identities[identity_key(one.kind, one.value)] == profile_id
