"""What `wayline catalog diff` finds between two catalogues."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.decisions import a_catalog, an_action

from wayline.catalog.diff import Difference, differences
from wayline.catalog.examples import example_path
from wayline.catalog.load import load
from wayline.catalog.model import Catalog

SHOP = load(example_path("shoe-shop"))
WRITTEN = SHOP.model_dump(mode="json", by_alias=True, exclude_unset=True)
ACTIONS = [action.id for _, _, action in SHOP.actions()]
CAPS = {"outcome": "impression", "limit": 1, "window": "7d"}


def found(old: Catalog, new: Catalog) -> list[tuple[Any, ...]]:
    """The kind of change, the kind and name of the entry, the field, and both values."""
    return [(one.change, one.kind, one.name, one.field, one.old, one.new) for one in differences(old, new)]


def between(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The same, of one action: without what is said of the entry."""
    one, other = (a_catalog([an_action("red", **fields)]) for fields in (old, new))
    return [(change, *rest) for change, _, _, *rest in found(one, other)]


def action_of(data: dict[str, Any], name: str) -> dict[str, Any]:
    actions = (one for issue in data["issues"] for group in issue["groups"] for one in group["actions"])
    return next(one for one in actions if one["id"] == name)


def test_a_changed_value_is_named_with_the_path_that_problems_have_too():
    new = a_catalog([an_action("red", value=14), an_action("blue")])

    assert list(differences(a_catalog([an_action("red", value=12), an_action("blue")]), new)) == [
        Difference("changed", "action", "red", "value", "issues[sales].groups[shoes].actions[red].value", 12.0, 14.0)
    ]


def test_entries_that_came_and_went_hold_what_is_written_without_defaults():
    old = a_catalog([an_action("red"), an_action("old", value=3)])
    new = a_catalog([an_action("red"), an_action("new", title="New")])

    assert found(old, new) == [
        ("added", "action", "new", "", None, {"group": "sales/shoes", **said(new, "new")}),
        ("removed", "action", "old", "", {"group": "sales/shoes", **said(old, "old")}, None),
    ]


def said(catalog: Catalog, name: str) -> dict[str, Any]:
    return action_of(catalog.model_dump(mode="json", by_alias=True, exclude_unset=True), name)


def test_a_default_that_is_written_out_is_no_difference():
    assert between({}, {"value": 1.0, "schedule": None, "contact": {"caps": []}}) == []


def test_an_action_in_another_group_is_the_same_action():
    actions = [{"id": "shoes", "actions": [an_action("red"), an_action("blue")]}, {"id": "boots", "actions": []}]
    moved = deepcopy(actions)
    moved[1]["actions"].append(moved[0]["actions"].pop(0))
    old, new = (a_catalog([], issues=[{"id": "sales", "groups": groups}]) for groups in (actions, moved))

    (one,) = differences(old, new)

    assert (one.kind, one.name, one.field, one.old, one.new) == ("action", "red", "group", "sales/shoes", "sales/boots")
    assert one.path == "issues[sales].groups[boots].actions[red]"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"budget": {"total": 5}}, [("added", "budget", None, {"total": 5, "per_day": None, "timezone": None})]),
        (
            {"eligibility": [{"rule": "profile.views > 1", "because": "Looks"}, "profile.spend > 1.0"]},
            {"eligibility": [{"rule": "profile.views > 2", "because": "Looks"}, "profile.spend > 1.0"]},
            [("changed", "eligibility[0].rule", "profile.views > 1", "profile.views > 2")],
        ),
        (
            {"eligibility": ["profile.views > 1", "profile.spend > 1.0"]},
            {"eligibility": ["profile.spend > 1.0"]},
            [("removed", "eligibility[0]", {"rule": "profile.views > 1", "because": ""}, None)],
        ),
        (
            {"contact": {"caps": [CAPS]}},
            {"contact": {"caps": [CAPS | {"limit": 3}]}},
            [("changed", "contact.caps[0].limit", 1, 3)],
        ),
        ({"attributes": {"margin": 4}}, {"attributes": {"margin": 4.0}}, [("changed", "attributes.margin", 4, 4.0)]),
        ({"attributes": {"sale": 1}}, {"attributes": {"sale": True}}, [("changed", "attributes.sale", 1, True)]),
    ],
)
def test_within_an_entry_the_field_is_named(old: dict[str, Any], new: dict[str, Any], expected: list[Any]):
    assert between(old, new) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (["a", "b"], ["a", "c"], [("items", ["a", "b"], ["a", "c"])]),
        ([{"id": "x", "n": 1}, {"id": "y"}], [{"id": "y"}, {"id": "x", "n": 2}], [
            ("items[x].n", 1, 2), ("items", ["x", "y"], ["y", "x"]),
        ]),
        ([{"id": 1, "n": 1}, {"id": 1, "n": 2}], [{"id": 1, "n": 1}, {"id": 1, "n": 3}], [("items[1].n", 2, 3)]),
        ([{"n": 1}, {"n": 2}], [{"n": 2}, {"n": 1}], [("items", [{"n": 1}, {"n": 2}], [{"n": 2}, {"n": 1}])]),
        ([{"n": 1}, {"n": 1}], [{"n": 1}], [("items[1]", {"n": 1}, None)]),
    ],
    ids=["text", "with ids", "what is called id is none", "another order", "twice"],
)  # fmt: skip
def test_content_may_be_any_json(old: Any, new: Any, expected: list[Any]):
    one, other = (
        {"treatments": [{"id": "main", "placements": ["hero"], "content": {"items": items}}]} for items in (old, new)
    )

    assert [rest for _, *rest in between(one, other)] == [
        [f"treatments[main].content.{field}", *values] for field, *values in expected
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"timezone": "Europe/Paris"}, ("changed", "setting", "timezone", "", "UTC", "Europe/Paris")),
        ({"holdout": {"share": 0.1}}, ("added", "setting", "holdout", "", None, {"share": 0.1})),
        ({"contact": {"caps": CAPS}}, ("added", "contact policy", "contact", "caps[0]")),
        ({"arbitration": {"context": 2}}, ("changed", "setting", "arbitration", "context", 1.0, 2.0)),
        ({"arbitration": {"bundles": [{"id": "two", "actions": ["red", "blue"]}]}}, ("added", "bundle", "two", "")),
        ({"audiences": {"fans": "profile.views > 5"}}, ("added", "audience", "fans", "")),
        ({"channels": {"web": {}}}, ("removed", "channel", "mail", "")),
        ({"purposes": {"email": {"default": "granted"}}}, ("changed", "purpose", "email", "default")),
    ],
)
def test_what_holds_for_all_actions_has_names_too(fields: dict[str, Any], expected: tuple[Any, ...]):
    actions = [an_action("red"), an_action("blue")]

    told = found(a_catalog(actions), a_catalog(actions, **fields))

    assert expected in [one[: len(expected)] for one in told]


