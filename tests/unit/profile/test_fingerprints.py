"""Which changes of a declaration begin a trait anew, and which only change how it is read."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from wayline.catalog.contact import Outcomes
from wayline.catalog.traits import EventTrait, Trait
from wayline_profile.core.fingerprints import READING, SHAPING, contacts_key, name_of, state_key

AFFINITY: dict[str, Any] = {
    "kind": "affinity",
    "event": ["Viewed", "Added"],
    "where": {"sale": True},
    "property": "color",
    "half_life": "7d",
    "weights": {"Added": 3},
}
KINDS = [kind for kind in get_args(get_args(Trait)[0]) if issubclass(kind, EventTrait)]


def key_of(name: str = "it", **declared: Any) -> str:
    trait = TypeAdapter(Trait).validate_python(declared)
    assert isinstance(trait, EventTrait)
    return state_key(name, trait)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "distinct", "half_life": None, "weights": None},
        {"event": ["Viewed"]},
        {"where": {"sale": False}},
        {"where": {}},
        {"property": "brand"},
        {"half_life": "8d"},
        {"weights": {"Added": 2}},
    ],
    ids=str,
)
def test_what_shapes_the_state_changes_its_key(change: dict[str, Any]) -> None:
    changed = {field: value for field, value in {**AFFINITY, **change}.items() if value is not None}
    assert key_of(**changed) != key_of(**AFFINITY)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (AFFINITY, {**AFFINITY, "event": ["Added", "Viewed"]}),
        (AFFINITY, {**AFFINITY, "half_life": 7 * 86_400}),
        (
            {"kind": "max", "event": "Bought", "property": "total"},
            {"kind": "max", "event": "Bought", "property": "total", "default": 3.5},
        ),
        (
            {"kind": "count", "event": "Bought", "where": {"size": 42}},
            {"kind": "count", "event": "Bought", "where": {"size": 42.0}},
        ),
        ({"kind": "recency", "event": "page"}, {"kind": "recency", "event": "page", "unit": "hours"}),
        (
            {"kind": "last", "event": "page", "property": "size"},
            {"kind": "last", "event": "page", "property": "size", "type": "integer", "default": 3},
        ),
    ],
    ids=["order of events", "the same span", "default", "the same number", "unit", "type"],
)
def test_what_only_shapes_the_reading_leaves_the_key_alone(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert key_of(**one) == key_of(**other)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_is_known_to_shape_either_the_state_or_its_reading(kind: type[EventTrait]) -> None:
    assert not kind.model_fields.keys() - SHAPING - READING


def test_a_key_names_its_trait() -> None:
    assert name_of(key_of("orders", kind="count", event="Bought")) == "orders"
    assert name_of(contacts_key(Outcomes())) == "contacts"


def test_the_order_of_events_that_tell_an_outcome_does_not_matter() -> None:
    one, other = Outcomes(click=("a", "b")), Outcomes(click=("b", "a"))
    assert contacts_key(one) == contacts_key(other) != contacts_key(Outcomes())
