"""The chances of recorded slots: from the record, else worked out in hindsight."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.support.decisions import a_catalog, an_action
from tests.support.engines import Shop
from tests.support.records import Record, a_record

from wayline_decision.chances import chances_in_hindsight, recorded_chances
from wayline_decision.core.compile import compile_plan
from wayline_decision.past import Past
from wayline_decision.states import State, fitted

THOMPSON = {"channel": "web", "exploration": "thompson"}
SQUARECB = {"channel": "web", "slots": 2, "exploration": {"method": "squarecb", "gamma": 10}}
BOTH = [{"id": "main", "placements": ["hero", "list"]}]


def a_state(actions: Sequence[Mapping[str, Any]], hero: Mapping[str, Any] = THOMPSON, **fields: Any) -> State:
    catalog = a_catalog(actions, placements={"hero": hero, "list": SQUARECB}, **fields)
    return fitted(compile_plan(catalog, 1), {}, {})


def of(state: State) -> Past:
    return Past(state, {}, frozenset())


def decided(state: State, count: int, *placements: str) -> list[Record]:
    """By the engine, for customers who are known."""
    random.seed(count)  # of the engine's seeds
    shop = Shop(state.plan, state)
    for number in range(count):
        shop.knows(f"customer-{number}", profile={"views": number % 3})
        shop.decide(f"customer-{number}", *placements)
    return shop.records


def two_actions(value: float = 2.0) -> list[Mapping[str, Any]]:
    chance = {"base": 0.1, "evidence": 20}
    return [
        an_action("red", value=value, propensity=chance, treatments=BOTH),
        an_action("blue", value=1, propensity=chance, treatments=BOTH),
    ]


def test_the_record_says_the_chance_unless_it_was_thompson_sampling() -> None:
    state = a_state([*two_actions(), an_action("green", treatments=BOTH), an_action("grey", treatments=BOTH)])
    (record,) = decided(state, 1, "list", "hero")
    said, told = recorded_chances(record), chances_in_hindsight(record, of(state))
    assert said == {"list": told["list"], "hero": [None]}
    for chance in (*told["list"], *told["hero"]):
        assert chance is not None
        assert 0 < chance < 1


def test_a_placement_that_had_to_stay_empty_did_so_for_certain() -> None:
    record = a_record(a_catalog([an_action("red")]), {"hero": [], "list": ["red"]}, probability=None)
    assert recorded_chances(record) == {"hero": [], "list": [None]}


def test_in_hindsight_the_chances_are_how_often_each_action_was_shown() -> None:
    state = a_state(two_actions())
    records = decided(state, 600)
    chances = [(one.selections[0].action, *chances_in_hindsight(one, of(state))["hero"]) for one in records]
    red = {chance for action, chance in chances if action == "red"}
    assert len(red) == 1
    assert sum(action == "red" for action, _ in chances) / 600 == pytest.approx(red.pop(), abs=0.05)


def test_what_an_earlier_placement_holds_is_given() -> None:
    state = a_state(two_actions())
    for record in decided(state, 5, "list", "hero"):
        assert recorded_chances(record)["hero"] == []  # the list took both
    for record in decided(state, 5, "hero", "list"):
        assert chances_in_hindsight(record, of(state))["list"] == [1.0]  # one was left


def test_a_decision_that_does_not_come_out_as_it_did_has_no_chance_in_hindsight() -> None:
    records = decided(a_state(two_actions()), 100)
    other = a_state(two_actions(value=0.5))
    told = [one for one in records if chances_in_hindsight(one, of(other)) != {"hero": [None]}]
    assert 0 < len(told) < 100


def test_without_the_model_that_scored_there_is_none() -> None:
    state = a_state(two_actions())
    (record,) = decided(state, 1)
    assert chances_in_hindsight(record, Past(state, {}, frozenset({"accept@3"}))) == {"hero": [None]}


def test_where_the_catalogue_lacks_what_was_asked_for_there_is_none() -> None:
    (record,) = decided(a_state(two_actions()), 1)
    record.request.placements[0].placement = record.selections[0].placement = "gone"
    assert chances_in_hindsight(record, of(a_state(two_actions()))) == recorded_chances(record)


def test_where_some_content_could_not_be_rendered_only_what_was_certain_is_told() -> None:
    broken = {"title": "{{ profile.views | divided_by: 0 }}"}
    treatments = [{"id": "main", "placements": ["hero"], "content": broken}]
    actions = [*two_actions(), an_action("broken", value=1, propensity=0.1, treatments=treatments)]
    state = a_state(actions, hero={**THOMPSON, "slots": 2})
    records = decided(state, 60)
    assert {len(one.selections) for one in records} == {1, 2}
    for record in records:
        assert recorded_chances(record) == {"hero": [None] * len(record.selections)}
        (found,) = chances_in_hindsight(record, of(state)).values()
        whole = len(record.selections) == 2  # or nobody knows which slot it was
        assert [chance is not None for chance in found] == ([True, True] if whole else [False])
    certain = a_record(a_catalog([an_action("red")]), {"hero": ["red"]})
    certain.notes.append("content:blue/main failed: no such filter")
    assert recorded_chances(certain) == {"hero": [1.0]}


def test_in_the_arm_with_propensities_by_lot_the_first_placement_has_a_chance() -> None:
    arms = {"lots": {"share": 1.0, "control": "random_propensity"}, "usual": {"share": 0.0}}
    apart = [
        an_action(name, value=value, treatments=[{"id": "main", "placements": [place]}])
        for name, value, place in (("red", 3, "hero"), ("blue", 1, "hero"), ("green", 1, "list"), ("grey", 1, "list"))
    ]
    state = a_state(apart, experiments=[{"id": "e", "arms": arms}])
    (record,) = decided(state, 1, "hero", "list")
    assert recorded_chances(record) == {"hero": [None], "list": [None, None]}
    found = chances_in_hindsight(record, of(state))
    expected = 5 / 6 if record.selections[0].action == "red" else 1 / 6  # see test_odds
    assert found == {"hero": [pytest.approx(expected, abs=0.02)], "list": [None, None]}
