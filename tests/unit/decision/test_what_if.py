"""The value of a policy that was never used, estimated from the decisions of another one, beside what it truly is.

A small world: customers of a few kinds, who accept each action with a known chance. The real engine decides for them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache
from statistics import fmean
from typing import Any

import pytest
from tests.support.decisions import a_catalog, an_action
from tests.support.engines import Shop

from wayline.catalog.model import Catalog
from wayline_decision.compare import Comparison
from wayline_decision.core.compile import compile_plan
from wayline_decision.past import Past
from wayline_decision.states import State, fitted

ESTIMATORS = ("ips", "snips", "doubly_robust")
KINDS = {"gold": 0.2, "silver": 0.3, "none": 0.5}
"""How frequent each kind of customer is."""
ACCEPTS = {
    "gold": {"red": 0.1, "blue": 0.6, "green": 0.2, "grey": 0.3},
    "silver": {"red": 0.2, "blue": 0.1, "green": 0.5, "grey": 0.2},
    "none": {"red": 0.15, "blue": 0.05, "green": 0.1, "grey": 0.4},
}
USED = {"red": 3.0, "blue": 1.7, "green": 2.0, "grey": 2.1}
"""The values by which decisions were made: red is shown to most."""
TRIED = {"red": 1.0, "blue": 2.0, "green": 2.0, "grey": 2.2}
EPSILON_GREEDY = {"method": "epsilon_greedy", "epsilon": 0.4}
THOMPSON = {"method": "thompson"}
SQUARECB = {"method": "squarecb", "gamma": 8}
GREEDY = {"method": "none"}
DECISIONS = 300
SEEDS = range(8)


def a_policy(values: Mapping[str, float], exploration: Mapping[str, Any], **fields: Any) -> State:
    """It goes by values, and knows a little of who likes what. Grey is not for gold customers."""
    weights = {"blue": "profile.tier == 'gold' ? 1.5 : 1.0", "green": "profile.tier == 'silver' ? 1.3 : 1.0"}
    actions = [
        an_action(
            name,
            value=value,
            propensity={"base": 0.2, "evidence": 15},
            context_weight=weights.get(name, 1.0),
            **({"eligibility": "profile.tier != 'gold'"} if name == "grey" else {}),
        )
        for name, value in values.items()
    ]
    catalog: Catalog = a_catalog(actions, placements={"hero": {"channel": "web", "exploration": exploration}}, **fields)
    return fitted(compile_plan(catalog, 1), {}, {})


class World:
    """A policy at work for customers who come at random."""

    def __init__(self, state: State, seed: int, decisions: int = DECISIONS) -> None:
        random.seed(seed)  # of the engine's own seeds, too
        shop = Shop(state.plan, state)
        kinds = random.choices(list(KINDS), list(KINDS.values()), k=decisions)
        for number, kind in enumerate(kinds):
            shop.knows(f"customer-{number}", profile={"tier": kind})
            shop.decide(f"customer-{number}")
        self.state, self.records = state, shop.records
        self.chances = [
            ACCEPTS[kind][record.selections[0].action] for kind, record in zip(kinds, self.records, strict=True)
        ]
        """That each decision's action is accepted."""
        self.accepted = {
            record.decision_id
            for record, chance in zip(self.records, self.chances, strict=True)
            if random.random() < chance
        }

    def valued(self, other: State) -> dict[str, Any]:
        """What its records say of another policy."""
        comparison = Comparison(other, lambda decision_id, _: float(decision_id in self.accepted))
        comparison.add([(one, Past(self.state, {}, frozenset())) for one in self.records])
        return comparison.evidence.as_dict()


METHODS = {one["method"]: one for one in (GREEDY, SQUARECB, EPSILON_GREEDY, THOMPSON)}


@cache
def never_used(method: str) -> tuple[State, float]:
    """Another policy, and what it is worth: how likely its actions are accepted, over many customers."""
    state = a_policy(TRIED, METHODS[method])
    return state, fmean(World(state, seed=99, decisions=2_000).chances)


@pytest.fixture(scope="module", params=[EPSILON_GREEDY, THOMPSON], ids=lambda one: one["method"])
def worlds(request: pytest.FixtureRequest) -> list[World]:
    """Of the same policy."""
    used = a_policy(USED, request.param)
    return [World(used, seed) for seed in SEEDS]


