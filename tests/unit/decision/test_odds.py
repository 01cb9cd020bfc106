"""The chances that are told afterwards are those with which slots are filled, under every method and restriction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from scipy.stats import chisquare
from tests.support.decisions import a_plan, a_question, an_action, decided, decided_by_seed

from wayline_decision.core.company import Company
from wayline_decision.core.decision import Decision
from wayline_decision.core.odds import first_slot_distribution, selection_probabilities, slot_distribution
from wayline_decision.core.plan import Plan

SEEDS = 3_000
UNLIKELY = 1e-4
EVERYWHERE = [{"id": "one", "placements": ["list", "hero"]}, {"id": "two", "placements": ["list"]}]
METHODS: Mapping[str, Any] = {
    "none": {"method": "none"},
    "thompson": {"method": "thompson"},
    "squarecb": {"method": "squarecb", "gamma": 5},
    "epsilon_greedy": {"method": "epsilon_greedy", "epsilon": 0.5},
}
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "diverse": {"diversity": 0.6},
    "exponents": {"arbitration": {"propensity": 0.5, "value": 2}},
    "formula": {"arbitration": {"formula": "propensity * value + 0.1 * lever"}},
    "exclusion": {"arbitration": {"exclusions": [{"id": "x", "actions": ["a", "b"]}]}},
    "bundle": {"arbitration": {"bundles": [{"id": "x", "actions": ["a", "d"]}]}},
    "shared cap": {"contact": {"caps": [{"per": "group", "limit": 1, "window": "1h"}]}},
    "tiers": {"priorities": {"a": 1, "c": 1}},
    "forced": {"force": {"d": True}},
}


def shaped(method: str, shape: Mapping[str, Any]) -> Plan:
    fields = dict(shape)
    priorities, force, diversity = (fields.pop(name, {}) for name in ("priorities", "force", "diversity"))
    value = {"a": 3, "b": 2.5, "c": 2, "d": 1}
    actions = [
        an_action(
            name,
            treatments=EVERYWHERE,
            value=value[name],
            propensity={"base": 0.2, "evidence": 40},
            priority=priorities.get(name, 0),
            force=force.get(name, False),
        )
        for name in "abcd"
    ]
    groups = [{"id": "g", "actions": actions[:2]}, {"id": "h", "most": 1, "actions": actions[2:]}]
    places = {
        name: {"channel": "web", "slots": slots, "exploration": METHODS[method], "diversity": diversity or 0.0}
        for name, slots in (("hero", 1), ("list", 2))
    }
    return a_plan([], issues=[{"id": "i", "groups": groups}], placements=places, **fields)


def agrees(found: Counter[int], chances: Mapping[int, float]) -> bool:
    """Whether frequencies are those of the chances; what is too rare for the test must be rare."""
    total = found.total()
    common = [row for row, chance in chances.items() if chance * total >= 5]
    rest = 1.0 - sum(chances[row] for row in common)
    seen = [found[row] for row in common] + [total - sum(found[row] for row in common)]
    expected = [chances[row] * total for row in common] + [rest * total]
    if rest * total < 5:
        if seen[-1] > 5 * rest * total + 15:
            return False
        seen, expected = seen[:-1], [one * sum(seen[:-1]) / sum(expected[:-1]) for one in expected[:-1]]
    return len(seen) < 2 or chisquare(seen, expected).pvalue > UNLIKELY


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_slots_are_filled_as_often_as_the_chances_say(method: str, shape: str) -> None:
    plan = shaped(method, SHAPES[shape])
    first: Counter[int] = Counter()
    then: defaultdict[int, Counter[int]] = defaultdict(Counter)
    kept: dict[int, Decision] = {}
    for decision in decided_by_seed(plan, a_question(plan, "list"), range(SEEDS)):
        rows = [one.row for one in decision.placements[0].choices]
        first[rows[0]] += 1
        kept[rows[0]] = decision
        then[rows[0]][rows[1] if len(rows) > 1 else -1] += 1
    filled = next(iter(kept.values())).placements[0]
    assert filled.contest is not None
    chances = first_slot_distribution(plan, filled.standing, filled.contest)
    assert sum(chances.values()) == pytest.approx(1)
    assert agrees(first, chances)
    for row, decision in kept.items():
        filled = decision.placements[0]
        if len(filled.choices) < 2 or filled.choices[1].row in _partners(plan, row):
            continue
        company = Company(plan.company)
        company.join(plan.rows[row].action)
        assert filled.contest is not None
        second = slot_distribution(plan, filled.standing, filled.contest, company, filled.choices[:1], 0)
        assert agrees(then[row], second)


def _partners(plan: Plan, row: int) -> Sequence[int]:
    others = plan.company.bundles.get(plan.rows[row].action, ())
    return [at for at, one in enumerate(plan.rows) if one.action in others]


@pytest.mark.parametrize("method", ["squarecb", "epsilon_greedy", "none"])
def test_what_is_logged_is_what_is_told_afterwards(method: str) -> None:
    plan = shaped(method, {})
    for seed in range(50):
        filled = decided(plan, a_question(plan, "list", seed=seed)).placements[0]
        assert filled.contest is not None
        chances = first_slot_distribution(plan, filled.standing, filled.contest)
        assert filled.choices[0].selection_probability == pytest.approx(chances[filled.choices[0].row], abs=1e-12)


@pytest.mark.parametrize("shape", ["plain", "formula", "bundle"])
def test_every_slot_of_thompson_sampling_has_a_chance_in_hindsight(shape: str) -> None:
    plan = shaped("thompson", SHAPES[shape])
    for seed in range(20):
        decision = decided(plan, a_question(plan, "hero", "list", seed=seed))
        for filled, chances in zip(decision.placements, selection_probabilities(plan, decision), strict=True):
            wanted = {one.row for one in filled.choices if one.selection_probability is None}
            assert set(chances) == wanted
            assert all(0 < chance <= 1 for chance in chances.values())


def test_the_chance_of_a_later_slot_is_given_those_before_it() -> None:
    plan = shaped("thompson", {})
    decision = decided(plan, a_question(plan, "hero", "list"))
    company = Company(plan.company)
    for filled, chances in zip(decision.placements, selection_probabilities(plan, decision), strict=True):
        assert filled.contest is not None
        for slot, choice in enumerate(filled.choices):
            expected = slot_distribution(plan, filled.standing, filled.contest, company, filled.choices[:slot], 0)
            assert chances[choice.row] == pytest.approx(expected[choice.row])
            assert len(expected) == 4 - len(company_members(plan, company))
            company.join(plan.rows[choice.row].action)


def company_members(plan: Plan, company: Company) -> set[int]:
    """The actions that may not be chosen any more."""
    return {row.action for at, row in enumerate(plan.rows) if company.shut >> at & 1}


def test_what_an_earlier_placement_holds_is_no_candidate_for_a_later_one() -> None:
    plan = shaped("thompson", {})
    decision = decided(plan, a_question(plan, "hero", "list"))
    taken = plan.rows[decision.placements[0].choices[0].row].action
    filled = decision.placements[1]
    assert filled.contest is not None
    chances = first_slot_distribution(plan, filled.standing, filled.contest, [decision.placements[0].choices[0].row])
    assert taken not in {plan.rows[row].action for row in chances}


def test_where_propensities_were_by_lot_the_first_slot_has_the_share_of_such_lots() -> None:
    arm = {"share": 1.0, "control": "random_propensity"}
    plan = a_plan(
        [an_action("a", value=3), an_action("b", value=1)],
        experiments=[{"id": "e", "arms": {"x": arm, "y": {"share": 0.0}}}],
    )
    found = Counter(
        plan.rows[decision.placements[0].chosen[0].row].action_id
        for decision in decided_by_seed(plan, a_question(plan), range(SEEDS))
    )
    decision = decided(plan, a_question(plan))
    (chances,) = selection_probabilities(plan, decision)
    # 3 p > q for p and q from 0 to 1: all but a triangle of half of 1/3
    assert found["a"] / SEEDS == pytest.approx(5 / 6, abs=0.03)
    won = plan.rows[next(iter(chances))].action_id
    assert next(iter(chances.values())) == pytest.approx(5 / 6 if won == "a" else 1 / 6, abs=0.02)
