"""Variants: what the arms of experiments change, alone and together."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.support.decisions import a_catalog, a_plan, a_question, an_action, chosen, decided

from wayline.catalog.check import check
from wayline.catalog.model import Catalog
from wayline.catalog.rules import RuleError
from wayline.catalog.schema import SchemaError
from wayline.catalog.store import CatalogStore
from wayline.catalog.variants import AS_IS, MAX_VARIANTS, Variant, variants_of
from wayline.errors import NotFound, Poison, WaylineError
from wayline_decision.core.compile import compile_plan
from wayline_decision.states import catalogs_of, fitted, plans_of, variant_of, varied

OFFERS = [
    an_action("likely", propensity={"model": "m", "base": 0.5}),
    an_action("dear", propensity={"model": "n", "base": 0.01}, value=9),
    an_action("plain", value=0.1),
]


def an_experiment(name: str, layer: str, **arms: dict[str, Any]) -> dict[str, Any]:
    share = 1 / (len(arms) + 1)
    return {
        "id": name,
        "layer": layer,
        "share": 0.4,
        "arms": {"usual": {"share": share}, **{one: {"share": share, **arm} for one, arm in arms.items()}},
    }


def with_experiments(*experiments: dict[str, Any]) -> Catalog:
    return a_catalog(OFFERS, experiments=experiments)


def test_a_catalogue_without_experiments_has_no_variants() -> None:
    assert variants_of(with_experiments().experiments) == []


def test_a_control_arm_takes_no_plan_of_its_own() -> None:
    assert variants_of(with_experiments(an_experiment("e", "l", lots={"control": "random"})).experiments) == []


def test_each_arm_that_changes_something_is_a_variant() -> None:
    catalog = with_experiments(an_experiment("e", "l", dear={"formula": "value"}, other={"models": {"m": "m2"}}))
    assert set(variants_of(catalog.experiments)) == {Variant(None, "value", ()), Variant(None, None, (("m", "m2"),))}


def test_arms_of_two_layers_come_together_and_those_of_one_do_not() -> None:
    catalog = with_experiments(
        an_experiment("e", "one", dear={"formula": "value"}),
        an_experiment("f", "one", cheap={"formula": "1.0 / value"}),
        an_experiment("g", "two", other={"models": {"m": "m2"}}),
    )
    models = (("m", "m2"),)
    assert set(variants_of(catalog.experiments)) == {
        Variant(None, "value", ()),
        Variant(None, "1.0 / value", ()),
        Variant(None, None, models),
        Variant(None, "value", models),
        Variant(None, "1.0 / value", models),
    }


def test_whatever_a_customer_is_in_has_its_variant() -> None:
    catalog = with_experiments(
        an_experiment("e", "one", dear={"formula": "value", "models": {"m": "x"}}),
        an_experiment("f", "two", cheap={"formula": "1.0 / value"}, old={"catalog": 3}),
        an_experiment("g", "three", other={"models": {"m": "m2", "n": "n2"}}),
    )
    asked = set(variants_of(catalog.experiments))
    experiments = compile_plan(catalog, 1).experiments
    met = {variant_of(experiments.assign(f"lot {number}".encode(), ["hero"])) for number in range(3_000)}
    assert AS_IS in met
    assert met - {AS_IS} <= asked
    # 2 x 3 x 2, of which two meet: of two formulas the first in the catalogue counts.
    assert len(met) == 10


def test_a_variant_on_the_formula_decides_by_it_and_keeps_everything_else() -> None:
    catalog = with_experiments(an_experiment("e", "l", dear={"formula": "value"}))
    plan = compile_plan(catalog, 4)
    (other,) = plans_of(plan, {}).values()
    assert chosen(plan, decided(plan, a_question(plan))) == ["likely"]
    assert chosen(other, decided(other, a_question(other))) == ["dear"]
    assert other.revision == 4
    assert other.rows == plan.rows


def test_a_variant_on_a_model_asks_for_the_other_one() -> None:
    catalog = varied(with_experiments(), Variant(None, None, (("m", "m2"),)))
    assert {one.id: one.propensity.model for _, _, one in catalog.actions()} == {
        "likely": "m2",
        "dear": "n",
        "plain": None,
    }


def test_a_variant_on_the_catalogue_is_compiled_from_its_revision_under_our_own_number() -> None:
    plan = compile_plan(with_experiments(an_experiment("e", "l", old={"catalog": 3})), 4)
    (other,) = plans_of(plan, {3: a_catalog([an_action("old")])}).values()
    assert [row.action_id for row in other.rows] == ["old"]
    assert other.revision == 4


def test_a_revision_that_is_gone_leaves_its_customers_with_what_everybody_gets() -> None:
    plan = compile_plan(with_experiments(an_experiment("e", "l", old={"catalog": 3})), 4)
    assert plans_of(plan, {}) == {}
    assert fitted(plan, {}, {}).variants == {}


class Stored(CatalogStore):
    """Some revisions; an error stands for one that cannot be read."""

    def __init__(self, revisions: dict[int, Catalog | Poison]) -> None:
        self._revisions = revisions

    async def fetch(self, revision: int) -> Catalog:
        found = self._revisions.get(revision, NotFound(f"catalogue revision {revision} is not known"))
        if isinstance(found, Exception):
            raise found
        return found


async def test_arms_find_the_revisions_that_are_there_and_the_others_are_told() -> None:
    arms = {f"a{revision}": {"catalog": revision} for revision in (1, 2, 3)}
    plan = compile_plan(with_experiments(an_experiment("e", "l", **arms)), 4)
    first = a_catalog([an_action("first")])
    with capture_logs() as log:
        assert await catalogs_of(plan, Stored({1: first, 3: Poison("revision 3 cannot be read")})) == {1: first}
    assert [(line["event"], line["revision"], line["catalog"], line["error"]) for line in log] == [
        ("arm_left_out", 4, 2, "catalogue revision 2 is not known"),
        ("arm_left_out", 4, 3, "revision 3 cannot be read"),
    ]


async def test_a_revision_that_came_after_the_catalogue_that_names_it_is_not_there() -> None:
    """Else a replica that starts after it came would decide otherwise than those that started before."""
    plan = compile_plan(with_experiments(an_experiment("e", "l", next={"catalog": 5})), 4)
    assert await catalogs_of(plan, Stored({5: a_catalog([an_action("next")])})) == {}


@pytest.mark.parametrize(
    "bad",
    [
        an_action("bad", eligibility="profile.nonsense == 1"),
        an_action("bad", treatments=[{"id": "main", "placements": ["nowhere"]}]),
        an_action("bad", treatments=[{"id": "main", "placements": ["hero"], "content": {"title": "{{ open"}}]),
    ],
    ids=["rule", "name", "template"],
)
def test_a_variant_that_does_not_compile_is_left_out_and_told_and_the_others_stay(bad: dict[str, Any]) -> None:
    arms = {"old": {"catalog": 3}, "dear": {"formula": "value"}}
    plan = compile_plan(with_experiments(an_experiment("e", "l", **arms)), 4)
    with capture_logs() as log:
        assert list(plans_of(plan, {3: a_catalog([bad])})) == [Variant(None, "value", ())]
    assert [(line["event"], line["revision"], line["catalog"]) for line in log] == [("arm_left_out", 4, 3)]


def test_a_state_knows_its_variants() -> None:
    plan = a_plan(OFFERS, experiments=[an_experiment("e", "l", dear={"formula": "value"})])
    state = fitted(plan, plans_of(plan, {}), {})
    assert list(state.variants) == [Variant(None, "value", ())]
    assert all(not other.variants for other in state.variants.values())


def many() -> Catalog:
    """Four layers of three formulas each: a customer may be in one of each."""
    layers = [
        an_experiment(f"e{layer}", f"l{layer}", **{f"a{arm}": {"models": {"m": f"m{layer}-{arm}"}} for arm in range(3)})
        for layer in range(4)
    ]
    formulas = an_experiment("f", "formulas", **{f"a{arm}": {"formula": f"value * {arm}.5"} for arm in range(12)})
    return with_experiments(*layers, formulas)


def test_more_variants_than_there_is_room_for_are_refused_and_the_service_goes_on() -> None:
    """The follower refuses what raises one of these, and serves the last good catalogue; anything else ends it."""
    with pytest.raises((SchemaError, RuleError, WaylineError), match=str(MAX_VARIANTS)):
        plans_of(compile_plan(many(), 1), {})


def test_more_variants_than_there_is_room_for_are_a_finding_of_the_check() -> None:
    assert any("variants" in str(problem) for problem in check(many()))
