"""What a marketer may rely on: who is held out, who tries what, and that it stays so."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from wayline.catalog.experiment_checks import problems
from wayline.catalog.load import load_text
from wayline.catalog.model import Catalog
from wayline.identity import identity_key
from wayline_decision.core.experiments import (
    AS_EVERYBODY,
    Assignment,
    ExperimentPlan,
    compile_experiments,
    lot_number,
)
from wayline_decision.core.maturity import action_salts, reached

DOCUMENT = Path(__file__).parents[3] / "docs" / "experiments.md"
UNLIKELY = 1e-3
CUSTOMERS = [identity_key("user_id", f"customer-{number}") for number in range(50_000)]
FEW = CUSTOMERS[:5_000]
ROWS = ("boots", "boots", "hats", "socks")
"""The action of each row."""
HALVES = {"a": {"share": 0.5}, "b": {"share": 0.5, "control": "random"}}
lots = st.binary(min_size=16, max_size=16)


def a_catalog(**fields: Any) -> Catalog:
    """Three actions and two placements; `fields` add experiments, `boots` and so on fields of that action."""
    actions = [
        {
            "id": name,
            "propensity": {"model": "offers"},
            "treatments": [{"id": "main", "placements": ["hero", "list"]}],
            **fields.pop(name, {}),
        }
        for name in ("boots", "hats", "socks")
    ]
    return Catalog.model_validate(
        {
            "channels": {"web": {}},
            "placements": {"hero": {"channel": "web"}, "list": {"channel": "web"}},
            "issues": [{"id": "sales", "groups": [{"id": "shop", "actions": actions}]}],
            **fields,
        }
    )


def a_plan(**fields: Any) -> ExperimentPlan:
    return compile_experiments(a_catalog(**fields), ROWS)


def an_experiment(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "arms": HALVES, **fields}


def arms_of(plan: ExperimentPlan, experiment: str, customers: Sequence[bytes] = FEW) -> list[str]:
    """The arm of each customer; '' for those who do not take part."""
    return [dict(plan.assign(lot, ["hero"]).arms).get(experiment, "") for lot in customers]


def among(plan: ExperimentPlan, which: Callable[[Assignment], bool], customers: Sequence[bytes] = FEW) -> set[bytes]:
    return {lot for lot in customers if which(plan.assign(lot, ["hero"]))}


def agree(left: Sequence[object], right: Sequence[object]) -> float:
    """The p-value of two labels of the same customers having nothing to do with each other."""
    rows, columns = sorted(set(left), key=str), sorted(set(right), key=str)
    table = np.zeros((len(rows), len(columns)))
    for one, other in zip(left, right, strict=True):
        table[rows.index(one), columns.index(other)] += 1
    return float(chi2_contingency(table).pvalue)


def an_arm(arm: dict[str, Any]) -> Assignment:
    """What an arm with these fields means for a customer who is in it."""
    arms = {"as-it-is": {"share": 0.0}, "other": {"share": 1.0, **arm}}
    return a_plan(experiments=[{"id": "e", "arms": arms}]).assign(CUSTOMERS[0], ["hero"])


# Nothing declared


def test_without_experiments_there_is_nothing_to_do() -> None:
    plan = a_plan()
    assert plan.empty
    assert plan.assign(CUSTOMERS[0], ["hero"]) == AS_EVERYBODY == Assignment()


@pytest.mark.parametrize(
    "declared",
    [{"holdout": {"share": 0.1}}, {"experiments": [an_experiment("e")]}, {"boots": {"control": 0.1}}],
    ids=["holdout", "experiment", "control-group"],
)
def test_a_holdout_an_experiment_or_a_control_group_is_something_to_do(declared: dict[str, Any]) -> None:
    assert not a_plan(**declared).empty


def test_shares_of_nothing_are_nothing_to_do() -> None:
    plan = a_plan(holdout={"share": 0}, experiments=[an_experiment("e", share=0)], boots={"control": 0})
    assert plan.empty
    assert plan.assign(CUSTOMERS[0], ["hero"]) == AS_EVERYBODY


# The universal holdout


def test_the_holdout_takes_part_in_nothing() -> None:
    plan = a_plan(holdout={"share": 0.5}, experiments=[an_experiment("e")])
    found = [plan.assign(lot, ["hero"]) for lot in FEW]
    assert {one.held_out for one in found} == {True, False}
    assert all(bool(one.arms) is not one.held_out for one in found)
    assert all(one.control is None for one in found if one.held_out)


def test_the_holdout_has_the_share_that_was_asked_for() -> None:
    plan = a_plan(holdout={"share": 0.1})
    held_out = len(among(plan, lambda one: one.held_out, CUSTOMERS))
    assert chisquare([held_out, 50_000 - held_out], [5_000, 45_000]).pvalue > UNLIKELY


def test_whoever_is_held_out_stays_held_out_on_every_replica_whatever_the_request() -> None:
    fields: dict[str, Any] = {"holdout": {"share": 0.2}, "experiments": [an_experiment("e", placements=["list"])]}
    one, other = a_plan(**fields), a_plan(**fields)
    for lot in FEW:
        assert one.assign(lot, ["hero"]).held_out == other.assign(lot, ["list", "hero"]).held_out


def test_a_larger_holdout_only_adds_customers() -> None:
    small, large = (among(a_plan(holdout={"share": share}), lambda one: one.held_out) for share in (0.05, 0.1))
    assert small < large


def test_another_salt_draws_the_holdout_anew() -> None:
    first, second = (
        [a_plan(holdout={"share": 0.2, "salt": salt}).assign(lot, []).held_out for lot in FEW] for salt in ("a", "b")
    )
    assert agree(first, second) > UNLIKELY


def test_a_share_of_0_holds_out_nobody_and_a_share_of_1_everybody() -> None:
    assert not among(a_plan(holdout={"share": 0}), lambda one: one.held_out)
    assert among(a_plan(holdout={"share": 1}), lambda one: one.held_out) == set(FEW)


def test_the_holdout_says_nothing_about_a_layer_that_has_its_name() -> None:
    held_out = [a_plan(holdout={"share": 0.5}).assign(lot, []).held_out for lot in FEW]
    experiment = an_experiment("e", layer="holdout", salt="holdout", share=0.5)
    assert agree(held_out, arms_of(a_plan(experiments=[experiment]), "e")) > UNLIKELY


# Arms


def test_arms_have_the_shares_that_were_asked_for() -> None:
    shares = {"a": 0.6, "b": 0.25, "c": 0.1, "d": 0.05}
    plan = a_plan(experiments=[{"id": "e", "arms": {name: {"share": share} for name, share in shares.items()}}])
    found = arms_of(plan, "e", CUSTOMERS)
    assert chisquare([found.count(name) for name in shares], [50_000 * share for share in shares.values()]).pvalue > (
        UNLIKELY
    )


def test_every_customer_of_an_experiment_has_an_arm_though_shares_add_up_to_a_little_less() -> None:
    arms = {"a": {"share": 0.333_333_1}, "b": {"share": 0.333_333_1}, "c": {"share": 0.333_333_1}}
    at_the_very_end = (8_962_790).to_bytes(16, "big")
    assert lot_number("arm:e", at_the_very_end) > 0.999_999_3
    assert arms_of(a_plan(experiments=[{"id": "e", "arms": arms}]), "e", [at_the_very_end]) == ["c"]


def test_nobody_is_in_an_arm_without_a_share() -> None:
    arms = {"a": {"share": 0}, "b": {"share": 1}, "c": {"share": 0}}
    assert set(arms_of(a_plan(experiments=[{"id": "e", "arms": arms}]), "e")) == {"b"}


def test_a_customer_keeps_the_arm_whatever_else_changes_in_the_experiment_and_the_file() -> None:
    before = a_plan(experiments=[an_experiment("e", share=0.5)])
    changed = {
        "b": {"share": 0.5, "formula": "value"},  # another meaning, and written first
        "a": {"share": 0.5},
    }
    after = a_plan(
        holdout={"share": 0.0},
        boots={"control": 0.5},
        experiments=[
            an_experiment("another", layer="x"),
            {"id": "e", "share": 0.5, "placements": ["hero"], "arms": changed},
        ],
    )
    assert arms_of(after, "e") == arms_of(before, "e")


def test_an_experiment_that_grows_only_adds_customers_and_moves_none() -> None:
    before = arms_of(a_plan(experiments=[an_experiment("e", share=0.2)]), "e")
    after = arms_of(a_plan(experiments=[an_experiment("e", share=0.6)]), "e")
    assert all(old in ("", new) for old, new in zip(before, after, strict=True))
    assert after.count("") < before.count("")


def test_another_salt_draws_the_arms_anew_among_the_same_customers() -> None:
    first = arms_of(a_plan(experiments=[an_experiment("e", share=0.5)]), "e")
    second = arms_of(a_plan(experiments=[an_experiment("e", share=0.5, salt="again")]), "e")
    assert [bool(arm) for arm in first] == [bool(arm) for arm in second]
    taking_part = [pair for pair in zip(first, second, strict=True) if pair[0]]
    assert agree(*zip(*taking_part, strict=True)) > UNLIKELY


def test_an_experiment_may_take_over_the_arms_of_another_by_its_salt() -> None:
    first = arms_of(a_plan(experiments=[an_experiment("spring")]), "spring")
    second = arms_of(a_plan(experiments=[an_experiment("summer", salt="spring")]), "summer")
    assert first == second


def test_the_drawing_of_lots_stays_the_same_for_ever() -> None:
    lot = bytes(range(16))
    assert lot_number("", lot) == float.fromhex("0x1.470a6f148dee8p-2")
    assert lot_number("layer:default", lot) == float.fromhex("0x1.55203a06cf8cbp-1")
    assert lot_number("layer:default", bytes(16)) == float.fromhex("0x1.13986ba3d87a0p-2")


def test_names_of_lots_stay_the_same_for_ever() -> None:
    plan = a_plan(
        holdout={"share": 0.3}, experiments=[an_experiment("e", layer="x", share=0.6)], boots={"control": 0.3}
    )
    for lot in FEW[:200]:
        held_out = lot_number("holdout:holdout", lot) < 0.3
        arm = "a" if lot_number("arm:e", lot) < 0.5 else "b"
        takes_part = not held_out and lot_number("layer:x", lot) < 0.6
        withheld = reached(lot, action_salts(["control:boots"]), np.array([0.3]))[0]
        found = plan.assign(lot, ["hero"])
        assert found.held_out == held_out
        assert found.arms == ((("e", arm),) if takes_part else ())
        assert found.withheld == (0b0011 if withheld else 0)


@given(salt=st.text(max_size=100), lot=lots)
def test_a_number_is_at_least_0_and_below_1(salt: str, lot: bytes) -> None:
    assert 0 <= lot_number(salt, lot) < 1


# Layers


def test_experiments_of_one_layer_exclude_each_other() -> None:
    shares = {"one": 0.5, "two": 0.2, "three": 0.3}
    plan = a_plan(experiments=[an_experiment(name, share=share) for name, share in shares.items()])
    found = [plan.assign(lot, ["hero"]).arms for lot in CUSTOMERS]
    assert all(len(arms) <= 1 for arms in found)
    taken = [sum(1 for arms in found if arms and arms[0][0] == name) for name in shares]
    free = 50_000 - sum(taken)
    assert free <= 1
    assert chisquare(taken, [sum(taken) * share for share in shares.values()]).pvalue > UNLIKELY


def test_what_a_layer_has_left_stays_as_it_is() -> None:
    plan = a_plan(experiments=[an_experiment("one", share=0.2), an_experiment("two", share=0.3)])
    free = len(among(plan, lambda one: one == AS_EVERYBODY, CUSTOMERS))
    assert chisquare([free, 50_000 - free], [25_000, 25_000]).pvalue > UNLIKELY


def test_layers_are_independent() -> None:
    shares = {"a": {"share": 0.2}, "b": {"share": 0.3}, "c": {"share": 0.5}}
    plan = a_plan(
        experiments=[
            {"id": "e", "layer": "one", "share": 0.7, "arms": shares},
            {"id": "f", "layer": "two", "share": 0.6, "arms": shares},
        ]
    )
    assert agree(arms_of(plan, "e", CUSTOMERS), arms_of(plan, "f", CUSTOMERS)) > UNLIKELY


def test_arms_do_not_depend_on_the_place_in_the_layer() -> None:
    plan = a_plan(experiments=[an_experiment("e", share=0.5)])
    taking_part = [lot for lot, arm in zip(CUSTOMERS, arms_of(plan, "e", CUSTOMERS), strict=True) if arm]
    arms = arms_of(plan, "e", taking_part)
    assert agree([lot_number("layer:default", lot) < 0.25 for lot in taking_part], arms) > UNLIKELY


def test_another_layers_shares_move_nobody() -> None:
    def plan(share: float) -> ExperimentPlan:
        return a_plan(
            experiments=[an_experiment("e", layer="one", share=0.5), an_experiment("f", layer="two", share=share)]
        )

    assert arms_of(plan(0.1), "e") == arms_of(plan(0.9), "e")


def test_the_order_of_the_file_moves_nobody() -> None:
    experiments = [an_experiment(name, share=0.3) for name in ("one", "two", "three")]
    forward, backward = a_plan(experiments=experiments), a_plan(experiments=experiments[::-1])
    for lot in FEW:
        assert forward.assign(lot, []).arms == backward.assign(lot, []).arms


def test_of_two_layers_that_set_the_same_the_first_of_the_catalogue_has_its_way() -> None:
    def experiment(name: str, arm: dict[str, Any]) -> dict[str, Any]:
        return {"id": name, "layer": name, "arms": {"x": {"share": 1.0, **arm}, "y": {"share": 0.0}}}

    plan = a_plan(
        experiments=[
            experiment("z", {"control": "propensity", "models": {"offers": "new"}}),
            experiment("m", {"formula": "value", "control": "random", "models": {"offers": "newer", "other": "o"}}),
            experiment("a", {"formula": "propensity", "catalog": 7}),
        ]
    )
    assert plan.assign(CUSTOMERS[0], []) == Assignment(
        arms=(("z", "x"), ("m", "x"), ("a", "x")),
        control="propensity",
        formula="value",
        models={"offers": "new", "other": "o"},
        catalog=7,
    )


# What an arm means


@pytest.mark.parametrize("control", ["random", "propensity", "no_levers", "eligibility", "random_propensity"])
def test_each_of_the_five_control_arms_is_carried_through(control: str) -> None:
    assert an_arm({"control": control}) == Assignment(arms=(("e", "other"),), control=control)  # type: ignore[arg-type]


def test_an_arm_may_have_its_own_formula() -> None:
    assert an_arm({"formula": "propensity * value"}).formula == "propensity * value"


def test_an_arm_may_have_its_own_models() -> None:
    assert an_arm({"models": {"offers": "offers-boosted"}}).models == {"offers": "offers-boosted"}


def test_an_arm_may_be_decided_by_another_revision_of_the_catalogue() -> None:
    assert an_arm({"catalog": 3}).catalog == 3


def test_an_arm_that_says_nothing_is_as_for_everybody_but_recorded() -> None:
    assert an_arm({}) == Assignment(arms=(("e", "other"),))


def test_records_name_the_arm_and_the_holdout() -> None:
    assert an_arm({}).recorded == {"e": "other"}
    held_out = a_plan(holdout={"share": 1.0}, experiments=[an_experiment("e")]).assign(CUSTOMERS[0], ["hero"])
    assert held_out.recorded == {"holdout": "held_out"}
    assert AS_EVERYBODY.recorded == {}


# Placements


def test_an_experiment_on_a_placement_takes_part_only_when_it_is_asked_for() -> None:
    plan = a_plan(experiments=[an_experiment("e", placements=["hero"])])
    for lot in FEW[:100]:
        assert plan.assign(lot, ["list"]) == AS_EVERYBODY
        assert plan.assign(lot, ["hero"]).arms == plan.assign(lot, ["list", "hero"]).arms != ()


def test_two_experiments_on_two_placements_run_side_by_side_in_two_layers() -> None:
    plan = a_plan(
        experiments=[
            an_experiment("at-hero", layer="one", placements=["hero"]),
            an_experiment("at-list", layer="two", placements=["list"]),
        ]
    )
    found = {wanted: [name for name, _ in plan.assign(CUSTOMERS[0], wanted).arms] for wanted in (("hero",), ("list",))}
    assert found == {("hero",): ["at-hero"], ("list",): ["at-list"]}
    assert len(plan.assign(CUSTOMERS[0], ["hero", "list"]).arms) == 2


def test_experiments_of_one_layer_exclude_each_other_also_on_different_placements() -> None:
    plan = a_plan(
        experiments=[
            an_experiment("at-hero", share=0.5, placements=["hero"]),
            an_experiment("at-list", share=0.5, placements=["list"]),
        ]
    )
    assert not any(plan.assign(lot, ["hero"]).arms and plan.assign(lot, ["list"]).arms for lot in FEW)


def test_remembering_changes_nothing() -> None:
    fields: dict[str, Any] = {
        "holdout": {"share": 0.1},
        "experiments": [an_experiment("e", placements=["hero"]), an_experiment("f", layer="x", share=0.4)],
        "hats": {"control": 0.3},
    }
    plan = a_plan(**fields)
    for lot in FEW[:300]:
        for wanted in (["hero"], ["list"], ["hero", "list"], ["hero"]):
            assert plan.assign(lot, wanted) == a_plan(**fields).assign(lot, wanted)


# Control groups of actions


def test_an_action_is_withheld_from_its_control_group_in_all_its_treatments() -> None:
    plan = a_plan(boots={"control": 0.3})
    withheld = {plan.assign(lot, ["hero"]).withheld for lot in FEW}
    assert withheld == {0, 0b0011}


def test_a_control_group_has_the_share_that_was_asked_for() -> None:
    plan = a_plan(boots={"control": 0.02}, socks={"control": 0.3})
    found = [plan.assign(lot, []).withheld for lot in CUSTOMERS]
    for row, share in ((0, 0.02), (3, 0.3)):
        inside = sum(mask >> row & 1 for mask in found)
        assert chisquare([inside, 50_000 - inside], [50_000 * share, 50_000 * (1 - share)]).pvalue > UNLIKELY


def test_control_groups_of_two_actions_are_independent() -> None:
    plan = a_plan(boots={"control": 0.3}, socks={"control": 0.3})
    found = [plan.assign(lot, []).withheld for lot in CUSTOMERS]
    assert agree([mask & 1 for mask in found], [mask >> 3 for mask in found]) > UNLIKELY


def test_a_control_group_that_grows_only_adds_customers() -> None:
    small, large = (among(a_plan(hats={"control": share}), lambda one: one.withheld != 0) for share in (0.1, 0.2))
    assert small < large


def test_a_control_group_does_not_move_when_other_actions_come_and_go() -> None:
    alone = compile_experiments(a_catalog(hats={"control": 0.3}), ["hats"])
    beside = a_plan(boots={"control": 0.5}, hats={"control": 0.3})
    for lot in FEW:
        assert alone.assign(lot, []).withheld & 1 == beside.assign(lot, []).withheld >> 2 & 1


def test_a_control_group_holds_beside_experiments_and_for_the_catalogue_of_an_arm() -> None:
    plan = a_plan(holdout={"share": 0.3}, experiments=[an_experiment("e")], boots={"control": 1.0})
    found = [plan.assign(lot, []) for lot in FEW]
    assert {one.withheld for one in found} == {0b0011}
    assert {bool(one.arms) for one in found} == {True, False}


def test_an_explanation_says_whose_control_group_it_was() -> None:
    one = a_plan(boots={"control": 1.0}).assign(CUSTOMERS[0], [])
    assert one.because(0) == one.because(1) == "in the control group of this action"
    assert one.because(2) == ""
    held_out = a_plan(holdout={"share": 1.0}).assign(CUSTOMERS[0], [])
    assert held_out.because(2) == "in the holdout, which gets nothing but fallbacks"


# What is refused


def found_in(**fields: Any) -> list[tuple[Any, str]]:
    return list(problems(a_catalog(**fields)))


def test_experiments_that_fit_have_no_problems() -> None:
    assert (
        found_in(
            holdout={"share": 0.1},
            experiments=[
                # Added up in binary fractions, they are a little more than 1.
                *(an_experiment(f"e{share}", share=share) for share in (0.05, 0.55, 0.3, 0.1)),
                an_experiment(
                    "e",
                    layer="x",
                    placements=["hero"],
                    arms={
                        "a": {"share": 0.5, "models": {"offers": "new"}},
                        "b": {"share": 0.5, "catalog": 2, "models": {"not-here": "new"}},
                    },
                ),
            ],
            personalise_only=["hero"],
        )
        == []
    )


def test_a_layer_that_is_full_takes_no_further_experiment() -> None:
    experiments = [
        an_experiment("a", share=0.7),
        an_experiment("b", layer="x"),
        an_experiment("c", share=0.4),
        an_experiment("d", share=0.1),
    ]
    first, second = found_in(experiments=experiments)
    assert first == (
        ("experiments", 2, "share"),
        "0.3 of the layer 'default' is left, got 0.4: experiments of one layer exclude each other",
    )
    assert second[0] == ("experiments", 3, "share")
    assert second[1].startswith("0 of the layer")


def test_two_experiments_cannot_have_one_id() -> None:
    experiments = [an_experiment("e", share=0.2), an_experiment("e", layer="x")]
    assert found_in(experiments=experiments) == [(("experiments", 1, "id"), "the experiment 'e' is there twice")]


def test_an_experiment_cannot_be_called_holdout() -> None:
    ((path, message),) = found_in(experiments=[an_experiment("holdout")])
    assert path == ("experiments", 0, "id")
    assert "choose another id" in message


def test_experiments_of_two_layers_cannot_draw_the_same_lots() -> None:
    experiments = [an_experiment("e"), an_experiment("f", layer="x", salt="e")]
    ((path, message),) = found_in(experiments=experiments)
    assert path == ("experiments", 1, "salt")
    assert "the same lots as 'e'" in message
    ((path, _),) = found_in(experiments=experiments[::-1])
    assert path == ("experiments", 1, "id")
    in_one_layer = [an_experiment("e", share=0.5), an_experiment("f", share=0.5, salt="e")]
    assert found_in(experiments=in_one_layer) == []


def test_experiments_name_placements_that_exist() -> None:
    assert found_in(experiments=[an_experiment("e", placements=["hero", "lst"])]) == [
        (("experiments", 0, "placements", 1), "there is no placement 'lst'; did you mean 'list'?")
    ]


def test_an_arm_replaces_a_model_that_an_action_uses() -> None:
    arms = {"a": {"share": 0.5}, "b": {"share": 0.5, "models": {"churn": "new"}}}
    assert found_in(experiments=[an_experiment("e", arms=arms)]) == [
        (("experiments", 0, "arms", "b", "models", "churn"), "there is no model in use 'churn' (there are: offers)")
    ]


def test_the_area_to_test_first_consists_of_placements_that_exist() -> None:
    assert found_in(personalise_only=["list", "footer"]) == [
        (("personalise_only", 1), "there is no placement 'footer' (there are: hero, list)")
    ]


def test_the_experiments_in_the_documentation_are_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    catalog = load_text("\n".join(blocks))
    assert list(problems(catalog)) == []
    assert {arm.control for one in catalog.experiments for arm in one.arms.values()} == {
        None, "random", "propensity", "no_levers", "eligibility", "random_propensity",
    }  # fmt: skip
    assert not compile_experiments(catalog, [action.id for _, _, action in catalog.actions()]).empty
