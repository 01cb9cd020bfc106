"""The fold as a whole: pure, and the same whatever the order and the batching."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.events import DAY_MS, HOUR_MS, NOON_MS, identify, track

from wayline.catalog.model import Catalog
from wayline.identity import identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core import contacts
from wayline_profile.core.fold import definitions_of, fold, merge
from wayline_profile.core.values import reading_of, values_of, view_of

CATALOG = Catalog.model_validate(
    {
        "traits": {
            "views": {"kind": "count", "event": "Viewed"},
            "views_24h": {"kind": "count", "event": "Viewed", "window": "24h"},
            "spend": {"kind": "sum", "event": "Bought", "property": "total"},
            "spend_7d": {"kind": "sum", "event": "Bought", "property": "total", "window": "7d"},
            "last_color": {"kind": "last", "event": "Viewed", "property": "color"},
            "first_color": {"kind": "first", "event": "Viewed", "property": "color"},
            "colors": {"kind": "distinct", "event": "Viewed", "property": "color"},
            "colors_24h": {"kind": "distinct", "event": "Viewed", "property": "color", "window": "24h"},
            "color_affinity": {"kind": "affinity", "event": "Viewed", "property": "color", "half_life": "1d"},
            "color": {"kind": "top", "of": "color_affinity", "min_weight": 0.001},
            "city": {"kind": "attribute"},
        },
        "outcomes": {"click": "Link Clicked"},
    }
)
DEFINITIONS = definitions_of(CATALOG)
READING = reading_of(CATALOG)
Profile = profile_pb2.Profile

times = st.integers(NOON_MS - 10 * DAY_MS, NOON_MS)
# Few, so that many happen at the same time.
moments = st.integers(NOON_MS, NOON_MS + 3)
colors = st.sampled_from(["red", "blue", "white"])
outcome_names = st.sampled_from(["Impression", "Link Clicked", "Dismissal"])
actions = st.sampled_from(["shoes", "boots"])
selections = st.lists(st.builds(lambda action: {"action": action, "channel": "web"}, actions), max_size=3)
events = st.lists(
    st.one_of(
        st.builds(lambda at, color: ("Viewed", {"color": color}, at), times, colors),
        st.builds(lambda at, total: ("Bought", {"total": total}, at), times, st.floats(0.01, 1_000)),
        st.builds(lambda at, city: ("identify", {"city": city}, at), times, st.sampled_from(["Rome", "Oslo"])),
        st.builds(lambda at, yes: ("consent", {"ads": yes}, at), times, st.booleans()),
        st.builds(lambda at, name, action: (name, {"action": action}, at), moments, outcome_names, actions),
        st.builds(lambda at, chosen: ("Decision Made", {"selections": chosen}, at), moments, selections),
        st.builds(lambda at, zone: ("zone", {"zone": zone}, at), moments, st.sampled_from(["Asia/Tokyo", "Mars/X"])),
    ),
    max_size=30,
)


def built(facts: list[tuple[str, dict[str, Any], int]]) -> list[events_pb2.Event]:
    """Events with message ids that do not depend on their order."""
    made = []
    for number, (name, facts_of, at_ms) in enumerate(facts):
        message_id = f"m{number:03}"
        if name == "identify":
            made.append(identify(facts_of, user="u", at_ms=at_ms, message_id=message_id))
        elif name == "consent":
            made.append(track("Consent", user="u", at_ms=at_ms, message_id=message_id, consent=facts_of))
        elif name == "zone":
            made.append(in_zone(facts_of["zone"], at_ms, message_id))
        else:
            # Of several browsers, so that their first events lead to different origins.
            made.append(track(name, facts_of, browser=f"b{number % 3}", at_ms=at_ms, message_id=message_id))
    return made


def in_zone(zone: str, at_ms: int = NOON_MS, message_id: str = "") -> events_pb2.Event:
    event = track("Opened", user="u", at_ms=at_ms, message_id=message_id)
    event.context.timezone = zone
    return event


def folded(events_: list[events_pb2.Event]) -> Profile:
    profile = Profile()
    for event in events_:
        profile = fold(profile, event, DEFINITIONS)
    return profile


def assert_same(one: Profile, other: Profile) -> None:
    """Byte for byte."""
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


@pytest.fixture
def few_contacts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles that keep 4 contacts: the limit is reached by a few events."""
    monkeypatch.setattr(contacts, "MAX_CONTACTS", 4)