@pytest.mark.parametrize("tried", ["none", "squarecb"])
def test_the_interval_holds_the_true_value_of_a_catalogue_that_was_never_used(worlds: list[World], tried: str) -> None:
    other, truth = never_used(tried)
    found = [world.valued(other) for world in worlds]
    # or it would not show which of the two is told
    assert truth > fmean(one["recorded"]["value"] for one in found) + 0.05
    for name in ESTIMATORS:
        estimates = [one["new"][name] for one in found]
        assert sum(one["low"] <= truth <= one["high"] for one in estimates) >= len(SEEDS) - 1, name
        usual_width = fmean(one["high"] - one["low"] for one in estimates)  # four standard errors
        off = abs(fmean(one["value"] for one in estimates) - truth)
        assert off < usual_width / len(SEEDS) ** 0.5, name
    assert {(one["without_probability"], one["slots"]) for one in found} == {(0, DECISIONS)}
    assert sum(one["unsupported"] for one in found) == 0


@pytest.mark.parametrize("formula", [None, "propensity * value + 0.01 * context"])
def test_decisions_of_thompson_sampling_say_of_the_same_catalogue_what_came_of_it(formula: str | None) -> None:
    state = a_policy(USED, THOMPSON, arbitration={"formula": formula})
    value = World(state, seed=3, decisions=300).valued(state)
    assert (value["slots"], value["without_probability"], value["unsupported"]) == (300, 0, 0)
    for name in ESTIMATORS:
        one = value["new"][name]
        assert one["low"] <= value["recorded"]["value"] <= one["high"]
        assert one["value"] == pytest.approx(value["recorded"]["value"], abs=0.01)
        assert one["effective_sample_size"] == pytest.approx(300, rel=0.01)


def test_without_what_they_were_made_with_decisions_of_thompson_sampling_say_nothing() -> None:
    state = a_policy(USED, THOMPSON)
    world = World(state, seed=1, decisions=20)
    comparison = Comparison(state, lambda *_: 0.0)
    comparison.add([(one, None) for one in world.records])
    assert comparison.evidence.as_dict()["slots"] == 0
    assert comparison.evidence.without_probability == 20


def test_what_a_placement_before_holds_for_certain_is_no_candidate_of_the_one_that_explores() -> None:
    places = {"hero": {"channel": "web"}, "list": {"channel": "web", "exploration": EPSILON_GREEDY}}
    both = [{"id": "main", "placements": list(places)}]
    catalog = a_catalog(
        [an_action(name, value=value, treatments=both) for name, value in USED.items()], placements=places
    )
    state = fitted(compile_plan(catalog, 1), {}, {})
    shop = Shop(state.plan, state)
    for number in range(50):
        shop.decide(f"customer-{number}", "hero", "list")
    comparison = Comparison(state, lambda *_: 1.0)
    comparison.add([(one, None) for one in shop.records])
    value = comparison.evidence.as_dict()
    assert (value["slots"], value["unsupported"]) == (100, 0)
    for one in value["new"].values():
        assert (one["value"], one["effective_sample_size"]) == (pytest.approx(1), pytest.approx(100))


BOTH = [{"id": "main", "placements": ["hero", "list"]}]
LIKED = {"red": 0.1, "blue": 0.2, "green": 0.3, "grey": 0.4}


def of_two_placements(values: Mapping[str, float], exploration: Mapping[str, Any]) -> State:
    """Both could hold each action, and neither what the other holds."""
    places = {name: {"channel": "web", "exploration": exploration} for name in ("hero", "list")}
    chance = {"base": 0.2, "evidence": 15}
    actions = [an_action(name, value=one, propensity=chance, treatments=BOTH) for name, one in values.items()]
    return fitted(compile_plan(a_catalog(actions, placements=places), 1), {}, {})


