"""What events state of a customer: the later counts, the stricter of two at once, the smallest names beyond a limit."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.events import HOUR_MS, NOON_MS, identify, restriction, track
from tests.support.traits import a_reading

from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core import statements
from wayline_profile.core.fold import fold, merge
from wayline_profile.core.values import view_of

READING = a_reading()
Event = events_pb2.Event
Profile = profile_pb2.Profile


def folded(events: Sequence[Event]) -> Profile:
    profile = Profile()
    for event in events:
        profile = fold(profile, event, READING.definitions)
    return profile


def bytes_of(profile: Profile) -> bytes:
    return profile.SerializeToString(deterministic=True)


def said(at_ms: int = NOON_MS, message_id: str = "", **consent: object) -> Event:
    event = track("Consent", user="u", at_ms=at_ms, message_id=message_id)
    event.context.consent.MergeFrom(events_pb2.Consent(**consent))
    return event


def test_consent_is_kept_with_its_source_its_text_and_its_basis() -> None:
    preferences = {"ads": True, "service": False}
    event = said(
        category_preferences=preferences, source="banner", text_version="v7", legal_bases={"service": "contract"}
    )
    kept = folded([event]).consents
    assert (kept["ads"].source, kept["ads"].text_version, kept["ads"].legal_basis) == ("banner", "v7", "")
    assert kept["service"].legal_basis == "contract"


def test_a_privacy_signal_holds_until_a_later_event_takes_it_back() -> None:
    on, off = said(global_privacy_control=True), said(NOON_MS + HOUR_MS, global_privacy_control=False)
    for events in ([on, off], [off, on]):
        assert not view_of(folded(events), READING, NOON_MS, 1).opted_out
    assert view_of(folded([on]), READING, NOON_MS, 1).opted_out
    assert view_of(folded([said(do_not_sell_or_share=True)]), READING, NOON_MS, 1).opted_out


def test_of_two_signals_at_the_same_moment_the_stricter_wins() -> None:
    yes, no = said(message_id="a", global_privacy_control=True), said(message_id="b", global_privacy_control=False)
    assert folded([yes, no]).global_privacy_control.holds
    assert folded([no, yes]).global_privacy_control.holds


def test_an_event_that_says_nothing_of_signals_leaves_them_unknown() -> None:
    profile = folded([said(category_preferences={"ads": True})])
    assert not profile.HasField("global_privacy_control")
    assert not profile.HasField("do_not_sell_or_share")


def test_a_restriction_is_in_the_view_and_no_sign_of_life() -> None:
    seen, restricted = (
        track("Viewed", user="u"),
        restriction(("user_id", "u"), restricted=True, at_ms=NOON_MS + HOUR_MS),
    )
    profile = folded([seen, restricted])
    assert view_of(profile, READING, NOON_MS, 1).restricted
    assert (profile.event_count, profile.last_seen_ms) == (1, NOON_MS)
    lifted = restriction(("user_id", "u"), restricted=False, at_ms=NOON_MS + 2 * HOUR_MS)
    assert not view_of(folded([lifted, seen, restricted]), READING, NOON_MS, 1).restricted


def test_the_region_is_that_of_the_latest_event_which_named_one() -> None:
    there, here = track("Viewed", user="u", at_ms=NOON_MS), track("Viewed", user="u", at_ms=NOON_MS + 1)
    there.context.region, here.context.region = "US-CA", "FR"
    events = [here, there, track("Viewed", user="u", at_ms=NOON_MS + 2)]
    assert view_of(folded(events), READING, NOON_MS, 1).region == "FR"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles that keep three attributes and two consents."""
    monkeypatch.setattr(statements, "MAX_ATTRIBUTES", 3)
    monkeypatch.setattr(statements, "MAX_CONSENTS", 2)


@pytest.mark.usefixtures("few")
def test_beyond_the_limit_the_smallest_names_stay() -> None:
    profile = folded([identify({name: 1}, user="u", consent={name: True}) for name in "dbeac"])
    assert (sorted(profile.attributes), sorted(profile.consents)) == (["a", "b", "c"], ["a", "b"])


letters = st.sampled_from("abcdef")
stated = st.lists(
    st.builds(
        lambda name, purpose, yes, signal, at: (name, purpose, yes, signal, NOON_MS + at),
        letters, letters, st.booleans(), st.sampled_from([None, True, False]), st.integers(0, 3),
    ),
    max_size=12,
)  # fmt: skip


@pytest.mark.usefixtures("few")
@given(stated, st.randoms(use_true_random=False), st.integers(0, 12))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_neither_order_nor_a_merge_can_be_told_from_what_is_kept(
    facts: list[tuple[str, str, bool, bool | None, int]], rng: random.Random, cut: int
) -> None:
    events = []
    for number, (name, purpose, yes, signal, at_ms) in enumerate(facts):
        event = identify({name: number}, user="u", at_ms=at_ms, message_id=f"m{number}", consent={purpose: yes})
        if signal is not None:
            event.context.consent.global_privacy_control = signal
        events += [event, restriction(("user_id", "u"), restricted=yes, at_ms=at_ms, message_id=f"r{number}")]
    whole = bytes_of(folded(events))
    rng.shuffle(events)
    assert bytes_of(folded(events)) == whole
    one, other = folded(events[:cut]), folded(events[cut:])
    assert bytes_of(merge(one, other, READING.definitions)) == whole
    assert bytes_of(merge(other, one, READING.definitions)) == whole
