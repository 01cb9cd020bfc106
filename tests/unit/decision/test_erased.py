"""Decisions for somebody who was erased: made as for a stranger, and written down nowhere."""

from __future__ import annotations

import pytest
from tests.support.decisions import a_plan, an_action
from tests.support.engines import Shop, a_request, actions

from wayline.identity import identity_key

CAPPED = {"caps": {"limit": 5, "window": "7d", "outcome": "decision"}}


@pytest.fixture
def shop() -> Shop:
    shop = Shop(a_plan([an_action("everybody", contact=CAPPED)]))
    for one in ("ada", "bob"):
        shop.knows(one)
    shop.erased.add(identity_key("user_id", "ada"))
    return shop


def test_an_erased_customer_gets_an_answer_and_no_record(shop: Shop) -> None:
    assert actions(shop.decide("ada")) == ["everybody"]
    assert actions(shop.decide("bob")) == ["everybody"]
    assert [one.request.customer.value for one in shop.records] == ["bob"]
    assert [event.properties.fields["customer"].struct_value["value"] for event in shop.told] == ["bob"]


def test_in_a_batch_only_the_erased_are_not_recorded(shop: Shop) -> None:
    results = shop.decide_batch([a_request(one) for one in ("ada", "bob", "ada", "eve")])
    assert [bool(one.decision.decision_id) for one in results] == [True] * 4
    assert [one.request.customer.value for one in shop.records] == ["bob", "eve"]
    assert [event.properties.fields["customer"].struct_value["value"] for event in shop.told] == ["bob", "eve"]


def test_what_is_still_known_of_an_erased_customer_is_not_asked_for(shop: Shop) -> None:
    asked: list[str] = []
    shop.profiles.asked = lambda: asked.append("asked")
    shop.decide("ada")
    assert asked == []
    shop.decide("bob")
    assert asked == ["asked"]


def test_what_falls_back_for_an_erased_customer_is_not_recorded(shop: Shop) -> None:
    with shop.engine._turn:  # somebody else's decision takes its time
        for one in ("ada", "bob"):
            shop.engine.decide(a_request(one).SerializeToString(), 0.001)
    assert [one.request.customer.value for one in shop.records] == ["bob"]


def test_who_is_erased_while_the_decision_is_made_is_not_recorded(shop: Shop) -> None:
    shop.profiles.asked = lambda: shop.erased.add(identity_key("user_id", "bob"))
    shop.decide("bob")
    assert (shop.records, shop.told) == ([], [])


def test_who_is_readmitted_is_recorded_again(shop: Shop) -> None:
    shop.erased.clear()
    shop.decide("ada")
    assert [one.request.customer.value for one in shop.records] == ["ada"]
