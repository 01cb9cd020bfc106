"""What holds for who is who, whatever the events, their order and their batches: over 1,000 generated histories."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.events import HOUR_MS, NOON_MS, alias, identify, restriction, ruling, track
from tests.support.identity import Event, World

from wayline.catalog.model import Catalog
from wayline.identifiers import usable_identifiers
from wayline.identity import identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.fold import definitions_of, fold
from wayline_profile.core.records import CLUSTER, CLUSTER_OF, STRAND
from wayline_profile.core.strands import strands_of

# Tight limits, so that a handful of events comes to all of them.
CATALOG = Catalog.model_validate(
    {
        "traits": {
            "views": {"kind": "count", "event": "Viewed"},
            "spend": {"kind": "sum", "event": "Viewed", "property": "price", "window": "2h"},
            "colors": {"kind": "affinity", "event": "Viewed", "property": "color", "half_life": "1h"},
        },
        "outcomes": {"click": "Viewed"},
        "identifiers": {
            "email": {"most": 2, "owners": 2},
            "anonymous_id": {"most": 3, "owners": 2, "blocked": "kiosk"},
            "card": {"from": "properties.card", "owners": 1},
        },
    }
)
DEFINITIONS = definitions_of(CATALOG)
RULES = DEFINITIONS.identity

users = st.sampled_from(["", "", "ada", "bob", "cleo", "anonymous"])
browsers = st.sampled_from(["b1", "b2", "b3", "b4", "kiosk", "undefined"])
emails = st.sampled_from(["", "", "a@example.com", "B@example.com", "home@example.com"])
cards = st.sampled_from(["", "", "c1", "c2"])
named = st.sampled_from(
    [("user_id", "ada"), ("user_id", "bob"), ("email", "a@example.com"), ("anonymous_id", "b1"), ("anonymous_id", "b2")]
)
moments = st.one_of(st.integers(NOON_MS, NOON_MS + 2), st.integers(NOON_MS, NOON_MS + 5 * HOUR_MS))
prices, colors = st.sampled_from([0.1, 0.2, 19.99, 1e16]), st.sampled_from(["red", "blue"])


def signed_in(user: str, browser: str, email: str, card: str, at_ms: int) -> Event:
    event = identify({"email": email, "city": f"town{at_ms % 3}"}, user=user, browser=browser, at_ms=at_ms)
    if card:
        event.identifiers.add(kind="card", value=card)
    event.context.region = "FR" if at_ms % 2 else "US-CA"
    event.context.consent.category_preferences["ads"] = bool(at_ms % 2)
    return event


def looked(user: str, browser: str, card: str, price: float, color: str, at_ms: int) -> Event:
    facts = {"price": price, "color": color, "action": f"{color}-shoes", **({"card": card} if card else {})}
    return track("Viewed", facts, user=user, browser=browser, at_ms=at_ms)


events_ = st.lists(
    st.one_of(
        st.builds(signed_in, users, browsers, emails, cards, moments),
        st.builds(signed_in, users, browsers, emails, cards, moments),
        st.builds(looked, users, browsers, cards, prices, colors, moments),
        st.builds(lambda one, other, at_ms: alias(one, other, at_ms=at_ms), users, st.one_of(users, browsers), moments),
        st.builds(lambda one, other, apart, at_ms: ruling(one, other, apart=apart, at_ms=at_ms),
                  named, named, st.booleans(), moments),
        st.builds(lambda one, yes, at_ms: restriction(one, restricted=yes, at_ms=at_ms), named, st.booleans(), moments),
    ),
    min_size=1,
    max_size=18,
)  # fmt: skip


def numbered(events: Sequence[Event]) -> list[Event]:
    """Message ids that do not depend on what ran before; every seventh is sent twice."""
    made = []
    for number, event in enumerate(events):
        event.message_id = f"m{number:02}"
        made += [event, event] if number % 7 == 3 else [event]
    return made


def world_of(events: Sequence[Event], sizes: Sequence[int] = (1,)) -> World:
    world, at, turn = World(DEFINITIONS), 0, 0
    while at < len(events):
        size = sizes[turn % len(sizes)]
        world.take(*events[at : at + size])
        at, turn = at + size, turn + 1
    return world


def strand_key(event: Event) -> bytes | None:
    if event.type == events_pb2.EVENT_TYPE_RESTRICTION:
        return event.restriction.identity_key
    pairs = usable_identifiers(event, RULES)
    return identity_key(*pairs[0]) if pairs else None


def nameless(profile: profile_pb2.Profile) -> bytes:
    for field in ("profile_id", "identifiers", "strands"):
        profile.ClearField(field)
    return profile.SerializeToString(deterministic=True)


@given(events_, st.randoms(use_true_random=False), st.lists(st.integers(1, 8), min_size=1, max_size=4))
@settings(max_examples=400, deadline=None)
def test_neither_order_nor_batches_leave_a_trace(events: list[Event], rng: random.Random, sizes: list[int]) -> None:
    made = numbered(events)
    one = world_of(made)
    rng.shuffle(made)
    assert world_of(made, sizes).state() == one.state()


@given(events_)
@settings(max_examples=300, deadline=None)
def test_a_profile_is_as_if_all_its_events_had_come_under_one_identifier(events: list[Event]) -> None:
    made = numbered(events)
    world = world_of(made, (3,))
    seen: dict[str, Event] = {event.message_id: event for event in made}
    told = [event for event in seen.values() if event.type != events_pb2.EVENT_TYPE_RULING and strand_key(event)]
    for profile in world.profiles.values():
        direct = profile_pb2.Profile()
        for event in told:
            if strand_key(event) in strands_of(profile):
                direct = fold(direct, event, DEFINITIONS)
        assert nameless(profile) == nameless(direct)
    assert sum(len(strands_of(one)) for one in world.profiles.values()) == len({strand_key(one) for one in told})


@given(events_)
@settings(max_examples=300, deadline=None)
def test_every_identifier_leads_to_the_profile_that_lists_it_and_limits_hold(events: list[Event]) -> None:
    world = world_of(numbered(events), (4,))
    listed = 0
    for profile_id, profile in world.profiles.items():
        assert profile.profile_id == profile_id
        counts = Counter(one.kind for one in profile.identifiers)
        assert all(counts[kind] <= RULES.of(kind).most for kind in counts if kind != "user_id")
        for one in profile.identifiers:
            assert world.identities[identity_key(one.kind, one.value)] == profile_id
            assert one.value not in ("anonymous", "undefined")
            assert (one.kind, one.value) != ("anonymous_id", "kiosk")
        listed += len(profile.identifiers) or 1
    assert listed == len(world.identities)
    assert world.created == len(world.profiles)


@given(events_, st.integers(0, 20), st.integers(0, 20))
@settings(max_examples=300, deadline=None)
def test_whom_staff_keep_apart_is_apart_until_they_lift_it(events: list[Event], one: int, other: int) -> None:
    made = [event for event in numbered(events) if event.type != events_pb2.EVENT_TYPE_RULING]
    world = world_of(made, (5,))
    before = dict(world.data)
    pairs = sorted((one.kind, one.value) for profile in world.profiles.values() for one in profile.identifiers)
    if not pairs:
        return
    first, second = pairs[one % len(pairs)], pairs[other % len(pairs)]
    if first == second:
        return
    world.take(ruling(first, second, apart=True, at_ms=NOON_MS, message_id="apart"))
    led = [world.identities.get(identity_key(*pair)) for pair in (first, second)]
    assert led[0] != led[1] or led == [None, None]
    world.take(ruling(first, second, apart=False, at_ms=NOON_MS + 1, message_id="again"))
    assert world.data == before


UNSHARED = definitions_of(
    CATALOG.model_copy(
        update={"identifiers": Catalog.model_validate({"identifiers": {"email": {"owners": 50}}}).identifiers}
    )
)


def erasure(keys: Sequence[tuple[str, str]], at_ms: int) -> Event:
    event = Event(message_id="erase", type=events_pb2.EVENT_TYPE_ERASURE)
    event.timestamp.FromMilliseconds(at_ms)
    event.received_at.FromMilliseconds(at_ms)
    event.erasure.erasure_id = "e1"
    event.erasure.identity_keys.extend(identity_key(*pair) for pair in keys)
    return event


@given(
    events_,
    st.lists(named, min_size=1, max_size=3, unique=True),
    st.randoms(use_true_random=False),
    st.lists(st.integers(1, 8), min_size=1, max_size=4),
)
@settings(max_examples=300, deadline=None)
def test_nothing_of_who_is_erased_is_left_whenever_it_is_read(
    events: list[Event], keys: list[tuple[str, str]], rng: random.Random, sizes: list[int]
) -> None:
    erased = {identity_key(*pair) for pair in keys}
    made = [event for event in numbered(events) if event.type != events_pb2.EVENT_TYPE_RULING]
    others = [
        event
        for event in made
        if not erased & {identity_key(*pair) for pair in usable_identifiers(event, UNSHARED.identity)}
        and event.restriction.identity_key not in erased
    ]
    never, world = World(UNSHARED), World(UNSHARED)
    for event in others:
        never.take(event)
    made.append(erasure(keys, NOON_MS))
    rng.shuffle(made)
    at = 0
    for turn in range(len(made)):
        size = sizes[turn % len(sizes)]
        world.take(*made[at : at + size])
        at += size
    kept = {place: data for place, data in world.kept.items() if place[0] in (STRAND, CLUSTER, CLUSTER_OF)}
    assert not erased & world.identities.keys()
    assert not erased & {key for _, key in kept}
    assert not any(key in data for key in erased for data in (*kept.values(), *world.data.values()))
    # Events that name the erased and others are left out or not, by when they are read; nothing else of others changes.
    assert world.identities.keys() >= never.identities.keys()
    assert world.created == len(world.profiles)
