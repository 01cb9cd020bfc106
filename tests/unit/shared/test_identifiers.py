"""Which identifiers an event names: normalised, ranked, and without those that everybody has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.events import alias, identify, track

from wayline.catalog.identifiers import rules_of
from wayline.catalog.model import Catalog
from wayline.errors import InvalidField
from wayline.identifiers import BLOCKED, DEFAULTS, IdentityRules, usable_identifiers
from wayline.identity import KINDS, check_identifier, foremost, identity_key, normalise, rank_of
from wayline.v1 import events_pb2

CATALOG = Catalog.model_validate(
    {
        "identifiers": {
            "loyalty_card": {"from": ["traits.card", "properties.card"], "owners": 1},
            "room": {"from": "context.hotel.room"},
            "user_id": {"blocked": "Service-Account"},
        }
    }
)
RULES = rules_of(CATALOG)


def test_an_identify_names_all_that_it_knows_foremost_first() -> None:
    event = identify({"email": "Ada@B.eu", "phone": "+49 30/12", "card": 4711}, user=" ada ", browser="b1")
    event.context.other.update({"device": {"id": "d-1"}, "hotel": {"room": "12"}})
    event.identifiers.add(kind="email", value="second@b.eu")
    assert usable_identifiers(event, RULES) == [
        ("user_id", "ada"),
        ("email", "ada@b.eu"),
        ("email", "second@b.eu"),
        ("phone", "+493012"),
        ("loyalty_card", "4711"),
        ("room", "12"),
        ("device_id", "d-1"),
        ("anonymous_id", "b1"),
    ]


def test_what_happens_on_a_device_belongs_to_the_visitor_and_not_to_the_device() -> None:
    event = track("Viewed", browser="b1")
    event.context.other.update({"device": {"id": "d-1"}})
    assert usable_identifiers(event, RULES) == [("anonymous_id", "b1")]


def test_a_till_files_what_was_bought_under_the_card() -> None:
    assert usable_identifiers(track("Bought", {"card": "c1"}, browser="till"), RULES)[0] == ("loyalty_card", "c1")


def test_a_companys_traits_are_no_customers() -> None:
    event = identify({"card": "c1", "email": "info@firm.eu"}, user="ada")
    event.type = events_pb2.EVENT_TYPE_GROUP
    assert usable_identifiers(event, RULES) == [("user_id", "ada")]


def test_an_alias_names_the_former_id_as_either_kind() -> None:
    assert usable_identifiers(alias("new", "old"), RULES) == [
        ("user_id", "new"), ("user_id", "old"), ("anonymous_id", "old")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value", ["anonymous", " NULL ", "0", "0000", "00000000-0000-0000-0000-000000000000", "N/A", "-", "service-account"]
)
def test_what_everybody_sends_who_knows_nobody_identifies_nobody(value: str) -> None:
    assert usable_identifiers(track("Viewed", user=value, browser="b1"), RULES) == [("anonymous_id", "b1")]


def test_a_blocked_value_is_blocked_for_its_kind_only() -> None:
    named = usable_identifiers(track("Viewed", user="u", browser="service-account"), RULES)
    assert ("anonymous_id", "service-account") in named


@pytest.mark.parametrize(
    ("path_value", "names"), [(4711.5, False), (True, False), ("x" * 257, False), (0, False), (7, True)]
)
def test_only_text_and_whole_numbers_are_identifiers(path_value: object, names: bool) -> None:
    event = track("Bought", {"card": path_value}, browser="b")
    assert (len(usable_identifiers(event, RULES)) == 2) is names


def test_a_kind_that_is_not_declared_is_left_out() -> None:
    event = track("Viewed", user="u")
    event.identifiers.add(kind="passport", value="X1")
    assert usable_identifiers(event, RULES) == [("user_id", "u")]


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("+49 (0)30 / 12-34", "+490301234"),
        ("0049 30 1234", "+49301234"),
        ("(00) 49 30", "+4930"),
        ("+0049 30", "+4930"),
        ("030 1234", "0301234"),
        ("n/a", ""),
        ("00", ""),
        ("+", ""),
    ],
)
def test_phone_numbers_are_compared_by_their_digits(written: str, compared: str) -> None:
    assert normalise("phone", written) == compared


@given(st.sampled_from([*KINDS, "room"]), st.text(max_size=30))
def test_to_normalise_twice_changes_nothing(kind: str, value: str) -> None:
    assert normalise(kind, normalise(kind, value)) == normalise(kind, value)


def test_declared_kinds_come_between_cards_and_devices_by_name() -> None:
    kinds = ["anonymous_id", "zone", "device_id", "badge", "loyalty_card", "phone", "email", "user_id"]
    assert sorted(kinds, key=rank_of) == [
        "user_id", "email", "phone", "loyalty_card", "badge", "zone", "device_id", "anonymous_id"
    ]  # fmt: skip
    assert foremost([("zone", "1"), ("badge", "2"), ("anonymous_id", "0")]) == ("badge", "2")


def test_every_built_in_kind_has_its_rules_and_blocked_values_are_written_as_they_are_compared() -> None:
    assert set(DEFAULTS) == set(KINDS)
    assert all(value == value.strip().lower() for value in BLOCKED)


def test_a_declaration_changes_only_what_it_says() -> None:
    assert RULES.of("loyalty_card").owners == 1
    assert RULES.of("loyalty_card").most == DEFAULTS["loyalty_card"].most
    assert RULES.of("room").priority < RULES.of("loyalty_card").priority
    assert RULES.of("email") == DEFAULTS["email"]


@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [("passport", "x", "customer.kind"), ("Email", "x", "customer.kind"), ("phone", "none", "customer.value"),
     ("user_id", " ", "customer.value"), ("user_id", "x" * 257, "customer.value"), ("", "", "customer")],
)  # fmt: skip
def test_who_asks_for_no_identifier_is_told_which_field_is_wrong(kind: str, value: str, field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_identifier(events_pb2.Identifier(kind=kind, value=value), "customer", CATALOG.identifiers)
    assert refused.value.field == field


def test_without_the_catalogue_at_hand_any_name_of_a_kind_will_do() -> None:
    asked = events_pb2.Identifier(kind="room", value="12")
    assert check_identifier(asked, "customer") == check_identifier(asked, "customer", CATALOG.identifiers)
    assert check_identifier(asked, "customer") == identity_key("room", "12")


def test_rules_without_a_catalogue_know_the_built_in_kinds() -> None:
    assert set(IdentityRules().kinds) == set(KINDS)
