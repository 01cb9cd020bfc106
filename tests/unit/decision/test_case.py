"""Who cannot be served by an arm's revision of the catalogue takes part in all else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.decisions import a_catalog, an_action
from tests.support.engines import Shop

from wayline.v1 import decision_pb2
from wayline_decision.anew import decide_anew, differences
from wayline_decision.core.compile import compile_plan
from wayline_decision.states import State, fitted, plans_of

AUTUMN = 3
ONE = {"share": 1.0}
NOBODY = {"share": 0.0}


def all_in(name: str, layer: str, **arm: Any) -> dict[str, Any]:
    """An experiment in which every customer is in the arm b."""
    return {"id": name, "layer": layer, "arms": {"a": NOBODY, "b": {**ONE, **arm}}}


def a_shop(*experiments: dict[str, Any], revision: Any = None, actions: Any = None) -> tuple[Shop, State]:
    """A shop whose hero the autumn's revision does not have."""
    plan = compile_plan(a_catalog(actions or [an_action("now")], experiments=list(experiments)), 7)
    autumn = a_catalog(
        [an_action("autumn", treatments=[{"id": "t", "placements": ["list"]}])],
        placements={"list": {"channel": "web"}},
    )
    state = fitted(plan, plans_of(plan, {AUTUMN: autumn} if revision is None else revision), {})
    return Shop(plan, state), state


def selected(response: decision_pb2.DecideResponse) -> Iterator[str]:
    return (one.action for placement in response.placements for one in placement.selections)


def test_an_arm_that_cannot_answer_takes_nobody_out_of_the_other_layers() -> None:
    shop, _ = a_shop(all_in("season", "one", catalog=AUTUMN), all_in("impact", "two"))
    response = shop.decide("ada")
    assert list(selected(response)) == ["now"]
    assert dict(response.experiments) == {"impact": "b"}
    (warning,) = response.warnings
    assert warning == (
        "experiment season: arm b was left out, since its revision of the catalogue cannot answer this request: "
        "placements[0].placement: expected a placement of the catalogue (list), got 'hero'"
    )


def test_where_the_revision_has_the_placement_the_arm_decides_and_nothing_is_warned_of() -> None:
    shop, _ = a_shop(all_in("season", "one", catalog=AUTUMN), all_in("impact", "two"))
    response = shop.decide("ada", "list")
    assert list(selected(response)) == ["autumn"]
    assert dict(response.experiments) == {"season": "b", "impact": "b"}
    assert not response.warnings


def test_the_control_and_the_formula_of_another_layer_still_count() -> None:
    actions = [an_action("likely", propensity=0.5, value=1), an_action("dear", propensity=0.1, value=9, lever=0.1)]
    season = all_in("season", "one", catalog=AUTUMN)
    shop, _ = a_shop(season, actions=actions)
    assert list(selected(shop.decide("ada"))) == ["likely"]
    shop, _ = a_shop(season, all_in("levers", "two", control="no_levers"), actions=actions)
    assert list(selected(shop.decide("ada"))) == ["dear"]
    shop, _ = a_shop(season, all_in("price", "two", formula="value"), actions=actions)
    response = shop.decide("ada")
    assert list(selected(response)) == ["dear"]
    assert dict(response.experiments) == {"price": "b"}


def test_what_the_arm_itself_would_have_changed_does_not_count() -> None:
    actions = [an_action("likely", propensity=0.5, value=1), an_action("dear", propensity=0.1, value=4)]
    shop, _ = a_shop(all_in("season", "one", catalog=AUTUMN, formula="value"), actions=actions)
    response = shop.decide("ada")
    assert list(selected(response)) == ["likely"]
    assert dict(response.experiments) == {}


def test_a_second_revision_that_can_answer_decides_in_the_place_of_the_first() -> None:
    spring = a_catalog([an_action("spring")])
    autumn = a_catalog(
        [an_action("autumn", treatments=[{"id": "t", "placements": ["list"]}])],
        placements={"list": {"channel": "web"}},
    )
    shop, _ = a_shop(
        all_in("season", "one", catalog=AUTUMN),
        all_in("other", "two", catalog=4),
        revision={AUTUMN: autumn, 4: spring},
    )
    response = shop.decide("ada")
    assert list(selected(response)) == ["spring"]
    assert dict(response.experiments) == {"other": "b"}
    assert len(response.warnings) == 1


def test_a_replay_finds_the_same_arms_and_the_same_warning() -> None:
    shop, state = a_shop(all_in("season", "one", catalog=AUTUMN), all_in("impact", "two", control="random"))
    response = shop.decide("ada")
    (record,) = shop.records
    anew = decide_anew(record, state)
    assert differences(record, anew) == []
    assert list(anew.response(record).warnings) == list(response.warnings)


def test_a_revision_that_is_gone_takes_nobody_out_of_the_other_layers_either() -> None:
    shop, _ = a_shop(all_in("season", "one", catalog=AUTUMN), all_in("impact", "two"), revision={})
    response = shop.decide("ada")
    assert list(selected(response)) == ["now"]
    assert dict(response.experiments) == {"impact": "b"}
    assert "the revision that an arm names is not there" in response.warnings[0]
