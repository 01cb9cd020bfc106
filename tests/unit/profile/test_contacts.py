"""Which events tell contacts, and which contacts are kept."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.events import HOUR_MS, NOON_MS, page, track

from wayline.catalog.contact import DECISION_EVENT
from wayline.catalog.model import Catalog
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.contacts import MAX_CONTACTS, MAX_SELECTIONS, order_of, united
from wayline_profile.core.fold import definitions_of, fold_into, timestamp_ms

DEFINITIONS = definitions_of(Catalog.model_validate({"outcomes": {"conversion": ["Order Completed", "Signed Up"]}}))
Event = events_pb2.Event
ContactState = profile_pb2.ContactState


def told(*events: Event) -> list[ContactState]:
    """The contacts of a customer of whom these events arrived, in this order."""
    profile = profile_pb2.Profile()
    for event in events:
        fold_into(profile, event, timestamp_ms(event), DEFINITIONS)
    return list(profile.contacts)


def facts(*events: Event) -> list[tuple[str, str, str]]:
    return [(one.contact.outcome, one.contact.action, one.contact.channel) for one in told(*events)]


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ("Impression", "impression"),
        ("Click", "click"),
        ("Dismissal", "dismissal"),
        ("Order Completed", "conversion"),
        ("Signed Up", "conversion"),
    ],
)
def test_a_declared_event_that_names_an_action_is_a_contact(event: str, outcome: str) -> None:
    (state,) = told(track(event, {"action": "shoes", "decision_id": "d1", "channel": "email"}, message_id="m"))
    assert state.message_id == "m"
    assert state.contact == profile_pb2.Contact(
        outcome=outcome, action="shoes", channel="email", timestamp_ms=NOON_MS, decision_id="d1"
    )


def test_the_outcome_that_the_documentation_shows_is_a_contact() -> None:
    text = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
    examples = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert facts(*(json_format.Parse(example, Event()) for example in examples)) == [
        ("dismissal", "running-shoes", "web")
    ]


def test_an_event_that_the_catalogue_does_not_declare_is_no_contact() -> None:
    assert told(track("Conversion", {"action": "shoes"}), track("Viewed", {"action": "shoes"})) == []


def test_a_page_of_the_name_of_an_outcome_is_no_contact() -> None:
    assert told(page("Click", {"action": "shoes"})) == []


@pytest.mark.parametrize("action", [None, "", 7, True, "x" * 65, ["shoes"], {"id": "shoes"}])
def test_an_outcome_that_names_no_action_is_no_contact(action: Any) -> None:
    assert told(track("Click", {"action": action}), track("Click")) == []


@pytest.mark.parametrize("decision_id", [None, 7, "d" * 65])
def test_an_outcome_without_a_proper_decision_id_still_counts(decision_id: Any) -> None:
    (state,) = told(track("Click", {"action": "shoes", "decision_id": decision_id}))
    assert state.contact.decision_id == ""


@pytest.mark.parametrize(
    ("channel", "expected"), [("email", "email"), (None, "web"), (7, "web"), ("", "web"), ("x" * 65, "web")]
)
def test_the_channel_is_the_one_named_else_that_of_the_context(channel: Any, expected: str) -> None:
    event = track("Impression", {"action": "shoes", "channel": channel})
    event.context.channel = "web"
    assert facts(event) == [("impression", "shoes", expected)]


def test_reading_an_event_leaves_it_as_it_came() -> None:
    event = track("Click", {"other": 1})
    before = event.SerializeToString(deterministic=True)
    told(event)
    assert event.SerializeToString(deterministic=True) == before


def test_a_decision_is_a_contact_for_each_action_it_chose() -> None:
    chosen = [{"action": "shoes", "channel": "web"}, {"action": "boots", "channel": "email"}]
    states = told(track(DECISION_EVENT, {"decision_id": "d1", "selections": chosen}))
    assert [(one.contact.action, one.contact.channel) for one in states] == [("boots", "email"), ("shoes", "web")]
    assert {(one.contact.outcome, one.contact.decision_id) for one in states} == {("decision", "d1")}


def test_an_action_chosen_twice_on_one_channel_by_one_decision_is_one_contact() -> None:
    chosen = [{"action": "shoes", "channel": "web"}] * 2
    assert facts(track(DECISION_EVENT, {"selections": chosen})) == [("decision", "shoes", "web")]


def test_an_action_chosen_on_two_channels_by_one_decision_is_two_contacts() -> None:
    chosen = [{"action": "shoes", "channel": "web"}, {"action": "shoes", "channel": "email"}]
    assert len(told(track(DECISION_EVENT, {"selections": chosen}))) == 2


@pytest.mark.parametrize("selections", [None, "shoes", 7, [], ["shoes"], [{"channel": "web"}], {"action": "shoes"}])
def test_a_decision_that_chose_nothing_is_no_contact(selections: Any) -> None:
    assert told(track(DECISION_EVENT, {"selections": selections}), track(DECISION_EVENT)) == []


def test_of_a_decisions_selections_the_first_fifty_count() -> None:
    chosen = [{"action": f"a{number:02}"} for number in range(MAX_SELECTIONS + 10)]
    actions = [one.contact.action for one in told(track(DECISION_EVENT, {"selections": chosen}))]
    assert actions == [f"a{number:02}" for number in range(MAX_SELECTIONS)]


def click(number: int, at_ms: int | None = None) -> Event:
    at_ms = NOON_MS + number if at_ms is None else at_ms
    return track("Click", {"action": f"a{number}"}, at_ms=at_ms, message_id=f"m{number:04}")


def test_contacts_stand_in_the_order_of_their_time_whatever_came_first() -> None:
    numbers = [5, 1, 4, 2, 3]
    assert [one.contact.action for one in told(*map(click, numbers))] == ["a1", "a2", "a3", "a4", "a5"]


def test_the_latest_500_contacts_are_kept() -> None:
    states = told(*(click(number) for number in range(MAX_CONTACTS + 20)))
    assert [one.contact.action for one in states] == [f"a{number}" for number in range(20, MAX_CONTACTS + 20)]


def test_a_contact_older_than_500_others_comes_too_late() -> None:
    full = [click(number) for number in range(MAX_CONTACTS)]
    late = click(999, at_ms=NOON_MS - HOUR_MS)
    assert told(*full, late) == told(late, *full) == told(*full)


def test_a_late_contact_pushes_out_the_oldest_of_500() -> None:
    full = [click(number) for number in range(MAX_CONTACTS)]
    states = told(*full, click(999, at_ms=NOON_MS + 100))
    assert len(states) == MAX_CONTACTS
    assert states[0].contact.action == "a1"
    assert "a999" in {one.contact.action for one in states}


def test_a_contact_that_is_repeated_after_its_message_id_was_forgotten_counts_once() -> None:
    events = [click(1), click(2), click(3)]
    assert told(*events, click(2)) == told(*events)


def test_the_latest_500_of_two_customers_that_become_one_are_kept() -> None:
    ours = told(*(click(number) for number in range(0, 800, 2)))
    theirs = told(*(click(number) for number in range(1, 800, 2)))
    both = united(ours, theirs)
    assert [one.contact.action for one in both] == [f"a{number}" for number in range(300, 800)]
    assert both == united(theirs, ours)


@given(st.randoms(use_true_random=False), st.integers(0, 1_200))
@settings(max_examples=10, deadline=None)
def test_a_full_list_of_contacts_depends_neither_on_order_nor_on_where_it_was_kept(
    rng: random.Random, cut: int
) -> None:
    # Many at the same time, so that the message id decides.
    events = [click(number, at_ms=NOON_MS + number // 7) for number in range(1_200)]
    whole = told(*events)
    rng.shuffle(events)
    assert told(*events) == united(told(*events[:cut]), told(*events[cut:])) == whole
    assert sorted(whole, key=order_of) == whole
