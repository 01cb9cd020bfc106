"""The chance of a whole placement is how often it is filled so, under every method and restriction."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from math import prod

import pytest
from tests.support.decisions import a_question, decided, decided_by_seed
from tests.unit.decision.test_odds import METHODS, SHAPES, shaped

from wayline_decision.core.ranking import ranking_chance, slots_given

SEEDS = 1_500


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_placement_is_filled_so_as_often_as_its_chance_says(method: str, shape: str) -> None:
    plan = shaped(method, SHAPES[shape])
    found: Counter[tuple[int, ...]] = Counter()
    for decision in decided_by_seed(plan, a_question(plan, "list"), range(SEEDS)):
        filled = decision.placements[0]
        found[tuple(one.row for one in filled.choices)] += 1
    chances = {rows: ranking_chance(plan, filled.standing, filled.contest, (), rows, seed=0) for rows in found}
    for rows, count in found.items():
        assert count / SEEDS == pytest.approx(chances[rows], abs=0.05), rows
    assert 0.95 < sum(chances.values()) < 1.01


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_slot_by_slot_the_chances_come_to_that_of_the_whole_placement(method: str, shape: str) -> None:
    plan = shaped(method, SHAPES[shape])
    for seed in range(20):
        hero, rest = decided(plan, a_question(plan, "hero", "list", seed=seed)).placements
        before, rows = ([one.row for one in filled.choices] for filled in (hero, rest))
        names = [plan.rows[row].action_id for row in rows]
        given = slots_given(plan, rest.standing, rest.contest, before, names, 0)
        slots = list(islice(given, rest.contest.slots + 2))
        assert prod(shares[name] for shares, name in zip(slots, names, strict=False)) == pytest.approx(
            ranking_chance(plan, rest.standing, rest.contest, before, rows, 0)
        )
        assert slots[len(names) :] == [{}] * (rest.contest.slots + 2 - len(names)), "the others are empty for certain"
        for shares in slots[: len(names)]:
            assert sum(shares.values()) == pytest.approx(1)


def test_after_what_could_not_have_stood_there_nothing_more_is_known() -> None:
    plan = shaped("squarecb", {})
    filled = decided(plan, a_question(plan, "list")).placements[0]
    first = plan.rows[filled.choices[0].row].action_id
    for names, told in (([first, first], 2), (["unheard-of"], 1), ([], 1)):
        slots = list(islice(slots_given(plan, filled.standing, filled.contest, (), names, 0), 9))
        assert len(slots) == told
    assert list(islice(slots_given(plan, filled.standing, None, (), [], 0), 3)) == [{}] * 3
    assert list(islice(slots_given(plan, filled.standing, None, (), ["a"], 0), 3)) == [{}]


@pytest.mark.parametrize("method", ["none", "squarecb", "epsilon_greedy"])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_product_of_the_chances_that_are_logged(method: str, shape: str) -> None:
    plan = shaped(method, SHAPES[shape])
    for seed in range(30):
        hero, rest = decided(plan, a_question(plan, "hero", "list", seed=seed)).placements
        logged = 1.0
        for one in rest.choices:
            assert one.selection_probability is not None
            logged *= one.selection_probability
        before, rows = ([one.row for one in filled.choices] for filled in (hero, rest))
        assert ranking_chance(plan, rest.standing, rest.contest, before, rows, 0) == pytest.approx(logged)


def test_what_does_not_fill_the_placement_or_more_than_it_has_none() -> None:
    plan = shaped("squarecb", {})
    filled = decided(plan, a_question(plan, "list")).placements[0]
    rows = [one.row for one in filled.choices]
    for other in ([], rows[:1], [*rows, *rows], [rows[0], rows[0]]):
        assert ranking_chance(plan, filled.standing, filled.contest, (), other, 0) == 0
    assert ranking_chance(plan, filled.standing, None, (), rows, 0) == 0
    assert ranking_chance(plan, filled.standing, None, (), (), 0) == 1


def test_a_bundle_goes_out_whole_or_has_no_chance() -> None:
    plan = shaped("squarecb", SHAPES["bundle"])
    row = {one.action_id: at for at, one in reversed(list(enumerate(plan.rows)))}
    filled = decided(plan, a_question(plan, "list")).placements[0]
    chance = {
        second: ranking_chance(plan, filled.standing, filled.contest, (), [row["a"], row[second]], 0)
        for second in ("b", "d")
    }
    assert chance["b"] == 0 < chance["d"]
