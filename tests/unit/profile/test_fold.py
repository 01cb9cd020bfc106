"""The fold as a whole: pure, and the same whatever the order and the batching."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.events import DAY_MS, HOUR_MS, NOON_MS, identify, track

from wayline.catalog.model import Catalog
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.fold import definitions_of, fold, merge
from wayline_profile.core.values import reading_of, values_of

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
        }
    }
)
DEFINITIONS = definitions_of(CATALOG)
READING = reading_of(CATALOG)
Profile = profile_pb2.Profile

times = st.integers(NOON_MS - 10 * DAY_MS, NOON_MS)
colors = st.sampled_from(["red", "blue", "white"])
# Whole amounts: their sums are exact in any order.
events = st.lists(
    st.one_of(
        st.builds(lambda at, color: ("Viewed", {"color": color}, at), times, colors),
        st.builds(lambda at, total: ("Bought", {"total": total}, at), times, st.integers(1, 1_000)),
        st.builds(lambda at, city: ("identify", {"city": city}, at), times, st.sampled_from(["Rome", "Oslo"])),
        st.builds(lambda at, yes: ("consent", {"ads": yes}, at), times, st.booleans()),
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
        else:
            made.append(track(name, facts_of, user="u", at_ms=at_ms, message_id=message_id))
    return made


def folded(events_: list[events_pb2.Event]) -> Profile:
    profile = Profile()
    for event in events_:
        profile = fold(profile, event, DEFINITIONS)
    return profile


def without_affinities(profile: Profile) -> bytes:
    """All but the affinities, whose last bits depend on the order of additions."""
    rest = Profile()
    rest.CopyFrom(profile)
    rest.states.pop("color_affinity", None)
    return rest.SerializeToString(deterministic=True)


def assert_same(one: Profile, other: Profile) -> None:
    assert without_affinities(one) == without_affinities(other)
    for now_ms in (NOON_MS, NOON_MS + 12 * HOUR_MS):
        ours, theirs = (values_of(profile, READING, now_ms)[0].get("color_affinity", {}) for profile in (one, other))
        for color in {*ours, *theirs}:
            # One side may have dropped what the other keeps just above the limit of what is negligible.
            assert math.isclose(ours.get(color, 0.01), theirs.get(color, 0.01), rel_tol=1e-6)


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
