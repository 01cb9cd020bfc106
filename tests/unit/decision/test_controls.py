"""The five control arms: each switches one part of the decision off, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.decisions import NOW, a_model, a_plan, a_question, an_action, chosen, decided, outcome
from tests.support.engines import Shop

from wayline_decision.anew import decide_anew, differences
from wayline_decision.chances import chances_in_hindsight
from wayline_decision.core.contact import Met
from wayline_decision.core.decision import Decision
from wayline_decision.core.odds import first_slot_distribution
from wayline_decision.core.plan import Plan
from wayline_decision.past import Past
from wayline_decision.states import fitted

NOW_MS = int(NOW.timestamp() * 1_000)
OFFERS = {
    "dear": {"propensity": 0.1, "value": 9},
    "likely": {"propensity": 0.5},
    "pushed": {"propensity": 0.2, "lever": 9},
}
CONTROLS = ("random", "propensity", "no_levers", "eligibility", "random_propensity")


def in_arm(control: str | None, offers: Any = None, **fields: Any) -> Plan:
    """Everybody is in one arm."""
    arms = {"a": {"share": 1, "control": control}, "b": {"share": 0}}
    given = [an_action(name, **one) for name, one in (offers or OFFERS).items()]
    return a_plan(given, experiments=[{"id": "impact", "arms": arms}], **fields)


def first(plan: Plan, seed: int = 0, **question: Any) -> str:
    names = chosen(plan, decided(plan, a_question(plan, seed=seed, **question)))
    return names[0] if names else ""


def shares(plan: Plan, seeds: int = 300) -> dict[str, float]:
    counts = Counter(first(plan, seed) for seed in range(seeds))
    return {name: count / seeds for name, count in counts.items()}


def test_without_a_control_the_lever_wins() -> None:
    assert first(in_arm(None)) == "pushed"


def test_by_propensity_alone_the_likely_one_wins() -> None:
    assert first(in_arm("propensity")) == "likely"


def test_without_levers_the_dear_one_wins() -> None:
    assert first(in_arm("no_levers")) == "dear"


def test_without_levers_holds_under_a_formula_too() -> None:
    assert first(in_arm(None, arbitration={"formula": "propensity * value * lever"})) == "pushed"
    assert first(in_arm("no_levers", arbitration={"formula": "propensity * value * lever"})) == "dear"


def test_by_lot_each_action_has_the_same_chance() -> None:
    plan = in_arm("random")
    found = shares(plan, 900)
    assert set(found) == set(OFFERS)
    assert all(abs(share - 1 / 3) < 0.08 for share in found.values())
    assert decided(plan, a_question(plan)).placements[0].chosen[0].selection_probability == pytest.approx(1 / 3)


def test_by_lot_the_placements_own_exploration_makes_no_difference() -> None:
    plan = in_arm(
        "random", placements={"hero": {"channel": "web", "exploration": {"method": "squarecb", "gamma": 1e6}}}
    )
    assert set(shares(plan)) == set(OFFERS)


def test_by_lot_is_among_all_that_the_policies_let_through_whatever_their_priority() -> None:
    """Against it, one sees what arbitration as a whole brings; priorities are a part of that."""
    plan = in_arm("random", {"first": {"priority": 5}, "a": {}, "b": {}})
    assert set(shares(plan)) == {"first", "a", "b"}


def test_by_propensity_alone_a_priority_does_not_come_first() -> None:
    assert first(in_arm("propensity", {"first": {"priority": 5}, "likely": {"propensity": 0.5}})) == "likely"


def test_a_random_propensity_lets_each_win_by_the_rest_of_the_formula() -> None:
    """lever 9 against 1 against 1, by propensities from 0 to 1."""
    found = shares(in_arm("random_propensity", {"pushed": {"lever": 9}, "a": {}, "b": {}}), 900)
    assert set(found) == {"pushed", "a", "b"}
    # pushed loses where the better of two evenly drawn is above 9 u: 1 - 1/9 x 2/3 of all.
    assert found["pushed"] == pytest.approx(1 - 2 / 27, abs=0.04)


def test_a_random_propensity_is_logged_as_what_it_is() -> None:
    decision = decided(plan := in_arm("random_propensity"), a_question(plan, seed=5))
    one = decision.placements[0].chosen[0]
    assert one.arithmetic.propensity not in (0.1, 0.5, 0.2)
    assert one.selection_probability is None


def test_only_eligibility_counts_in_its_arm() -> None:
    offers = {
        "suitable": {},
        "unsuitable": {"value": 2, "suitability": "false"},
        "inapplicable": {"value": 3, "applicability": "false"},
        "ineligible": {"value": 4, "eligibility": "false"},
    }
    assert first(in_arm(None, offers)) == "suitable"
    plan = in_arm("eligibility", offers)
    assert chosen(plan, decided(plan, a_question(plan, slots=4))) == ["inapplicable", "unsuitable", "suitable"]


@pytest.mark.parametrize("control", CONTROLS)
def test_eligibility_consent_contact_policy_and_schedules_hold_in_every_arm(control: str) -> None:
    offers = {
        "ineligible": {"eligibility": "false"},
        "seen": {"contact": {"caps": {"limit": 1, "window": "1d"}}},
        "later": {"schedule": {"starts": "2027-01-01T00:00"}},
        "fine": {},
    }
    plan = in_arm(control, offers)
    contacts = [Met("impression", "seen", "web", NOW_MS - 1_000, "d")]
    for seed in range(30):
        question = a_question(plan, seed=seed, slots=4, contacts=contacts)
        assert chosen(plan, decided(plan, question)) == ["fine"]
    assert first(in_arm(control, offers), known=False, seed=1) in ("seen", "fine")


# Exploration

METHODS: Mapping[str, Any] = {
    "epsilon_greedy": {"method": "epsilon_greedy", "epsilon": 0.6},
    "squarecb": {"method": "squarecb", "gamma": 5},
    "thompson": {"method": "thompson"},
}
EXPLORING = [(control, method) for control in ("propensity", "no_levers", "eligibility") for method in METHODS]


def exploring(control: str | None, method: str, **fields: Any) -> Plan:
    return in_arm(control, placements={"hero": {"channel": "web", "exploration": METHODS[method]}}, **fields)


@pytest.mark.parametrize(("control", "method"), EXPLORING)
def test_an_arm_that_leaves_out_what_makes_no_difference_is_an_a_a_test(control: str, method: str) -> None:
    """No levers, nothing but propensities, no policies: the same lots come to the same, with the same chances."""
    offers = {name: {"propensity": {"base": 0.1 + 0.01 * at, "evidence": 50}} for at, name in enumerate("abcd")}
    plan, everybodys = exploring(control, method, offers=offers), exploring(None, method, offers=offers)
    found = Counter[int]()
    for seed in range(200):
        for_the_arm = decided(plan, a_question(plan, seed=seed, slots=2)).placements[0]
        for_all = decided(everybodys, a_question(everybodys, seed=seed, slots=2)).placements[0]
        assert [one.row for one in for_the_arm.chosen] == [one.row for one in for_all.chosen]
        assert [one.drawn for one in for_the_arm.chosen] == [one.drawn for one in for_all.chosen]
        logged = [[one.selection_probability for one in filled.chosen] for filled in (for_the_arm, for_all)]
        assert logged[0] == (logged[1] if method == "thompson" else pytest.approx(logged[1]))
        found[for_the_arm.chosen[0].row] += 1
    assert len(found) == len(offers)  # it does explore


@pytest.mark.parametrize("formula", [None, "propensity * value * lever + 0.01 * context"])
@pytest.mark.parametrize(("control", "method"), EXPLORING)
def test_in_an_arm_actions_are_chosen_as_often_as_the_chances_say(
    control: str, method: str, formula: str | None
) -> None:
    plan = exploring(control, method, arbitration={"formula": formula, "value": 2, "lever": 0.5})
    seeds = 2_000
    found = Counter[int]()
    first = decided(plan, a_question(plan)).placements[0]
    assert first.contest is not None
    chances = first_slot_distribution(plan, first.standing, first.contest)
    for seed in range(seeds):
        filled = decided(plan, a_question(plan, seed=seed)).placements[0]
        row, logged = filled.chosen[0].row, filled.chosen[0].selection_probability
        assert logged == (None if method == "thompson" else pytest.approx(chances[row]))
        found[row] += 1
    assert sum(chances.values()) == pytest.approx(1)
    for row, chance in chances.items():
        assert found[row] / seeds == pytest.approx(chance, abs=4.5 * (chance * (1 - chance) / seeds) ** 0.5 + 0.004)


@pytest.mark.parametrize("method", ["epsilon_greedy", "squarecb"])
@pytest.mark.parametrize(
    ("control", "best"), [("propensity", "likely"), ("no_levers", "dear"), ("eligibility", "pushed")]
)
def test_an_arm_explores_around_what_is_best_in_it(control: str, best: str, method: str) -> None:
    found = shares(exploring(control, method))
    assert set(found) == set(OFFERS)
    assert max(found, key=lambda name: found[name]) == best


@pytest.mark.parametrize("method", METHODS)
def test_where_propensities_are_by_lot_nothing_else_is_drawn(method: str) -> None:
    plan = exploring("random_propensity", method)
    for seed in range(50):
        filled = decided(plan, a_question(plan, seed=seed, slots=3)).placements[0]
        priorities = [one.arithmetic.priority for one in filled.chosen]
        assert priorities == sorted(priorities, reverse=True)
        assert all(one.drawn is None for one in filled.chosen)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("control", CONTROLS)
def test_a_decision_in_an_arm_is_made_anew_from_its_record(control: str, method: str) -> None:
    plan = exploring(control, method)
    state = fitted(plan, {}, {})
    shop = Shop(plan, state)
    for number in range(20):
        shop.knows(f"customer-{number}")
        shop.decide(f"customer-{number}")
    assert len(shop.records) == 20
    for record in shop.records:
        assert differences(record, decide_anew(record, state)) == []
        told = chances_in_hindsight(record, Past(state, {}, frozenset()))["hero"]
        assert all(chance is not None and 0 < chance <= 1 for chance in told[:1])


@pytest.mark.parametrize("control", ["random", "propensity"])
def test_silence_is_kept_by_what_the_priority_is_for_everybody(control: str) -> None:
    """An arm changes who comes first. The threshold in euros says nothing about a propensity, or a lot."""
    loud = {"hero": {"channel": "web", "silence": 0.3}}
    offers = {"little": {"propensity": 0.5, "value": 0.1}, "enough": {"propensity": 0.1, "value": 4}}
    assert {first(in_arm(control, offers, placements=loud), seed) for seed in range(20)} == {"enough"}


@pytest.mark.parametrize("control", ["propensity", "no_levers"])
def test_an_arm_holds_where_the_profile_is_not_used_too(control: str) -> None:
    wanted = {"propensity": "likely", "no_levers": "dear"}
    plan = in_arm(control, personalise_only=["list"])
    assert first(plan) == wanted[control]


def test_a_random_propensity_is_drawn_where_the_profile_is_not_used_too() -> None:
    assert len(shares(in_arm("random_propensity", {"a": {}, "b": {}}, personalise_only=["list"]))) == 2


def test_an_arm_leaves_alone_what_is_recorded_of_the_models() -> None:
    """A replay puts the propensities of the models back, and draws the same lots again."""

    def recorded(control: str | None) -> bytes:
        plan = in_arm(control, {name: {"propensity": {"model": "m", "base": 0.1}} for name in "ab"})
        decision = decided(plan, a_question(plan, seed=3), [a_model(plan, {"a": 0.25, "b": 0.5})])
        return decision.recorded

    assert {recorded(control) for control in (None, *CONTROLS)} == {recorded(None)}
    assert len(recorded(None)) == 2 * 4


def test_who_is_in_no_arm_gets_what_everybody_gets() -> None:
    arms = {"a": {"share": 1, "control": "random"}, "b": {"share": 0}}
    plan = a_plan(
        [an_action(name, **one) for name, one in OFFERS.items()],
        experiments=[{"id": "impact", "share": 0, "arms": arms}],
    )
    assert set(shares(plan, 50)) == {"pushed"}


def decision_of(control: str, seed: int) -> Decision:
    plan = in_arm(control)
    return decided(plan, a_question(plan, seed=seed, slots=3))


@pytest.mark.parametrize("control", CONTROLS)
def test_the_same_seed_decides_the_same_in_every_arm(control: str) -> None:
    for seed in range(10):
        assert outcome(decision_of(control, seed)) == outcome(decision_of(control, seed))
