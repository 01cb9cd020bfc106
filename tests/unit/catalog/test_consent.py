"""Consent: three states, defaults by region, legal bases, opt-outs; in doubt it is denied."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wayline.catalog.consent import EU, NOTHING_SAID, Collection, Purpose, Said, standing_of


def a_purpose(**fields: Any) -> Purpose:
    return Purpose.model_validate(fields)


def stands(purpose: Purpose | None, **said: Any) -> tuple[bool, str, str]:
    return tuple(standing_of("ads", purpose, Said(**said)))


def test_the_last_word_of_the_customer_counts_before_any_default():
    assert stands(a_purpose(default="granted"), consents={"ads": False}) == (False, "denied", "the customer said no")
    assert stands(a_purpose(default="denied"), consents={"ads": True}) == (True, "granted", "the customer said yes")


def test_a_word_on_another_purpose_says_nothing():
    allowed, state, _ = stands(a_purpose(), consents={"analytics": True})
    assert (allowed, state) == (False, "unknown")


def test_unknown_differs_from_denied_and_says_which_default_decided():
    assert stands(a_purpose()) == (False, "unknown", "unknown: nothing was said, and the default is denied")
    everywhere = a_purpose(default="granted", defaults={"US-CA": "denied"})
    assert stands(everywhere, region="US-CA") == (
        False,
        "unknown",
        "unknown: nothing was said, and the default for US-CA is denied",
    )
    assert stands(everywhere, region="US-NY") == (
        True,
        "unknown",
        "unknown: nothing was said, and the default is granted",
    )


@pytest.mark.parametrize(
    ("region", "decided_by"),
    [
        ("US-CA", "US-CA"),
        ("us-ca", "US-CA"),
        ("US-NY", "US"),
        ("US", "US"),
        ("FR", "FR"),
        ("FR-75", "FR"),
        ("DE", "EU"),
        ("EL", "EU"),
        ("EU", "EU"),
        ("NO", "EEA"),
        ("UK", "GB"),
    ],
)
def test_the_default_of_the_most_specific_region_decides(region: str, decided_by: str):
    defaults = dict.fromkeys(("US-CA", "US", "FR", "EU", "EEA", "GB"), "granted")
    _, _, why = stands(a_purpose(defaults=defaults), region=region)
    assert why == f"unknown: nothing was said, and the default for {decided_by} is granted"


def test_where_only_the_union_is_known_the_economic_area_is_too():
    assert stands(a_purpose(defaults={"EEA": "granted"}), region="EU")[0] is True


@pytest.mark.parametrize("region", ["", "JP", "CH", "nonsense", "-", "US-CA-LA"])
def test_a_region_without_a_default_of_its_own_has_the_common_one(region: str):
    assert stands(a_purpose(defaults={"EEA": "granted"}), region=region)[0] is False


def test_the_union_has_twenty_seven_members():
    assert len(EU) == 27


def test_legitimate_interests_need_no_word_and_end_with_an_objection():
    purpose = a_purpose(legal_basis="legitimate_interests")
    assert stands(purpose) == (
        True,
        "unknown",
        "unknown: nothing was said, and its legal basis is legitimate interests",
    )
    assert stands(purpose, consents={"ads": False})[0] is False
    assert stands(a_purpose(legal_basis="legitimate_interests", defaults={"EU": "denied"}), region="FR")[0] is False
    assert stands(a_purpose(legal_basis="legitimate_interests", default="denied"))[0] is False


def test_an_opt_out_denies_what_is_sold_or_shared_whatever_was_granted():
    sold = a_purpose(default="granted", sale_or_sharing=True)
    assert stands(sold)[0] is True
    for consents in ({}, {"ads": True}):
        allowed, state, why = stands(sold, consents=consents, opted_out=True)
        assert (allowed, state) == (False, "denied")
        assert "Global Privacy Control" in why
    assert stands(a_purpose(default="granted"), opted_out=True)[0] is True


def test_a_restriction_denies_everything_even_what_names_no_purpose():
    assert stands(a_purpose(), consents={"ads": True}, restricted=True)[2] == "processing is restricted"
    assert standing_of(None, None, NOTHING_SAID).allowed
    assert not standing_of(None, None, Said(restricted=True)).allowed


def test_a_purpose_that_nobody_declares_is_denied_while_nothing_is_said():
    assert stands(None)[:2] == (False, "unknown")


answers = st.sampled_from(["granted", "denied"])
purposes = st.builds(
    a_purpose,
    default=st.none() | answers,
    defaults=st.dictionaries(st.sampled_from(["US", "US-CA", "EU", "EEA", "FR"]), answers),
    legal_basis=st.sampled_from(["consent", "contract", "legitimate_interests"]),
    sale_or_sharing=st.booleans(),
)
saids = st.builds(
    Said,
    st.dictionaries(st.sampled_from(["ads", "analytics"]), st.booleans()),
    st.sampled_from(["", "US", "US-CA", "FR", "NO", "JP"]),
    st.booleans(),
    st.booleans(),
)


@given(purposes, saids)
def test_a_stricter_word_never_allows_more(purpose: Purpose, said: Said):
    before = standing_of("ads", purpose, said).allowed
    stricter = [
        said._replace(opted_out=True),
        said._replace(restricted=True),
        said._replace(consents={**said.consents, "ads": False}),
    ]
    for one in stricter:
        assert standing_of("ads", purpose, one).allowed <= before


@given(purposes, saids)
def test_whatever_was_refused_or_restricted_is_denied(purpose: Purpose, said: Said):
    if said.restricted or said.consents.get("ads") is False or (said.opted_out and purpose.sale_or_sharing):
        assert standing_of("ads", purpose, said)[:2] == (False, "denied")


@given(st.dictionaries(st.sampled_from(["ads", "analytics"]), st.booleans()), st.none() | answers)
def test_a_purpose_that_has_a_default_only_decides_as_it_always_did(consents: dict[str, bool], default: str | None):
    purpose = a_purpose() if default is None else a_purpose(default=default)
    assert standing_of("ads", purpose, Said(consents)).allowed == consents.get("ads", default == "granted")


def test_what_is_stored_without_a_purpose_says_on_which_legal_basis():
    stored = Collection.model_validate(
        {"purpose": "analytics", "events": {"Order Completed": {"purpose": "none", "legal_basis": "contract"}}}
    )
    assert stored.events["Order Completed"].purpose is None
    for wrong in ("none", {"purpose": "none", "legal_basis": "consent"}, {"purpose": "ads", "legal_basis": "contract"}):
        with pytest.raises(ValidationError, match="legal_basis"):
            Collection.model_validate({"purpose": "analytics", "events": {"Order Completed": wrong}})
