"""The revisions of the catalogue that arms name."""

from __future__ import annotations

from typing import Any

from tests.support.decisions import a_catalog, an_action

from wayline.catalog.experiment_checks import refused_arms
from wayline.catalog.findings import Finding
from wayline.catalog.model import Catalog
from wayline.catalog.variants import revisions_of


def with_arms(**arms: dict[str, Any]) -> Catalog:
    """One experiment whose arms share alike."""
    declared = {name: {"share": 1 / len(arms), **arm} for name, arm in arms.items()}
    return a_catalog([an_action("a")], experiments=[{"id": "e", "arms": declared}])


def test_each_revision_that_an_arm_names_is_found_once() -> None:
    catalog = with_arms(
        now={}, dear={"formula": "value"}, old={"catalog": 7}, older={"catalog": 3}, same={"catalog": 7}
    )
    assert revisions_of(catalog.experiments) == [3, 7]


def test_a_refused_revision_is_found_where_each_arm_names_it() -> None:
    catalog = with_arms(now={}, old={"catalog": 7}, older={"catalog": 3}, same={"catalog": 7})
    assert list(refused_arms(catalog, {7: "it is gone"})) == [
        Finding(("experiments", 0, "arms", "old", "catalog"), "it is gone"),
        Finding(("experiments", 0, "arms", "same", "catalog"), "it is gone"),
    ]


def test_nothing_is_found_when_all_revisions_can_decide() -> None:
    assert list(refused_arms(with_arms(now={}, old={"catalog": 7}), {})) == []