@given(events, st.randoms(use_true_random=False))
def test_the_profile_does_not_depend_on_the_order_of_events(facts: Any, rng: random.Random) -> None:
    made = built(facts)
    shuffled = made.copy()
    rng.shuffle(shuffled)
    assert_same(folded(made), folded(shuffled))


@given(events, st.data())
def test_merging_two_halves_is_folding_the_whole(facts: Any, data: st.DataObject) -> None:
    made = built(facts)
    first = [event for event in made if data.draw(st.booleans())]
    ids = {event.message_id for event in first}
    second = [event for event in made if event.message_id not in ids]
    assert_same(merge(folded(first), folded(second), DEFINITIONS), folded(made))


@pytest.mark.usefixtures("few_contacts")
@given(events, events, events, st.randoms(use_true_random=False))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_contacts_zone_and_origin_are_the_same_however_three_browsers_became_one_customer(
    one: Any, two: Any, three: Any, rng: random.Random
) -> None:
    made = built([*one, *two, *three])
    a, b, c = (folded(made[start::3]) for start in range(3))
    rng.shuffle(made)
    whole = folded(made)
    for merged in (
        merge(merge(a, b, DEFINITIONS), c, DEFINITIONS),
        merge(c, merge(b, a, DEFINITIONS), DEFINITIONS),
        merge(b, merge(a, c, DEFINITIONS), DEFINITIONS),
    ):
        assert list(merged.contacts) == list(whole.contacts)
        assert (merged.timezone, merged.origin) == (whole.timezone, whole.origin)
    assert len(whole.contacts) <= 4


@given(events)
@settings(max_examples=30)
def test_the_same_events_give_the_same_bytes(facts: Any) -> None:
    made = built(facts)
    assert folded(made).SerializeToString(deterministic=True) == folded(made).SerializeToString(deterministic=True)


def test_the_fold_leaves_the_profile_it_was_given_alone() -> None:
    before = folded(built([("Viewed", {"color": "red"}, NOON_MS)]))
    kept = before.SerializeToString(deterministic=True)
    fold(before, track("Viewed", {"color": "blue"}, user="u"), DEFINITIONS)
    assert before.SerializeToString(deterministic=True) == kept


def test_the_time_of_receipt_changes_nothing_when_the_event_has_its_own() -> None:
    early, late = track("Viewed", {"color": "red"}, message_id="m"), track("Viewed", {"color": "red"}, message_id="m")
    late.received_at.FromMilliseconds(NOON_MS + DAY_MS)
    assert fold(Profile(), early, DEFINITIONS) == fold(Profile(), late, DEFINITIONS)


def test_an_event_without_a_time_happened_when_it_was_received() -> None:
    event = track("Viewed")
    event.ClearField("timestamp")
    event.received_at.FromMilliseconds(NOON_MS + 7)
    assert fold(Profile(), event, DEFINITIONS).last_seen_ms == NOON_MS + 7


def test_a_consent_that_is_withdrawn_later_is_withdrawn_even_if_the_yes_arrives_last() -> None:
    no = track("Consent", at_ms=NOON_MS, consent={"ads": False})
    yes = track("Consent", at_ms=NOON_MS - HOUR_MS, consent={"ads": True})
    assert not folded([no, yes]).consents["ads"].granted


def test_of_two_words_at_the_same_time_the_stricter_wins() -> None:
    words = [
        track("Consent", message_id=name, consent={"ads": granted}) for name, granted in (("a", True), ("b", False))
    ]
    assert not folded(words).consents["ads"].granted
    assert not folded(words[::-1]).consents["ads"].granted


