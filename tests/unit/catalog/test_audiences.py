"""Audiences and the journey stage as traits: what they say, of whom, and what rules know of them."""

from __future__ import annotations

from typing import Any

import pytest

from wayline.catalog.lifecycle import Lifecycle
from wayline.catalog.load import load_text
from wayline.catalog.model import Catalog
from wayline.catalog.schema import build_schema
from wayline.catalog.trait_rules import TraitRules, read_by

SHOP = """
traits:
  orders: {kind: count, event: Order Completed}
  spend: {kind: sum, event: Order Completed, property: total}
  basket: {kind: ratio, of: spend, per: orders}
  away: {kind: recency, event: page}
audiences:
  lapsed: {rule: profile.orders > 0 && profile.away >= 14, description: No visit for two weeks}
  newcomers: profile.orders == 0
  dear: profile.basket > 100.0 && profile.stage != "gone"
lifecycle:
  stages:
    - {id: gone, rule: profile.away >= 365 && profile.orders > 0}
    - {id: back, rule: "profile.lapsed // and was here before"}
    - {id: buyer, rule: profile.orders > 0}
"""
LIFECYCLE = ("days_away", "views", "carts", "orders", "orders_365d")


def said(catalog: Catalog, **values: Any) -> Any:
    """What rules say of a customer with these values."""
    schema = build_schema(catalog)
    message: Any = schema.traits(**values)
    TraitRules(catalog.effective_traits(), schema).fill(message)
    return message


def stage(**values: int) -> str:
    """The default stage of a customer; whatever is not said is as for an unknown one."""
    named = {f"lifecycle_{name}": value for name, value in values.items()}
    return str(said(Catalog(lifecycle=Lifecycle()), **named).stage)


def test_an_audience_is_a_trait_that_says_who_belongs_to_it() -> None:
    catalog = load_text(SHOP)
    assert said(catalog, orders=1, away=14).lapsed
    assert not said(catalog, orders=1, away=13).lapsed
    assert not said(catalog, orders=0, away=14).lapsed


def test_an_audience_may_read_the_stage_and_a_stage_an_audience() -> None:
    customer = said(load_text(SHOP), orders=1, basket=200.0, away=20)
    assert (customer.stage, customer.lapsed, customer.dear) == ("back", True, True)
    customer = said(load_text(SHOP), orders=1, basket=200.0, away=400)
    assert (customer.stage, customer.lapsed, customer.dear) == ("gone", True, False)


def test_the_first_stage_that_holds_is_the_customers() -> None:
    catalog = load_text(SHOP)
    assert said(catalog, orders=1, away=3).stage == "buyer"
    assert said(catalog, orders=0, away=3).stage == "unknown"


def test_of_a_customer_of_whom_nothing_may_be_used_no_audience_holds() -> None:
    nobody: Any = build_schema(load_text(SHOP)).traits()
    assert (nobody.newcomers, nobody.lapsed, nobody.stage) == (False, False, "unknown")


def test_actions_may_be_for_an_audience_or_a_stage() -> None:
    action = """
channels: {web: {}}
placements: {hero: {channel: web}}
issues:
  - id: sales
    eligibility: profile.lapsed && profile.stage in ["back", "gone"]
    groups: [{id: all, actions: [{id: come-back, treatments: [{id: t, placements: [hero]}]}]}]
"""
    assert len(list(load_text(SHOP + action).actions())) == 1


def test_what_an_audience_is_made_of_is_known_through_all_traits() -> None:
    traits = load_text(SHOP).effective_traits()
    assert read_by(traits, ["newcomers"]) == {"newcomers", "orders"}
    assert read_by(traits, ["dear"]) == {"dear", "basket", "spend", "orders", "stage", "away", "lapsed"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"days_away": -1}, "unknown"),
        ({"days_away": 0}, "aware"),
        ({"days_away": 0, "views": 2}, "aware"),
        ({"days_away": 0, "views": 3}, "considering"),
        ({"days_away": 0, "views": 3, "carts": 1}, "buying"),
        ({"days_away": 0, "carts": 1, "orders": 1, "orders_365d": 1}, "customer"),
        ({"days_away": 59, "orders": 9, "orders_365d": 3}, "loyal"),
        ({"days_away": 60, "orders": 9, "orders_365d": 3}, "at_risk"),
        ({"days_away": 60, "views": 3}, "considering"),
        ({"days_away": 180, "orders": 9, "orders_365d": 3}, "lost"),
        ({"days_away": 180, "views": 3}, "lost"),
    ],
)
def test_the_default_lifecycle_leads_from_unknown_to_lost(values: dict[str, int], expected: str) -> None:
    assert stage(**{"days_away": -1, **values}) == expected


def test_the_default_lifecycle_brings_its_traits_along() -> None:
    catalog = load_text("lifecycle: default")
    assert set(catalog.effective_traits()) == {"stage", *(f"lifecycle_{name}" for name in LIFECYCLE)}
    assert catalog.traits == {}


def test_the_default_lifecycle_takes_other_events_and_figures() -> None:
    traits: Any = load_text("lifecycle: {orders: Purchase, lost_days: 400}").effective_traits()
    assert traits["lifecycle_orders"].event == ("Purchase",)
    assert "Purchase" in traits["lifecycle_days_away"].event
    assert "Order Completed" not in traits["lifecycle_days_away"].event
    assert ">= 400" in traits["stage"].rule


def test_stages_of_ones_own_need_no_other_traits() -> None:
    assert set(load_text('lifecycle: {stages: [{id: here, rule: "true"}]}').effective_traits()) == {"stage"}


@pytest.mark.parametrize("text", [SHOP, "lifecycle: default", "lifecycle: {loyal_orders: 5}"])
def test_a_catalogue_that_was_stored_is_read_as_the_same(text: str) -> None:
    catalog = load_text(text)
    again = Catalog.model_validate_json(catalog.model_dump_json(exclude_unset=True, by_alias=True))
    assert again == catalog
    assert again.effective_traits() == catalog.effective_traits()


def test_twenty_stages_with_long_rules_compile() -> None:
    long = " || ".join(["profile.orders > 1"] * 80)
    stages = [{"id": f"s{number}", "rule": f"profile.orders == {number} && ({long})"} for number in range(20)]
    declared = {"traits": {"orders": {"kind": "count", "event": "Order Completed"}}, "lifecycle": {"stages": stages}}
    catalog = Catalog.model_validate(declared)
    assert said(catalog, orders=19).stage == "s19"