@pytest.mark.parametrize("exploration", [EPSILON_GREEDY, THOMPSON], ids=lambda one: one["method"])
def test_placements_that_compete_for_the_same_actions_are_valued_truly(exploration: Mapping[str, Any]) -> None:
    random.seed(8)
    used = of_two_placements({"red": 2, "blue": 2.2, "green": 2.4, "grey": 2.6}, exploration)
    other = of_two_placements({"red": 1, "blue": 2, "green": 3, "grey": 2.5}, GREEDY)
    truth = (LIKED["green"] + LIKED["grey"]) / 2
    shop = Shop(used.plan, used)
    for number in range(800):
        shop.decide(f"customer-{number}", "hero", "list")
    liked = {
        (record.decision_id, one.action)
        for record in shop.records
        for one in record.selections
        if random.random() < LIKED[one.action]
    }
    for state in (used, other):
        comparison = Comparison(state, lambda *which: float(which in liked))
        comparison.add([(one, Past(used, {}, frozenset())) for one in shop.records])
        value = comparison.evidence.as_dict()
        assert (value["slots"], value["without_probability"]) == (1_600, 0)
        for one in value["new"].values():
            if state is used:
                assert one["effective_sample_size"] == pytest.approx(1_600, rel=0.01)
                assert one["value"] == pytest.approx(value["recorded"]["value"], abs=0.01)
            else:
                assert one["low"] <= truth <= one["high"]
                assert one["high"] - one["low"] < 0.3


POSITIONS = (1.0, 0.8, 0.5)
"""How much of its chance an action has in each slot."""


def of_three_slots(values: Mapping[str, float], exploration: Mapping[str, Any], **fields: Any) -> State:
    """A list of three slots, which four actions could fill."""
    places = {"list": {"channel": "web", "slots": 3, "exploration": exploration, **fields}}
    treatments = [{"id": "main", "placements": ["list"]}]
    chance = {"base": 0.2, "evidence": 15}
    actions = [an_action(name, value=one, propensity=chance, treatments=treatments) for name, one in values.items()]
    return fitted(compile_plan(a_catalog(actions, placements=places), 1), {}, {})


def chances_of(actions: Sequence[str]) -> list[float]:
    """That each is accepted: after red, everything does better. So what a slot is worth depends on those before it."""
    return [
        LIKED[one] * POSITIONS[at] * (1.6 if at and actions[at - 1] == "red" else 1.0) for at, one in enumerate(actions)
    ]


class Lists:
    """A policy that fills lists, and what comes of them."""

    def __init__(self, state: State, seed: int, decisions: int = 300) -> None:
        random.seed(f"lists {seed}")
        shop = Shop(state.plan, state)
        for number in range(decisions):
            shop.decide(f"customer-{number}", "list")
        self.state, self.records = state, shop.records
        self._found: dict[str, list[dict[str, Any]]] = {}
        filled = [[one.action for one in record.selections] for record in self.records]
        self.chances = [chances_of(actions) for actions in filled]
        self.accepted = {
            (record.decision_id, action)
            for record, actions, chances in zip(self.records, filled, self.chances, strict=True)
            for action, chance in zip(actions, chances, strict=True)
            if random.random() < chance
        }

    def worth(self) -> list[float]:
        """By slot: how likely it is accepted."""
        return [fmean(slot) for slot in zip(*self.chances, strict=True)]

    def valued(self, other: State) -> list[dict[str, Any]]:
        """By slot: what the records say of another policy."""
        comparison = Comparison(other, lambda *which: float(which in self.accepted))
        comparison.add([(one, Past(self.state, {}, frozenset())) for one in self.records])
        return [one.as_dict() for one in (comparison.evidence, *(comparison.later[slot] for slot in (2, 3)))]

    def valued_by(self, method: str) -> list[dict[str, Any]]:
        """The same of the policy that was never used; it is worked out once for all tests."""
        if method not in self._found:
            self._found[method] = self.valued(lists_never_used(method)[0])
        return self._found[method]


LISTED = {"red": 3.0, "blue": 2.9, "green": 2.0, "grey": 2.2}
TRIED_LIST = {"red": 2.5, "blue": 1.5, "green": 2.4, "grey": 3.0}
MOSTLY_BY_LOT = {"method": "epsilon_greedy", "epsilon": 0.8}


@cache
def lists_never_used(method: str) -> tuple[State, list[float]]:
    """Another policy, and what it is worth, by slot."""
    state = of_three_slots(TRIED_LIST, METHODS[method])
    return state, Lists(state, seed=99, decisions=3_000).worth()


@pytest.fixture(scope="module", params=[MOSTLY_BY_LOT, THOMPSON], ids=lambda one: one["method"])
def lists(request: pytest.FixtureRequest) -> list[Lists]:
    """Of the same policy."""
    used = of_three_slots(LISTED, request.param, diversity=0.1)
    return [Lists(used, seed) for seed in SEEDS]


