"""Requests are checked, and say what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from tests.support.decisions import a_plan, an_action

from wayline.errors import InvalidField
from wayline.v1 import decision_pb2
from wayline_decision.codec import MAX_REQUEST_BYTES, Asked, Situations, read_request

PLAN = a_plan(
    [an_action("a", eligibility={"rule": "profile.views >= 0", "because": "Everyone"}), an_action("b", value=0.5)]
)
SITUATIONS = Situations(PLAN.schema)
GOOD: dict[str, Any] = {"customer": {"kind": "user_id", "value": "ada"}, "placements": [{"placement": "hero"}]}


def a_request(**fields: Any) -> decision_pb2.DecideRequest:
    return ParseDict({**GOOD, **fields}, decision_pb2.DecideRequest())


def read(request: decision_pb2.DecideRequest) -> Asked:
    return read_request(request, request.SerializeToString(), PLAN, SITUATIONS)


def test_a_good_request_is_read() -> None:
    asked = read(a_request(context={"device": "mobile"}))
    assert [(placement.id, slots) for placement, slots in asked.placements] == [("hero", 1)]
    assert asked.situation.context.device == "mobile"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"customer": {}}, "customer: an identifier of the customer is required"),
        ({"customer": {"kind": "user_id"}}, "customer.value: expected 1 to 256 characters"),
        ({"customer": {"kind": "user_id", "value": " "}}, "customer.value: expected 1 to 256 characters"),
        ({"customer": {"kind": "cookie", "value": "x"}}, "customer.kind: expected one of user_id, email, phone, "),
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
        read(a_request(**fields))
    assert str(refused.value).startswith(words)


def test_a_request_that_is_too_large_is_refused_alone_or_in_a_batch() -> None:
    large = a_request(context={"device": "x" * MAX_REQUEST_BYTES})
    with pytest.raises(InvalidField, match=r"^request: expected at most 262,144 bytes, got 262,\d{3}$"):
        read(large)
    with pytest.raises(InvalidField, match=r"^requests\[7\]: expected at most 262,144 bytes"):
        read_request(large, large.SerializeToString(), PLAN, SITUATIONS, "requests[7].")


def test_in_a_batch_the_field_says_which_request() -> None:
    with pytest.raises(InvalidField, match=r"^requests\[7\]\.placements"):
        read_request(a_request(placements=[]), b"", PLAN, SITUATIONS, "requests[7].")


def test_a_context_field_that_is_not_declared_is_a_warning() -> None:
    assert read(a_request(context={"colour": "red"})).situation.warnings == ["context.colour is not declared"]


def test_an_email_address_is_the_same_whatever_its_case_and_blanks() -> None:
    request = a_request(customer={"kind": "email", "value": "Ada@Example.com"})
    same = a_request(customer={"kind": "email", "value": " ada@example.com"})
    assert read(request).key == read(same).key


def test_a_warning_names_no_place_in_a_batch_since_it_stands_in_its_own_answer() -> None:
    request = a_request(context={"colour": "red"})
    assert read_request(request, b"", PLAN, Situations(PLAN.schema), "requests[7].").situation.warnings == [
        "context.colour is not declared"
    ]
    with pytest.raises(InvalidField, match=r"^requests\[7\]\.context\.device"):
        read_request(a_request(context={"device": 3}), b"", PLAN, SITUATIONS, "requests[7].")


def test_requests_in_the_same_situation_share_it_and_others_do_not() -> None:
    mobile = [read(a_request(context={"device": "mobile", "hour": hour})).situation for hour in (9, 9, 10)]
    assert mobile[0] is mobile[1]
    assert mobile[2] is not mobile[0]
    assert read(a_request()).situation is read(a_request()).situation


def test_only_so_many_situations_are_kept() -> None:
    situations = Situations(PLAN.schema, size=2)
    structs = [a_request(context={"hour": hour}).context for hour in (1, 2, 3)]
    first = [situations.get(struct) for struct in structs]
    assert situations.get(structs[2]) is first[2]
    assert situations.get(structs[0]) is not first[0]