def test_experiments_in_another_order_have_other_customers():
    arms = {"a": {"share": 0.5}, "b": {"share": 0.5}}
    experiments = [{"id": name, "share": 0.5, "arms": arms} for name in ("one", "two")]
    old, new = (a_catalog([an_action("red")], experiments=those) for those in (experiments, experiments[::-1]))

    assert found(old, new) == [("changed", "order", "experiments", "", ["one", "two"], ["two", "one"])]


def test_where_only_the_order_of_actions_differs_that_is_said():
    one, other = an_action("red"), an_action("blue")

    assert found(a_catalog([one, other]), a_catalog([other, one])) == [("changed", "order", "entries", "", None, None)]


@pytest.mark.parametrize("with_defaults", [False, True])
def test_a_catalogue_does_not_differ_from_itself(with_defaults: bool):
    again = SHOP.model_dump(mode="json", by_alias=True, exclude_unset=not with_defaults)

    assert list(differences(SHOP, Catalog.model_validate(again))) == []


CHANGES: dict[str, Callable[[dict[str, Any], str], tuple[str, str, str, str]]] = {}


def change(function: Callable[[dict[str, Any], str], tuple[str, str, str, str]]) -> None:
    CHANGES[function.__name__] = function


@change
def dearer(data: dict[str, Any], name: str) -> tuple[str, str, str, str]:
    action_of(data, name)["value"] = 1_234.5
    return "changed", "action", name, "value"


@change
def gone(data: dict[str, Any], name: str) -> tuple[str, str, str, str]:
    for issue in data["issues"]:
        for group in issue["groups"]:
            group["actions"] = [one for one in group["actions"] if one["id"] != name]
    return "removed", "action", name, ""


@change
def copied(data: dict[str, Any], name: str) -> tuple[str, str, str, str]:
    data["issues"][0]["groups"][0]["actions"].append({**deepcopy(action_of(data, name)), "id": f"{name}-2"})
    return "added", "action", f"{name}-2", ""


@change
def retold(data: dict[str, Any], name: str) -> tuple[str, str, str, str]:
    treatment = action_of(data, name)["treatments"][0]
    treatment.setdefault("content", {})["said"] = "Otherwise"
    return "added", "action", name, f"treatments[{treatment['id']}].content.said"


@given(st.dictionaries(st.sampled_from(ACTIONS), st.sampled_from(sorted(CHANGES)), max_size=8))
def test_exactly_what_was_changed_is_named(changed: dict[str, str]):
    data = deepcopy(WRITTEN)
    expected = {CHANGES[how](data, name) for name, how in changed.items()}

    told = [(one.change, one.kind, one.name, one.field) for one in differences(SHOP, Catalog.model_validate(data))]

    assert len(told) == len(expected)
    assert set(told) == expected
