from __future__ import annotations

import pytest
from tests.support.events import an_event

from wayline.catalog.examples import NAMES, example_path
from wayline.catalog.load import load
from wayline.catalog.model import Catalog
from wayline.errors import NotFound
from wayline_ingestion.core.plan import CompiledPlan


@pytest.fixture(scope="module")
def shop() -> Catalog:
    return load(example_path("shoe-shop"))


@pytest.mark.parametrize("name", NAMES)
def test_every_example_loads(name: str):
    assert load(example_path(name)).name == name


def test_an_unknown_example_is_answered_with_those_that_there_are():
    with pytest.raises(NotFound, match="there is no example 'shop'; there are: shoe-shop"):
        example_path("shop")


def test_the_shoe_shop_has_enough_to_choose_from(shop: Catalog):
    assert len(list(shop.actions())) >= 20
    assert {issue.id for issue in shop.issues} >= {"sales", "retention", "service", "brand"}


def test_every_placement_has_something_that_needs_no_profile(shop: Catalog):
    general = {
        placement
        for issue, group, action in shop.actions()
        for treatment in action.treatments
        for placement in treatment.placements
        if not any("profile." in rule.rule for level in (issue, group, action, treatment) for rule in rules_of(level))
    }

    assert general == set(shop.placements)


def test_every_condition_of_the_shoe_shop_but_the_choice_of_a_treatment_has_a_reason(shop: Catalog):
    without = [rule for parts in shop.actions() for level in parts for rule in rules_of(level) if not rule.because]

    assert without == []


def test_every_treatment_of_the_shoe_shop_has_content_with_a_link(shop: Catalog):
    for _, _, action in shop.actions():
        for treatment in action.treatments:
            assert {"link"} < set(treatment.content), f"{action.id}/{treatment.id}"


def test_every_email_has_a_subject(shop: Catalog):
    for _, _, action in shop.actions():
        for treatment in action.treatments:
            if "email.offer" in treatment.placements:
                assert "subject" in treatment.content, f"{action.id}/{treatment.id}"


def rules_of(level: object) -> list[object]:
    return [rule for kind in ("eligibility", "applicability", "suitability") for rule in getattr(level, kind)]


def test_the_tracking_plan_of_the_shoe_shop_names_every_property_that_its_traits_read(shop: Catalog):
    planned = shop.tracking_plan.events
    read = {
        (event, trait.property)
        for trait in shop.traits.values()
        for event in getattr(trait, "event", ())
        if event in planned and getattr(trait, "property", None)
    }
    assert {("Product Viewed", "color"), ("Order Completed", "total")} <= read
    assert [one for one in read if one[1] not in planned[one[0]].rules["properties"]] == []


def test_the_shoe_shop_flags_a_colour_that_it_does_not_count_and_refuses_an_order_without_total(shop: Catalog):
    plan = CompiledPlan(shop.tracking_plan)

    view, order = an_event(name="Product Viewed"), an_event(name="Order Completed")
    view.properties.update({"colour": "red"})

    flagged, refused = plan.judge(view), plan.judge(order)
    assert flagged is not None
    assert (flagged.refusal, flagged.unplanned_properties) == (None, ("colour",))
    assert refused is not None
    assert refused.refusal is not None