@pytest.mark.parametrize("name", ["views", "views_24h", "city"])
def test_a_trait_without_evidence_is_left_out(name: str) -> None:
    assert name not in values_of(folded([]), READING, NOON_MS)[0]


def test_the_time_zone_is_that_of_the_latest_event_even_if_it_arrives_first() -> None:
    moved = [in_zone("Asia/Tokyo", NOON_MS), in_zone("Europe/Paris", NOON_MS - HOUR_MS)]
    assert folded(moved).timezone.name == folded(moved[::-1]).timezone.name == "Asia/Tokyo"


def test_of_two_time_zones_at_the_same_time_the_greater_message_id_wins() -> None:
    zones = [in_zone("Asia/Tokyo", message_id="a"), in_zone("Europe/Paris", message_id="b")]
    assert folded(zones).timezone.name == folded(zones[::-1]).timezone.name == "Europe/Paris"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "europe/paris", "../../etc/passwd", "localtime", "GMT+25", " "])
def test_a_time_zone_that_does_not_exist_leaves_the_last_good_one(zone: str) -> None:
    events_ = [in_zone("Europe/Paris", NOON_MS - HOUR_MS), in_zone(zone)]
    assert folded(events_).timezone.name == "Europe/Paris"


def test_an_event_that_names_no_time_zone_leaves_it_as_it_was() -> None:
    events_ = [in_zone("Europe/Paris", NOON_MS - HOUR_MS), track("Opened", user="u")]
    assert folded(events_).timezone.name == "Europe/Paris"


def test_the_origin_is_the_earliest_event_even_if_it_arrives_last() -> None:
    later, first = track("Viewed", user="ada"), track("Viewed", browser="b", at_ms=NOON_MS - HOUR_MS, message_id="m")
    origin = folded([later, first]).origin
    assert (origin.message_id, origin.timestamp_ms) == ("m", NOON_MS - HOUR_MS)
    assert origin.identity_key == identity_key("anonymous_id", "b")


def test_of_two_first_events_at_the_same_time_the_smaller_message_id_is_the_origin() -> None:
    both = [track("Viewed", browser="b1", message_id="a"), track("Viewed", browser="b2", message_id="b")]
    assert folded(both).origin.message_id == folded(both[::-1]).origin.message_id == "a"


def test_a_profile_from_before_origins_were_kept_begins_with_its_next_event() -> None:
    old = Profile(profile_id="old", event_count=7, first_seen_ms=NOON_MS - DAY_MS, last_seen_ms=NOON_MS - HOUR_MS)
    assert fold(old, track("Viewed", user="u", message_id="next"), DEFINITIONS).origin.message_id == "next"


def test_a_customer_from_before_origins_were_kept_takes_that_of_the_other_at_a_merge() -> None:
    new = folded([track("Viewed", browser="b", message_id="m")])
    old = Profile(event_count=7)
    assert merge(old, new, DEFINITIONS).origin == merge(new, old, DEFINITIONS).origin == new.origin


def test_the_view_carries_contacts_zone_and_lot_but_no_message_ids() -> None:
    clicked = track("Link Clicked", {"action": "shoes", "decision_id": "d1"}, user="u", message_id="secret-id")
    clicked.context.timezone, clicked.context.channel = "Europe/Paris", "web"
    view = view_of(folded([clicked]), READING, NOON_MS, version=1)
    told = profile_pb2.Contact(outcome="click", action="shoes", channel="web", timestamp_ms=NOON_MS, decision_id="d1")
    assert list(view.contacts) == [told]
    assert (view.timezone, view.lot) == ("Europe/Paris", identity_key("user_id", "u"))
    assert b"secret-id" not in view.SerializeToString()


def test_the_view_of_a_customer_of_whom_nothing_of_this_is_known_says_nothing() -> None:
    view = view_of(Profile(), READING, NOON_MS, version=1)
    assert (list(view.contacts), view.timezone, view.lot) == ([], "", b"")
