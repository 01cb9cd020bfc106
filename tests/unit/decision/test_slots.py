"""Who stands in which slot: forced first, then by priority, then by score; and with what chance."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.decisions import a_model, a_plan, a_question, an_action, chosen, decided, outcome

from wayline_decision.core.decision import Decision
from wayline_decision.core.explore import logit, spread
from wayline_decision.core.hindsight import thompson_distribution
from wayline_decision.core.plan import Plan

EVERYWHERE = [{"id": "t", "placements": ["hero", "list"], "content": {}}]
SEEDS = 4_000
UNLIKELY = 4.5
"""Standard errors: one comparison in 150,000 is further off by chance."""


def placed(**hero: Any) -> dict[str, Any]:
    """A hero and a list that are filled in this way."""
    return {"hero": {"channel": "web", **hero}, "list": {"channel": "web", "slots": 3, **hero}}


def hero(plan: Plan, seed: int = 0, slots: int = 1) -> Decision:
    return decided(plan, a_question(plan, seed=seed, slots=slots))


# Priorities and forced actions


def test_a_higher_priority_comes_first_whatever_the_scores_say() -> None:
    plan = a_plan([an_action("dear", value=100), an_action("first", priority=1, value=0.01)])
    assert chosen(plan, hero(plan, slots=2)) == ["first", "dear"]


def test_of_one_priority_the_score_decides() -> None:
    plan = a_plan([an_action("a", priority=1), an_action("b", priority=1, value=2), an_action("c", value=9)])
    assert chosen(plan, hero(plan, slots=3)) == ["b", "a", "c"]


def test_a_forced_action_comes_before_all_others() -> None:
    plan = a_plan(
        [an_action("dear", value=100), an_action("first", priority=1_000), an_action("now", force=True, value=0)]
    )
    assert chosen(plan, hero(plan, slots=3)) == ["now", "first", "dear"]


def test_an_action_is_forced_only_where_its_rule_says_so() -> None:
    plan = a_plan([an_action("dear", value=9), an_action("parcel-late", force='context.device == "mobile"')])
    at_the_desk = decided(plan, a_question(plan))
    on_the_way = decided(plan, a_question(plan, context={"device": "mobile"}))
    assert (chosen(plan, at_the_desk), chosen(plan, on_the_way)) == (["dear"], ["parcel-late"])


def test_a_forced_action_needs_the_consent_of_its_policies() -> None:
    plan = a_plan([an_action("plain"), an_action("now", force=True, eligibility="profile.views > 0")])
    assert chosen(plan, hero(plan)) == ["plain"]


def test_of_several_forced_actions_the_higher_priority_comes_first() -> None:
    plan = a_plan(
        [an_action("dear", force=True, value=9), an_action("first", force=True, priority=1), an_action("plain")]
    )
    assert chosen(plan, hero(plan, slots=3)) == ["first", "dear", "plain"]


def test_of_several_forced_actions_the_higher_priority_comes_first_also_among_hundreds_of_others() -> None:
    others = [an_action(f"other-{number}") for number in range(100)]
    plan = a_plan([an_action("dear", force=True, value=9), an_action("first", force=True, priority=1), *others])
    assert chosen(plan, hero(plan, slots=2)) == ["first", "dear"]


def test_exploration_does_not_put_a_forced_action_aside() -> None:
    plan = a_plan(
        [an_action("now", force=True, value=0), an_action("a"), an_action("b")],
        placements=placed(exploration={"method": "epsilon_greedy", "epsilon": 1}),
    )
    for seed in range(50):
        decision = hero(plan, seed, slots=2)
        assert chosen(plan, decision)[0] == "now"
        assert [one.selection_probability for one in decision.placements[0].chosen] == [1.0, 0.5]


def test_exploration_is_among_those_of_one_priority() -> None:
    plan = a_plan(
        [an_action(name, priority=priority) for name, priority in {"a": 2, "b": 2, "c": 1, "d": 1}.items()],
        placements=placed(exploration={"method": "epsilon_greedy", "epsilon": 1}),
    )
    rankings = {tuple(chosen(plan, hero(plan, seed, slots=4))) for seed in range(100)}
    assert rankings == {("a", "b", "c", "d"), ("a", "b", "d", "c"), ("b", "a", "c", "d"), ("b", "a", "d", "c")}


wishes = st.lists(
    st.fixed_dictionaries({"value": st.integers(0, 5), "priority": st.integers(0, 2), "force": st.booleans()}),
    min_size=1,
    max_size=10,
)
methods = st.sampled_from(["none", "thompson", "squarecb", "epsilon_greedy"])


@given(wishes, methods, st.integers(0, 2**64 - 1), st.booleans())
@settings(max_examples=50)
def test_forced_beats_priority_and_priority_beats_scores(
    wishes_: list[dict[str, Any]], method: str, seed: int, diverse: bool
) -> None:
    plan = a_plan(
        [an_action(f"a{number:02}", **wish) for number, wish in enumerate(wishes_)],
        placements=placed(exploration=method, diversity=0.5 if diverse else 0.0),
    )
    ranking = [wishes_[int(name[1:])] for name in chosen(plan, hero(plan, seed, slots=len(wishes_)))]
    assert len(ranking) == len(wishes_)
    ranks = [(wish["force"], 0 if wish["force"] else wish["priority"]) for wish in ranking]
    assert ranks == sorted(ranks, reverse=True)


# Diversity


def test_each_action_of_a_group_that_is_there_lowers_the_next_of_the_group() -> None:
    shoes = {"id": "shoes", "actions": [an_action("s1", value=10), an_action("s2", value=9), an_action("s3", value=8)]}
    bags = {"id": "bags", "actions": [an_action("b1", value=7), an_action("b2", value=5)]}
    issues = [{"id": "i", "groups": [shoes, bags]}]
    plain = a_plan([], issues=issues)
    varied = a_plan([], issues=issues, placements=placed(diversity=0.3))
    assert chosen(plain, hero(plain, slots=5)) == ["s1", "s2", "s3", "b1", "b2"]
    # After s1: s2 at 9 x 0.7 = 6.3 is below b1; then b2 at 5 x 0.7 = 3.5 is below s2; s3 at 8 x 0.49 = 3.92.
    assert chosen(varied, hero(varied, slots=5)) == ["s1", "b1", "s2", "s3", "b2"]


def test_diversity_does_not_change_what_the_priority_is_said_to_be() -> None:
    plan = a_plan([an_action("a", value=10), an_action("b", value=9)], placements=placed(diversity=0.5))
    assert [one.arithmetic.priority for one in hero(plan, slots=2).placements[0].chosen] == pytest.approx([1.0, 0.9])


def test_full_diversity_still_fills_the_slots_when_only_one_group_is_left() -> None:
    plan = a_plan([an_action(name) for name in "abc"], placements=placed(diversity=1))
    assert chosen(plan, hero(plan, slots=3)) == ["a", "b", "c"]


# Several placements


@given(methods, st.integers(0, 2**64 - 1), st.integers(1, 8), st.integers(1, 5), st.integers(1, 5))
@settings(max_examples=50)
def test_placements_are_filled_together_and_share_no_action(
    method: str, seed: int, count: int, first: int, second: int
) -> None:
    plan = a_plan(
        [an_action(f"a{number}", treatments=EVERYWHERE, value=number) for number in range(count)],
        placements=placed(exploration=method),
    )
    question = a_question(plan, "hero", "list", seed=seed)
    (one, _), (other, _) = question.placements
    decision = decided(plan, question._replace(placements=[(one, first), (other, second)]))
    names = [*chosen(plan, decision, 0), *chosen(plan, decision, 1)]
    assert len(set(names)) == len(names) == min(count, first + second)
    assert len(chosen(plan, decision, 0)) == min(count, first)


# Chances


def chances(decision: Decision) -> list[float | None]:
    return [one.selection_probability for filled in decision.placements for one in filled.chosen]


@pytest.mark.parametrize("method", ["epsilon_greedy", "squarecb"])
@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_actions_win_a_slot_as_often_as_their_logged_chance_says(method: str, diversity: float) -> None:
    """The first slot, and the second given the first."""
    offers = [an_action(name, value=value) for name, value in {"a": 10, "b": 9, "c": 5, "d": 1}.items()]
    plan = a_plan(
        offers, placements=placed(exploration={"method": method, "epsilon": 0.4, "gamma": 5}, diversity=diversity)
    )
    wins: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    logged: dict[tuple[tuple[str, ...], str], float] = {}
    for seed in range(SEEDS):
        decision = hero(plan, seed, slots=2)
        first, second = chosen(plan, decision)
        for before, name, chance in zip(((), (first,)), (first, second), chances(decision), strict=True):
            assert chance is not None
            wins[before][name] += 1
            assert logged.setdefault((before, name), chance) == chance
    assert len(logged) == 4 + 4 * 3
    for before, counts in wins.items():
        n = counts.total()
        assert sum(logged[before, name] for name in counts) == pytest.approx(1.0)
        for name, count in counts.items():
            chance = logged[before, name]
            assert abs(count - n * chance) < UNLIKELY * math.sqrt(n * chance * (1 - chance)) + 1


@pytest.mark.parametrize("method", ["epsilon_greedy", "squarecb"])
@pytest.mark.parametrize("bundled", [False, True])
def test_the_chances_of_all_rankings_of_a_page_sum_to_one(method: str, bundled: bool) -> None:
    """The chance of a ranking is the product over its slots: over two placements, three priorities and an exclusion,
    with a bundle and a cap that is shared, or without.
    """
    offers = [
        an_action(name, treatments=EVERYWHERE, **fields)
        for name, fields in {
            "a": {"value": 3},
            "b": {"value": 2},
            "c": {},
            "d": {"priority": 1},
            "e": {"priority": 1, "value": 2},
            "f": {"force": True},
        }.items()
    ]
    plan = a_plan(
        offers,
        placements=placed(exploration={"method": method, "epsilon": 0.9, "gamma": 1}),
        arbitration={
            "exclusions": [{"id": "x", "actions": ["a", "b"]}],
            "bundles": [{"id": "y", "actions": ["a", "d"]}] if bundled else [],
        },
        contact={"caps": {"limit": 3, "window": "1d", "per": "customer"}} if bundled else {},
    )
    found: dict[tuple[str, ...], float] = {}
    for seed in range(SEEDS // 4):
        decision = decided(plan, a_question(plan, "hero", "list", seed=seed))
        ranking = (*chosen(plan, decision, 0), *chosen(plan, decision, 1))
        found[ranking] = math.prod(one for one in chances(decision) if one is not None)
    assert sum(found.values()) == pytest.approx(1.0)


def test_what_cannot_be_shown_to_a_customer_does_not_make_logged_chances_wrong() -> None:
    """One of three candidates has content that fails. Whoever stands in the slot does so as often as was logged."""
    broken = [{"id": "t", "placements": ["hero"], "content": {"t": "{{ 1 | divided_by: profile.views }}"}}]
    plan = a_plan(
        [an_action("a", treatments=broken), an_action("b"), an_action("c")],
        placements=placed(exploration={"method": "epsilon_greedy", "epsilon": 1}),
    )
    wins: Counter[str] = Counter()
    logged: defaultdict[str, set[float | None]] = defaultdict(set)
    for seed in range(SEEDS // 2):
        decision = hero(plan, seed)
        for name, chance in zip(chosen(plan, decision), chances(decision), strict=True):
            wins[name] += 1
            logged[name].add(chance)
    assert set(wins) == {"b", "c"}
    for name, count in wins.items():
        (chance,) = logged[name]
        assert chance is not None
        assert count / (SEEDS // 2) == pytest.approx(chance, abs=0.05)


def test_thompson_sampling_wins_as_often_as_hindsight_says() -> None:
    """Over a slot of five candidates, of which one has next to no evidence, with exponents and context weights."""
    offers = {
        "a": {"propensity": {"base": 0.10, "evidence": 500}, "value": 2},
        "b": {"propensity": {"base": 0.11, "evidence": 500}, "value": 2, "lever": 0.9},
        "c": {"propensity": {"base": 0.05, "evidence": 5}, "value": 2.5},
        "d": {"propensity": {"base": 0.20, "evidence": 50}, "context_weight": 0.6},
        "e": {"propensity": {"base": 0.01, "evidence": 10_000}},
    }
    plan = a_plan(
        [an_action(name, **fields) for name, fields in offers.items()],
        placements=placed(exploration="thompson"),
        arbitration={"value": 0.5},
    )
    wins = Counter(chosen(plan, hero(plan, seed))[0] for seed in range(SEEDS))
    unit = plan.context_weight * plan.worth
    expected = thompson_distribution(
        logit(plan.base_propensity), spread(plan.base_propensity, plan.evidence), unit, plan.arbitration.propensity
    )
    agrees([wins[name] for name in offers], expected)


def test_thompson_sampling_rests_on_the_models_evidence() -> None:
    asks = {"model": "m", "base": 0.5}
    plan = a_plan(
        [an_action("a", propensity=asks), an_action("b", propensity=asks)], placements=placed(exploration="thompson")
    )
    model = a_model(plan, {"a": 0.1, "b": 0.12}, evidence=[(1_000_000, 100_000), (20, 2)])
    wins = Counter(chosen(plan, decided(plan, a_question(plan, seed=seed), [model]))[0] for seed in range(SEEDS // 2))
    propensity = np.array([0.1, 0.12])
    spreads = spread(propensity, np.array([1_000_000.0, 20.0]))
    agrees([wins["a"], wins["b"]], thompson_distribution(logit(propensity), spreads, np.ones(2)))


def test_the_second_slot_of_thompson_sampling_is_drawn_anew_among_those_that_are_left() -> None:
    offers = {"a": 0.2, "b": 0.15, "c": 0.1}
    plan = a_plan(
        [an_action(name, propensity={"base": base, "evidence": 20}) for name, base in offers.items()],
        placements=placed(exploration="thompson"),
    )
    rankings = [chosen(plan, hero(plan, seed, slots=2)) for seed in range(SEEDS)]
    after_a = Counter(second for first, second in rankings if first == "a")
    propensity = np.array([0.15, 0.1])
    expected = thompson_distribution(logit(propensity), spread(propensity, np.array([20.0, 20.0])), np.ones(2))
    agrees([after_a["b"], after_a["c"]], expected)


def agrees(counts: Sequence[int], expected: Any) -> None:
    n = sum(counts)
    for count, chance in zip(counts, expected.tolist(), strict=True):
        assert abs(count - n * chance) < UNLIKELY * math.sqrt(n * chance * (1 - chance)) + 1


def test_what_thompson_sampling_drew_decided_and_the_propensity_is_what_it_was() -> None:
    plan = a_plan(
        [an_action("a", propensity=0.2), an_action("b", propensity=0.19)], placements=placed(exploration="thompson")
    )
    for seed in range(50):
        first, second = hero(plan, seed, slots=2).placements[0].chosen
        assert {first.arithmetic.propensity, second.arithmetic.propensity} == {0.2, 0.19}
        assert first.drawn is not None
        assert first.selection_probability is None


def test_the_only_candidate_has_the_chance_1() -> None:
    for method in ("none", "squarecb", "epsilon_greedy"):
        plan = a_plan([an_action("a")], placements=placed(exploration=method))
        assert chances(hero(plan)) == [1.0]


@pytest.mark.parametrize("method", ["squarecb", "epsilon_greedy"])
def test_a_context_weight_without_bounds_leaves_chances_that_are_chances(method: str) -> None:
    """CEL divides by 0.0 without an error: the weight of somebody who spent nothing is infinite."""
    plan = a_plan(
        [an_action("a", context_weight="1.0 / profile.spend"), an_action("b"), an_action("c", value=0)],
        placements=placed(exploration=method),
    )
    for seed in range(100):
        decision = hero(plan, seed, slots=3)
        assert all(one is not None and 0.0 < one <= 1.0 for one in chances(decision))
        assert all(math.isfinite(one.arithmetic.priority) for one in decision.placements[0].chosen)


def test_an_infinite_context_weight_of_an_action_that_is_worth_nothing_does_not_put_it_first() -> None:
    plan = a_plan(
        [an_action("a", value=0, context_weight="1.0 / profile.spend"), an_action("b")],
        placements=placed(exploration="thompson"),
    )
    assert {chosen(plan, hero(plan, seed))[0] for seed in range(20)} == {"b"}


# The order of the catalogue

ARBITRATION: Mapping[str, Any] = {
    "exclusions": [{"id": "x", "actions": ["a01", "a03", "a05"]}, {"id": "y", "actions": ["a02", "a03"]}],
    "bundles": [{"id": "b", "actions": ["a00", "a04"]}],
}


@given(wishes, methods, st.integers(0, 2**64 - 1), st.booleans(), st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_the_outcome_of_a_seed_does_not_depend_on_the_order_of_the_catalogue(
    wishes_: list[dict[str, Any]], method: str, seed: int, diverse: bool, company: bool, rng: random.Random
) -> None:
    """With priorities, forced actions, exclusions, a bundle, diversity and exploration."""
    wishes_ = [*wishes_, *[{"value": 1, "priority": 0, "force": False}] * (6 - len(wishes_))]
    offers = [an_action(f"a{number:02}", treatments=EVERYWHERE, **wish) for number, wish in enumerate(wishes_)]
    outcomes = []
    for shuffled in (False, True):
        groups = [{"id": name, "most": 3, "actions": offers[at::3]} for at, name in enumerate("ghi")]
        exclusions = list(ARBITRATION["exclusions"])
        if shuffled:
            rng.shuffle(groups)
            rng.shuffle(exclusions)
            for group in groups:
                rng.shuffle(group["actions"])  # type: ignore[arg-type]
        plan = a_plan(
            [],
            issues=[{"id": "i", "groups": groups}],
            placements=placed(exploration=method, diversity=0.5 if diverse else 0.0),
            arbitration={**ARBITRATION, "exclusions": exclusions} if company else {},
        )
        decision = decided(plan, a_question(plan, "hero", "list", seed=seed))
        outcomes.append(outcome(decision))
    assert outcomes[0] == outcomes[1]