@pytest.mark.parametrize("tried", ["none", "epsilon_greedy", "thompson"])
def test_each_slot_of_a_list_is_valued_truly_given_those_before_it(lists: list[Lists], tried: str) -> None:
    _, truth = lists_never_used(tried)
    found = [one.valued_by(tried) for one in lists]
    for slot in range(3):
        for name in ESTIMATORS:
            estimates = [one[slot]["new"][name] for one in found]
            holding = sum(one["low"] <= truth[slot] <= one["high"] for one in estimates)
            assert holding >= len(SEEDS) - 1, (slot + 1, name)
            usual_width = fmean(one["high"] - one["low"] for one in estimates)
            off = abs(fmean(one["value"] for one in estimates) - truth[slot])
            assert off < usual_width / len(SEEDS) ** 0.5, (slot + 1, name)
        assert {(one[slot]["slots"], one[slot]["without_probability"]) for one in found} == {(300, 0)}
    sizes = [fmean(one[slot]["new"]["snips"]["effective_sample_size"] for one in found) for slot in range(3)]
    assert sizes[0] > sizes[1] > sizes[2] > 0, "the more slots before, the less is known"


def test_of_the_policy_that_was_used_every_slot_says_what_came_of_it(lists: list[Lists]) -> None:
    one = lists[0]
    for found in one.valued(one.state):
        for name in ESTIMATORS:
            assert found["new"][name]["value"] == pytest.approx(found["recorded"]["value"], abs=0.01)
            assert found["new"][name]["effective_sample_size"] == pytest.approx(300, rel=0.01)


def test_doubly_robust_knows_a_later_slot_better_than_the_weights_alone(lists: list[Lists]) -> None:
    third = [one.valued_by("epsilon_greedy")[2]["new"] for one in lists]
    widths = {name: fmean(one[name]["high"] - one[name]["low"] for one in third) for name in ("ips", "doubly_robust")}
    assert widths["doubly_robust"] < widths["ips"]


def test_a_slot_that_only_one_of_the_two_has_is_silence_in_the_other() -> None:
    used = of_three_slots({name: LISTED[name] for name in ("red", "blue")}, GREEDY)
    world = Lists(used, seed=2, decisions=20)
    third = of_three_slots(LISTED, GREEDY)
    comparison = Comparison(third, lambda *_: 1.0)
    comparison.add([(one, None) for one in world.records])
    found = comparison.later[3].as_dict()
    assert (found["slots"], found["unsupported"], found["rewards"]) == (20, 20, 0)
    assert found["new"]["ips"]["value"] == 0
    fewer = of_three_slots({"red": 3.0}, GREEDY)
    comparison = Comparison(fewer, lambda *_: 1.0)
    comparison.add([(one, None) for one in world.records])
    assert comparison.later[2].as_dict()["unsupported"] == 20
    assert 4 not in comparison.later


def test_a_list_is_valued_after_the_placement_before_it_and_not_by_lots_that_stand_for_all_slots() -> None:
    places = {"hero": {"channel": "web", "exploration": EPSILON_GREEDY}, "list": {"channel": "web", "slots": 2}}
    actions = [an_action(name, value=one, treatments=BOTH) for name, one in LISTED.items()]
    state = fitted(compile_plan(a_catalog(actions, placements=places), 1), {}, {})
    shop = Shop(state.plan, state)
    for number in range(100):
        shop.decide(f"customer-{number}", "hero", "list")
    comparison = Comparison(state, lambda *_: 1.0)
    comparison.add([(one, None) for one in shop.records])
    found = comparison.later[2].as_dict()
    assert (found["slots"], found["unsupported"]) == (100, 0)
    assert found["new"]["snips"]["effective_sample_size"] == pytest.approx(100)
    controls = [{"id": "c", "arms": {name: {"share": 0.5, "control": "random_propensity"} for name in ("x", "y")}}]
    by_lot = a_catalog(actions, placements=places, experiments=controls)
    comparison = Comparison(fitted(compile_plan(by_lot, 1), {}, {}), lambda *_: 1.0)
    comparison.add([(one, None) for one in shop.records])
    assert comparison.later[2].without_probability == 100
