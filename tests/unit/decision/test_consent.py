"""Consent in decisions: what is denied is not used, whatever the view holds, and the answer says why."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.decisions import a_plan, a_question, an_action, chosen, decided

from wayline.catalog.consent import Said
from wayline.v1 import profile_pb2
from wayline_decision.core.consent import consent_standing
from wayline_decision.core.decision import Decision, Personalisation
from wayline_decision.core.explain import dropped
from wayline_decision.core.plan import Plan, Stage
from wayline_decision.views import Entry, known_of

FIELDS: dict[str, Any] = {
    "purposes": {
        "personalisation": {"default": "granted", "defaults": {"EU": "denied"}},
        "email": {"default": "granted", "sale_or_sharing": True},
    },
    "channels": {"web": {}, "mail": {"purpose": "email", "direction": "outbound"}, "post": {"direction": "outbound"}},
    "placements": {
        "hero": {"channel": "web"},
        "offer": {"channel": "mail", "fallback": {"title": "Never sent without consent"}},
        "letter": {"channel": "post"},
    },
}
TREATMENTS = [{"id": "main", "placements": ["hero", "offer", "letter"]}]


def plan_of(**fields: Any) -> Plan:
    fan = an_action("fan", eligibility="profile.views > 2", propensity=0.9, treatments=TREATMENTS)
    return a_plan([fan, an_action("all", treatments=TREATMENTS)], **{**FIELDS, **fields})


PLAN = plan_of()


def a_decision(said: Said, *placements: str, plan: Plan = PLAN) -> Decision:
    return decided(plan, a_question(plan, *placements, profile={"views": 3}, said=said))


def why(decision: Decision, placement: int = 0) -> tuple[Stage, str, str]:
    found = next(iter(dropped(PLAN, decision, decision.placements[placement])))
    return found.stage, found.reason, found.change


def test_the_default_of_the_region_decides_while_the_customer_has_said_nothing():
    assert chosen(PLAN, a_decision(Said(region="US-CA"))) == ["fan"]
    in_france = a_decision(Said(region="FR"))
    assert in_france.personalisation is Personalisation.NO_CONSENT
    assert chosen(PLAN, in_france) == ["all"]
    assert chosen(PLAN, a_decision(Said({"personalisation": True}, region="FR"))) == ["fan"]


def test_an_opt_out_of_sale_and_sharing_silences_a_channel_that_shares_and_no_other():
    decision = a_decision(Said({"email": True}, opted_out=True), "offer", "hero")
    assert chosen(PLAN, decision, 0) == []
    stage, reason, change = why(decision)
    assert stage is Stage.CONSENT
    assert reason.startswith("no consent for email: the customer has opted out of sale and sharing (Global Privacy")
    assert change == "the customer would have to take back the opt-out"
    assert chosen(PLAN, decision, 1) == ["fan"]


def test_a_no_is_told_from_nothing_said():
    decision = a_decision(Said({"email": False}), "offer")
    assert why(decision)[1:] == (
        "no consent for email: the customer said no",
        "the customer would have to allow email",
    )


def test_under_restriction_the_customer_is_answered_as_a_stranger_and_never_turned_to():
    everything = Said({"personalisation": True, "email": True}, restricted=True)
    decision = a_decision(everything, "hero", "offer", "letter")
    assert decision.personalisation is Personalisation.NO_CONSENT
    assert chosen(PLAN, decision, 0) == ["all"]
    for at in (1, 2):
        assert chosen(PLAN, decision, at) == []
        assert why(decision, at)[1] == "processing is restricted"


def test_a_restriction_holds_where_personalisation_needs_no_consent():
    plan = plan_of(personalisation=None)
    assert chosen(plan, a_decision(Said(), plan=plan)) == ["fan"]
    assert chosen(plan, a_decision(Said(restricted=True), plan=plan)) == ["all"]


def test_while_what_the_customer_said_cannot_be_read_no_default_stands_for_it():
    decision = decided(PLAN, a_question(PLAN, "hero", "offer", "letter", known=False, reachable=False))
    assert chosen(PLAN, decision, 0) == ["all"]
    for at, reason in ((1, "no consent for email: what the"), (2, "what the")):
        assert chosen(PLAN, decision, at) == []
        stage, said, change = why(decision, at)
        assert stage is Stage.CONSENT
        assert said == f"{reason} customer said could not be read"
        assert change == "the profile service would have to answer"


def a_view(**fields: Any) -> profile_pb2.CustomerView:
    traits = PLAN.schema.traits(views=3).SerializeToString()
    contact = profile_pb2.Contact(outcome="click", action="all", timestamp_ms=1)
    return profile_pb2.CustomerView(traits=traits, timezone="Asia/Tokyo", contacts=[contact], lot=b"l" * 16, **fields)


def test_a_view_tells_all_that_consent_depends_on():
    known = known_of(a_view(consents={"email": True}, region="FR", opted_out=True), PLAN)
    assert known.said == Said({"email": True}, "FR", True, False)
    assert known.traits.views == 3


@pytest.mark.parametrize("plan", [PLAN, plan_of(contact={"caps": [{"limit": 1, "window": "7d"}]})])
def test_of_a_restricted_view_nothing_is_read(plan: Plan):
    known = known_of(a_view(restricted=True), plan)
    assert known.said.restricted
    assert (known.traits.views, known.facts.ByteSize(), known.contacts, known.timezone) == (0, 0, (), "")


def test_a_standing_is_worked_out_once_for_a_view():
    known = Entry(a_view(region="FR")).known(PLAN)
    assert consent_standing(PLAN, known, "personalisation") is consent_standing(PLAN, known, "personalisation")
    assert not consent_standing(PLAN, known, "personalisation").allowed
    assert consent_standing(PLAN, known, "email").allowed


LABELLED = {
    **FIELDS,
    "context": {"city": {"labels": "location"}, "device": {}},
    "purposes": {**FIELDS["purposes"], "personalisation": {"default": "granted", "may_use": ["location"]}},
}
NEARBY = a_plan(
    [
        an_action("near", eligibility='context.city == "Paris"', propensity=0.9),
        an_action("app", eligibility='context.device == "phone"', propensity=0.8),
        an_action("all"),
    ],
    **LABELLED,
)


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ({"said": Said()}, "near"),
        ({"said": Said({"personalisation": False})}, "app"),
        ({"said": Said(restricted=True)}, "app"),
        ({"known": False}, "near"),
        ({"known": False, "reachable": False}, "app"),
    ],
)
def test_a_context_field_with_a_label_is_used_with_consent_only(asked: dict[str, Any], first: str):
    question = a_question(NEARBY, context={"city": "Paris", "device": "phone"}, **asked)
    for _ in range(2):  # the situation is kept for the next request
        assert chosen(NEARBY, decided(NEARBY, question)) == [first]


def test_one_situation_serves_those_who_allow_its_labels_and_those_who_do_not():
    willing = a_question(NEARBY, context={"city": "Paris"}, said=Said())
    refusing = a_question(NEARBY, said=Said({"personalisation": False}))._replace(situation=willing.situation)
    for question, first in ((willing, "near"), (refusing, "all"), (willing, "near")):
        assert chosen(NEARBY, decided(NEARBY, question)) == [first]
