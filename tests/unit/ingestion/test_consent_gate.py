"""The consent gate: what an event's own consent does not allow is not stored."""

from __future__ import annotations

from typing import Any

import pytest

from wayline.catalog.model import Catalog
from wayline.v1 import events_pb2
from wayline_ingestion.core.consent_gate import CONSENT_EVENT, PASSED, ConsentGate, Outcome, Verdict, stripped

PURPOSES = {
    "analytics": {"defaults": {"US": "granted"}},
    "ads": {"default": "granted", "sale_or_sharing": True},
    "care": {"legal_basis": "legitimate_interests"},
}
EVENTS = {
    "Ad Clicked": "ads",
    "Ticket Opened": "care",
    "Order Completed": {"purpose": "none", "legal_basis": "contract"},
    "page": "care",
}
GATE = ConsentGate.of(
    Catalog.model_validate({"purposes": PURPOSES, "collection": {"purpose": "analytics", "events": EVENTS}})
)
DENIED, UNKNOWN = (Verdict(Outcome.REFUSE, "analytics", "", why) for why in ("denied", "unknown"))


def a_track(name: str = "Product Viewed", *, region: str = "", **consent: Any) -> events_pb2.Event:
    event = events_pb2.Event(
        message_id="m1",
        type=events_pb2.EVENT_TYPE_TRACK,
        name=name,
        anonymous_id="a1",
        context=events_pb2.EventContext(region=region, locale="en-GB", channel="web"),
        source="shop-web",
    )
    event.properties["sku"] = "red-shoe"
    event.timestamp.FromSeconds(1_700_000_000)
    if consent:
        event.context.consent.CopyFrom(events_pb2.Consent(**consent))
    return event


def said(**words: bool) -> dict[str, Any]:
    return {"category_preferences": words}


def test_without_a_section_on_collection_everything_is_stored():
    gate = ConsentGate.of(Catalog.model_validate({"purposes": PURPOSES}))
    assert gate.judge(a_track(**said(analytics=False))) is PASSED


def test_an_event_is_stored_when_its_own_consent_allows_its_purpose():
    assert GATE.judge(a_track(**said(analytics=True))) is PASSED


def test_an_event_that_says_nothing_of_consent_is_refused_where_the_default_is_denied():
    assert GATE.judge(a_track()) == UNKNOWN
    assert GATE.judge(a_track(region="DE")) == UNKNOWN._replace(region="DE")


def test_an_event_that_says_nothing_of_consent_is_stored_where_the_default_is_granted():
    assert GATE.judge(a_track(region="US-CA")) is PASSED


def test_a_word_that_refuses_is_kept_and_nothing_else_of_the_event():
    verdict = GATE.judge(a_track(**said(analytics=False)))
    assert verdict == DENIED._replace(outcome=Outcome.STRIP)


def test_a_word_on_another_purpose_is_kept_although_the_event_is_not_stored():
    verdict = GATE.judge(a_track(**said(ads=False)))
    assert verdict == UNKNOWN._replace(outcome=Outcome.STRIP)


def test_an_empty_consent_says_nothing_and_is_not_kept():
    assert GATE.judge(a_track(source="banner")).outcome is Outcome.REFUSE


@pytest.mark.parametrize("signal", ["global_privacy_control", "do_not_sell_or_share"])
def test_an_opt_out_stops_what_is_sold_or_shared_and_is_kept(signal: str):
    assert GATE.judge(a_track("Ad Clicked")) is PASSED
    assert GATE.judge(a_track("Ad Clicked", **{signal: False})) is PASSED
    verdict = GATE.judge(a_track("Ad Clicked", **{signal: True}, **said(ads=True)))
    assert verdict == Verdict(Outcome.STRIP, "ads", "", "denied")


def test_a_signal_that_is_taken_back_is_kept_too():
    assert GATE.judge(a_track(global_privacy_control=False)).outcome is Outcome.STRIP


def test_a_necessary_event_is_stored_whatever_was_said():
    assert GATE.judge(a_track("Order Completed", **said(analytics=False, ads=False))) is PASSED


def test_legitimate_interests_store_until_the_customer_objects():
    assert GATE.judge(a_track("Ticket Opened")) is PASSED
    assert GATE.judge(a_track("Ticket Opened", **said(care=False))).outcome is Outcome.STRIP


def test_the_word_page_stands_for_every_page_and_for_nothing_else():
    page = a_track("Pricing")
    page.type = events_pb2.EVENT_TYPE_PAGE
    assert GATE.judge(page) is PASSED
    screen = a_track("Pricing")
    screen.type = events_pb2.EVENT_TYPE_SCREEN
    assert GATE.judge(screen) == UNKNOWN
    assert GATE.judge(a_track("page")) == UNKNOWN


def test_judging_does_not_change_the_event():
    event = a_track()
    before = event.SerializeToString(deterministic=True)
    GATE.judge(event)
    assert event.SerializeToString(deterministic=True) == before


def test_what_was_done_becomes_a_mere_statement_of_consent():
    event = a_track(region="US-CA", **said(analytics=False), global_privacy_control=True, text_version="v7")
    event.identifiers.add(kind="email", value="ann@example.com")
    event.context.other["ip"] = "192.0.2.1"
    rest = stripped(event)

    assert rest.name == CONSENT_EVENT
    assert (rest.message_id, rest.anonymous_id, rest.identifiers[0].value) == ("m1", "a1", "ann@example.com")
    assert (rest.timestamp, rest.context.region, rest.source) == (event.timestamp, "US-CA", "shop-web")
    assert rest.context.consent == event.context.consent
    assert not rest.HasField("properties")
    assert {field.name for field, _ in rest.context.ListFields()} == {"consent", "region"}


@pytest.mark.parametrize("kind", [events_pb2.EVENT_TYPE_IDENTIFY, events_pb2.EVENT_TYPE_ALIAS])
def test_what_joins_identifiers_goes_on_joining_them_without_what_else_it_told(kind: events_pb2.EventType):
    event = a_track("", **said(analytics=False))
    event.type, event.user_id, event.previous_id = kind, "u1", "p1"
    event.traits["tier"] = "gold"
    rest = stripped(event)
    assert (rest.type, rest.name, rest.user_id, rest.previous_id) == (kind, "", "u1", "p1")
    assert not rest.HasField("traits")


@pytest.mark.parametrize(
    "kind", [events_pb2.EVENT_TYPE_PAGE, events_pb2.EVENT_TYPE_SCREEN, events_pb2.EVENT_TYPE_GROUP]
)
def test_pages_screens_and_groups_become_statements_too(kind: events_pb2.EventType):
    event = a_track("Pricing", **said(analytics=False))
    event.type, event.group_id = kind, "acme"
    rest = stripped(event)
    assert (rest.type, rest.name, rest.group_id) == (events_pb2.EVENT_TYPE_TRACK, CONSENT_EVENT, "")
