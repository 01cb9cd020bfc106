"""Requests are checked and say what is wrong; answers and records hold what the contract says."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from tests.support.decisions import NOW, a_plan, a_question, an_action, decided

from wayline.errors import InvalidField
from wayline.v1 import decision_pb2
from wayline_decision.codec import Templates, read_request, write_record, write_response

PLAN = a_plan(
    [an_action("a", eligibility={"rule": "profile.views >= 0", "because": "Everyone"}), an_action("b", value=0.5)]
)
GOOD: dict[str, Any] = {"customer": {"kind": "user_id", "value": "ada"}, "placements": [{"placement": "hero"}]}


def a_request(**fields: Any) -> decision_pb2.DecideRequest:
    return ParseDict({**GOOD, **fields}, decision_pb2.DecideRequest())


def answered(request: decision_pb2.DecideRequest, **question: Any) -> decision_pb2.DecideResponse:
    asked = read_request(request, PLAN)
    decision = decided(PLAN, a_question(PLAN, *(one.placement for one in request.placements), **question))
    return write_response("id", asked, decision, PLAN, Templates(PLAN), stale=False, explain=request.explain)


def test_a_good_request_is_read() -> None:
    asked = read_request(a_request(context={"device": "mobile"}), PLAN)
    assert [(placement.id, slots) for placement, slots in asked.placements] == [("hero", 1)]
    assert asked.context.device == "mobile"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"customer": {}}, "customer: an identifier of the customer is required"),
        ({"customer": {"kind": "user_id"}}, "customer.value: expected 1 to 256 characters"),
        ({"customer": {"kind": "user_id", "value": " "}}, "customer.value: expected 1 to 256 characters"),
        ({"customer": {"kind": "cookie", "value": "x"}}, "customer.kind: expected one of user_id, email, anonymous_id"),
        ({"placements": []}, "placements: expected 1 to 20, got 0"),
        ({"placements": [{"placement": "hero"}] * 21}, "placements: expected 1 to 20, got 21"),
        (
            {"placements": [{"placement": "here"}]},
            "placements[0].placement: expected a placement of the catalogue (hero",
        ),
        ({"placements": [{"placement": "hero"}] * 2}, "placements[1].placement: 'hero' is asked for twice"),
        ({"placements": [{"placement": "hero", "limit": 51}]}, "placements[0].limit: expected 0 to 50, got 51"),
        ({"context": {"device": 3}}, "context.device: expected a string"),
        ({"at_least": [{"sequence": 1}] * 101}, "at_least: expected at most 100 tokens, got 101"),
    ],
)
def test_a_bad_request_names_the_field_and_what_was_expected(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidField) as refused:
        read_request(a_request(**fields), PLAN)
    assert str(refused.value).startswith(words)


def test_in_a_batch_the_field_says_which_request() -> None:
    with pytest.raises(InvalidField, match=r"^requests\[7\]\.placements"):
        read_request(a_request(placements=[]), PLAN, "requests[7].")


def test_a_context_field_that_is_not_declared_is_a_warning() -> None:
    assert list(answered(a_request(context={"colour": "red"})).warnings) == ["context.colour is not declared"]


def test_a_selection_has_content_score_and_reasons() -> None:
    selection = answered(a_request()).placements[0].selections[0]
    assert (selection.action, selection.treatment, selection.rank) == ("a", "main", 1)
    assert MessageToDict(selection.content) == {"title": "a"}
    assert list(selection.reasons) == ["Everyone"]
    assert selection.score.priority == pytest.approx(0.1)
    assert selection.score.propensity_source == "catalogue"


def test_an_empty_placement_has_its_fallback_and_says_why() -> None:
    plan = a_plan([an_action("a", eligibility="profile.views > 5")])
    asked = read_request(a_request(), plan)
    response = write_response(
        "id", asked, decided(plan, a_question(plan)), plan, Templates(plan), stale=False, explain=False
    )
    assert MessageToDict(response.placements[0].fallback) == {"title": "Welcome"}
    assert list(response.placements[0].reasons) == ["no action met its conditions"]


def test_nothing_goes_out_on_a_channel_that_is_not_allowed() -> None:
    placement = answered(a_request(placements=[{"placement": "offer"}])).placements[0]
    assert not placement.HasField("fallback")
    assert list(placement.reasons) == ["silence: no consent for email"]


def test_a_decision_without_consent_says_so() -> None:
    response = answered(a_request(), consents={"personalisation": False})
    assert response.personalisation == decision_pb2.PERSONALISATION_NO_CONSENT
    assert "contextual: no consent for personalisation" in response.placements[0].reasons


def test_drops_come_only_when_asked_for() -> None:
    assert not answered(a_request()).placements[0].dropped
    drops = answered(a_request(explain=True)).placements[0].dropped
    assert [(one.action, one.stage) for one in drops] == [("b", decision_pb2.STAGE_ARBITRATION)]


def test_a_record_holds_what_went_in_and_what_came_out() -> None:
    request = a_request(at_least=[{"partition": 1, "sequence": 2}])
    asked = read_request(request, PLAN)
    decision = decided(PLAN, a_question(PLAN))
    response = write_response("f" * 32, asked, decision, PLAN, Templates(PLAN), stale=True, explain=False)
    record = write_record(response, asked, decision, {"m": 3}, NOW)
    assert record.request == request
    assert (record.catalog_revision, dict(record.model_versions), record.stale) == (1, {"m": 3}, True)
    assert record.decided_at.ToDatetime(tzinfo=NOW.tzinfo) == NOW
    assert [(one.placement, one.action, one.treatment) for one in record.selections] == [("hero", "a", "main")]


def test_an_email_address_is_the_same_whatever_its_case_and_blanks() -> None:
    request = a_request(customer={"kind": "email", "value": "Ada@Example.com"})
    same = a_request(customer={"kind": "email", "value": " ada@example.com"})
    assert read_request(request, PLAN).key == read_request(same, PLAN).key
