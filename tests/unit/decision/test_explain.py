"""Why not: for each stage, what an action that was dropped there is told, and what would have to change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.decisions import NOW, a_plan, a_question, an_action, decided
from tests.support.worlds import MODEL, OTHER, Shop, a_full_catalog, a_full_model, a_full_state

from wayline_decision.anew import decide_anew
from wayline_decision.core.contact import Met
from wayline_decision.core.decision import UNLIMITED, Decision, Limits
from wayline_decision.core.dropped import Dropped
from wayline_decision.core.explain import dropped
from wayline_decision.core.funnel import funnel
from wayline_decision.core.plan import Plan, Stage

WITHOUT_B = "its bundle would not be whole without b, which is dropped at the stage"
BOTH = [{"id": "main", "placements": ["hero", "list"], "content": {}}]


def why(plan: Plan, decision: Decision, action: str, placement: int = 0) -> Dropped:
    """What is said of an action in a placement."""
    found = {plan.rows[one.row].action_id: one for one in dropped(plan, decision, decision.placements[placement])}
    return found[action]


def told(
    plan: Plan, action: str, *placements: str, limits: Limits = UNLIMITED, **question: Any
) -> tuple[Stage, str, str]:
    """Stage, reason and change, of a decision of one's own."""
    decision = decided(plan, a_question(plan, *placements, **question), limits=limits)
    one = why(plan, decision, action)
    return one.stage, one.reason, one.change


# Before the scores


def test_without_consent_the_channel_would_have_to_be_allowed() -> None:
    plan = a_plan([an_action("a", treatments=[{"id": "t", "placements": ["offer"]}])])
    assert told(plan, "a", "offer") == (
        Stage.CONSENT,
        "no consent for email: unknown: nothing was said, and the default is denied",
        "the customer would have to allow email",
    )


def test_of_a_rule_the_part_that_fails_is_told() -> None:
    plan = a_plan([an_action("a", eligibility="profile.views > 0 && profile.spend >= 100.0")])
    stage, _, change = told(plan, "a", profile={"views": 1, "spend": 40.0})
    assert (stage, change) == (Stage.ELIGIBILITY, "profile.spend is 40; it would have to be at least 100.0")


def test_a_rule_that_cannot_be_evaluated_tells_how_to_write_it() -> None:
    plan = a_plan([an_action("a", eligibility='profile.colors["red"] > 1.0')])
    stage, reason, change = told(plan, "a")
    assert stage is Stage.ELIGIBILITY
    assert reason.startswith("could not be evaluated")
    assert "orValue" in change


def test_where_the_profile_is_not_used_that_is_told_and_not_what_a_stranger_lacks() -> None:
    plan = a_plan([an_action("a", eligibility="profile.views > 3", treatments=BOTH)], personalise_only=["list"])
    stage, reason, change = told(plan, "a", "hero", profile={"views": 5})
    assert (stage, reason) == (Stage.ELIGIBILITY, "not met: profile.views > 3")
    assert change == "the profile is not used in hero: personalise_only would have to name the placement"
    assert told(plan, "a", "hero", profile={"views": 2})[2] == (
        "the profile is not used in hero: personalise_only would have to name the placement; "
        "and profile.views is 2; it would have to be more than 3"
    )
    assert told(plan, "a", "list", profile={"views": 2})[2] == "profile.views is 2; it would have to be more than 3"


def test_where_the_profile_is_not_used_a_rule_on_the_context_is_told_as_ever() -> None:
    plan = a_plan([an_action("a", eligibility='context.device == "mobile"')], personalise_only=["list"])
    assert told(plan, "a")[2] == 'context.device is "desktop"; it would have to be "mobile"'


def test_without_a_profile_it_is_told_what_would_bring_one() -> None:
    plan = a_plan([an_action("a", eligibility="profile.views > 3")])
    stranger = "without a profile, profile.views is 0; it would have to be more than 3"
    assert told(plan, "a", known=False)[2] == f"the customer would have to be known; {stranger}"
    assert told(plan, "a", reachable=False)[2] == f"the profile service would have to answer; {stranger}"
    assert told(plan, "a", consents={"personalisation": False}, profile={"views": 9})[2] == (
        f"the customer would have to allow personalisation; {stranger}"
    )


def test_a_fact_of_the_action_is_told_by_its_name() -> None:
    plan = a_plan([an_action("a", attributes={"margin": 0.5}, eligibility="action.margin > 1.0")])
    one = why(plan, decided(plan, a_question(plan)), "a")
    assert (one.rule, one.reason) == ("action.margin > 1.0", "not met: action.margin > 1.0")
    assert one.change == "action.margin is 0.5; it would have to be more than 1.0"


def test_a_fact_of_each_action_is_its_own() -> None:
    group = {
        "id": "g",
        "eligibility": "profile.spend > 9.0 && action.margin > 1.0",
        "actions": [an_action(name, attributes={"margin": margin}) for name, margin in (("a", 0.5), ("b", -2.0))],
    }
    plan = a_plan([], issues=[{"id": "i", "groups": [group]}])
    decision = decided(plan, a_question(plan, profile={"spend": 10.0}))
    assert why(plan, decision, "a").change == "action.margin is 0.5; it would have to be more than 1.0"
    assert why(plan, decision, "b").change == "action.margin is -2; it would have to be more than 1.0"


def test_beside_a_fact_of_the_action_it_is_the_customer_who_would_have_to_change() -> None:
    plan = a_plan([an_action("a", attributes={"margin": 20.0}, eligibility="action.margin < profile.spend")])
    assert told(plan, "a", profile={"spend": 10.0})[2] == (
        "profile.spend is 10; it would have to be more than action.margin, which is 20"
    )


def test_in_the_holdout_and_in_a_control_group_nothing_but_the_lot_decides() -> None:
    plan = a_plan([an_action("a")], holdout={"share": 1.0})
    assert told(plan, "a")[0] is Stage.EXPERIMENT
    assert told(plan, "a")[2] == "the holdout would have to be smaller, or drawn with another salt"
    plan = a_plan([an_action("a", control=1.0)])
    assert told(plan, "a")[1] == "in the control group of this action"


def test_a_schedule_says_when_it_opens() -> None:
    plan = a_plan([an_action("a", schedule={"hours": {"from": "15:00", "to": "17:00"}})])
    stage, _, change = told(plan, "a")
    assert stage is Stage.SCHEDULE
    assert "2026-09-21 15:00" in change


def test_a_budget_that_is_used_up_would_have_to_be_larger() -> None:
    plan = a_plan([an_action("a", budget={"total": 5})])
    stage, reason, change = told(plan, "a", limits=Limits(exhausted=plan.budgets.rows_of(["a"])))
    assert (stage, reason) == (Stage.BUDGET, "its budget of 5 in total is used up")
    assert "larger" in change


def test_a_contact_cap_says_when_it_is_free_again() -> None:
    plan = a_plan([an_action("a", contact={"caps": [{"limit": 1, "window": "2h"}]})])
    an_hour_ago = Met("impression", "a", "web", int((NOW - timedelta(hours=1)).timestamp() * 1_000), "")
    assert told(plan, "a", contacts=[an_hour_ago]) == (
        Stage.CONTACT,
        "at most 1 impression of the action in 2 hours",
        "free again on 2026-09-21 13:00 UTC",
    )


def test_a_new_action_says_from_how_many_positives_on_it_reaches_this_customer() -> None:
    channels = {"web": {"direction": "outbound"}, "mail": {}}
    arbitration = {"maturity": {"start": 0.0, "positives": 1_000}}

    def plan_of(positives: float) -> Plan:
        new = {"base": 0.5, "evidence": max(positives / 0.5, 1e-6)}
        return a_plan([an_action("a", propensity=new)], channels=channels, arbitration=arbitration)

    stage, reason, change = told(plan_of(0), "a")
    assert stage is Stage.MATURITY
    assert reason.startswith("new: ")
    wanted = int(change.removeprefix("it reaches this customer from ").split()[0].replace(",", ""))
    plan = plan_of(wanted - 1)
    assert told(plan, "a")[0] is Stage.MATURITY
    plan = plan_of(wanted)
    assert decided(plan, a_question(plan)).placements[0].chosen


def test_a_floor_says_what_is_needed() -> None:
    plan = a_plan([an_action("a", propensity=0.1)], arbitration={"floors": {"propensity": 0.2}})
    assert told(plan, "a") == (Stage.FLOOR, "its propensity 0.1 is below the floor", "a propensity of at least 0.2")


# In company


def test_an_action_that_an_earlier_placement_took_says_where_it_stands() -> None:
    plan = a_plan([an_action("a", treatments=BOTH)])
    decision = decided(plan, a_question(plan, "hero", "list"))
    one = why(plan, decision, "a", placement=1)
    assert (one.stage, one.change) == (Stage.COMPANY, "another choice for hero, where it stands")


def test_an_action_that_a_later_placement_took_was_outranked_before() -> None:
    plan = a_plan([an_action("a", treatments=BOTH), an_action("b", treatments=BOTH, value=0.5)])
    decision = decided(plan, a_question(plan, "hero", "list"))
    assert why(plan, decision, "b").stage is Stage.ARBITRATION


def test_who_is_excluded_is_told_by_whom() -> None:
    excluded = {"exclusions": [{"id": "x", "actions": ["a", "b"]}]}
    plan = a_plan(
        [an_action(name, treatments=BOTH, value=value) for name, value in (("a", 2), ("b", 1))], arbitration=excluded
    )
    decision = decided(plan, a_question(plan, "list"))
    assert why(plan, decision, "b") == Dropped(
        1, Stage.COMPANY, "", "it must not stand beside a", "another choice than a"
    )


def test_who_lost_the_last_slot_to_the_one_that_excludes_it_was_outranked() -> None:
    excluded = {"exclusions": [{"id": "x", "actions": ["a", "b"]}]}
    plan = a_plan([an_action("a", value=2), an_action("b")], arbitration=excluded)
    assert told(plan, "b")[0] is Stage.ARBITRATION


def test_a_full_group_is_told_with_its_members() -> None:
    group = {
        "id": "g",
        "most": 1,
        "actions": [an_action("a", treatments=BOTH), an_action("b", treatments=BOTH, value=0.5)],
    }
    plan = a_plan([], issues=[{"id": "i", "groups": [group]}])
    decision = decided(plan, a_question(plan, "list"))
    assert why(plan, decision, "b").reason == "its group already has 1 in this response, the most that it may"
    assert why(plan, decision, "b").change == "another choice than a"


def test_a_bundle_that_is_not_whole_says_who_is_missing() -> None:
    bundles = {"bundles": [{"id": "x", "actions": ["a", "b"]}]}
    plan = a_plan(
        [an_action("a", treatments=BOTH), an_action("b", treatments=BOTH, eligibility="profile.views > 5")],
        arbitration=bundles,
    )
    decision = decided(plan, a_question(plan, "list"))
    assert why(plan, decision, "a") == Dropped(
        0,
        Stage.COMPANY,
        "",
        f"{WITHOUT_B} eligibility: not met: profile.views > 5",
        "b: profile.views is 0; it would have to be more than 5",
    )
    decision = decided(plan, a_question(plan, "hero", profile={"views": 9}))
    assert why(plan, decision, "a").reason == "its bundle needs 2 slots, of which 1 were left"


def a_bundle(b: dict[str, Any], **catalog: Any) -> Plan:
    """Of a and b, for the list."""
    bundles = {"bundles": [{"id": "x", "actions": ["a", "b"]}]}
    b = {"treatments": BOTH, **b}
    return a_plan([an_action("a", treatments=BOTH), an_action("b", **b)], arbitration=bundles, **catalog)


def test_a_bundle_in_an_empty_placement_names_the_member_that_a_cap_a_budget_or_a_schedule_stops() -> None:
    plan = a_bundle({"contact": {"caps": [{"limit": 1, "window": "2h"}]}})
    an_hour_ago = Met("impression", "b", "web", int((NOW - timedelta(hours=1)).timestamp() * 1_000), "")
    assert told(plan, "a", "list", contacts=[an_hour_ago]) == (
        Stage.COMPANY,
        f"{WITHOUT_B} contact: at most 1 impression of the action in 2 hours",
        "b: free again on 2026-09-21 13:00 UTC",
    )
    plan = a_bundle({"budget": {"total": 5}})
    _, reason, _ = told(plan, "a", "list", limits=Limits(exhausted=plan.budgets.rows_of(["b"])))
    assert reason == f"{WITHOUT_B} budget: its budget of 5 in total is used up"
    plan = a_bundle({"schedule": {"hours": {"from": "15:00", "to": "17:00"}}})
    _, reason, change = told(plan, "a", "list")
    assert reason.startswith(f"{WITHOUT_B} schedule: only")
    assert change.startswith("b: it would have to be 2026-09-21 15:00")


def test_a_bundle_that_breaks_a_shared_cap_by_itself_says_so() -> None:
    """Each of them could go out alone: that nothing stands there is no question of who ranked higher."""
    plan = a_bundle({}, contact={"caps": [{"per": "customer", "limit": 1, "window": "2h"}]})
    decision = decided(plan, a_question(plan, "list"))
    assert not decision.placements[0].chosen
    assert told(plan, "a", "list") == (
        Stage.COMPANY,
        f"{WITHOUT_B} contact: at most 1 impression in 2 hours, which this response and the rest of the bundle use up",
        "a higher limit, a smaller bundle, or fewer choices before it",
    )


def test_a_bundle_whose_member_has_no_treatment_for_the_placement_says_so() -> None:
    plan = a_bundle({"treatments": [{"id": "t", "placements": ["hero"], "content": {}}]})
    assert told(plan, "a", "list")[1:] == (
        "its bundle would not be whole without b, which has no treatment for list",
        "b would need a treatment for it",
    )


def test_a_bundle_names_the_member_whose_content_failed() -> None:
    broken = [{"id": "t", "placements": ["list"], "content": {"title": "{{ profile.views | divided_by: 0 }}"}}]
    plan = a_bundle({"treatments": broken})
    assert told(plan, "a", "list") == (
        Stage.ARBITRATION,
        "it won a slot, but its bundle would not be whole without b, whose content failed",
        "the template of b",
    )
    assert told(plan, "b", "list")[1].startswith("it won a slot, but its content failed: ")


def test_a_cap_that_the_response_itself_uses_up_is_told_as_such() -> None:
    contact = {"caps": [{"per": "customer", "limit": 1, "window": "2h"}]}
    plan = a_plan(
        [an_action(name, treatments=BOTH, value=value) for name, value in (("a", 2), ("b", 1))], contact=contact
    )
    decision = decided(plan, a_question(plan, "list"))
    one = why(plan, decision, "b")
    assert one.stage is Stage.CONTACT
    assert one.reason == "at most 1 impression in 2 hours: what this response holds already uses it up"
    assert one.change == "fewer choices before it; or free again on 2026-09-21 14:00 UTC"
    decision = decided(plan, a_question(plan, "hero", "list"))
    assert why(plan, decision, "b", placement=1).stage is Stage.CONTACT


# Arbitration


def test_the_propensity_that_would_have_won_wins() -> None:
    def plan_of(propensity: float) -> Plan:
        return a_plan(
            [an_action("a", propensity=0.4), an_action("b", propensity=propensity, value=0.8)],
            arbitration={"propensity": 1.5},
        )

    _, _, change = told(plan_of(0.3), "b")
    wanted = float(change.split("a propensity above ")[1].split()[0])
    for propensity, winner in ((wanted * 0.999, "a"), (wanted * 1.001, "b")):
        plan = plan_of(propensity)
        assert plan.rows[decided(plan, a_question(plan)).placements[0].chosen[0].row].action_id == winner


def test_where_no_propensity_would_do_the_value_is_named() -> None:
    plan = a_plan([an_action("a", propensity=0.9, value=100), an_action("b", propensity=0.5)])
    assert "no propensity comes to that; 180 times its value or levers would" in told(plan, "b")[2]


def test_a_higher_tier_and_force_come_first_whatever_the_scores() -> None:
    plan = a_plan([an_action("a", priority=2), an_action("b", value=9)])
    assert told(plan, "b")[1:] == (
        "others come first by the catalogue's priority; its own is 0",
        "a catalogue priority of 2",
    )
    plan = a_plan([an_action("a", force=True), an_action("b", value=9)])
    assert told(plan, "b")[2] == "to be forced as a is, or another slot"


def test_diversity_is_told_where_it_decided() -> None:
    groups = [
        {"id": "g", "actions": [an_action("a", treatments=BOTH, value=10), an_action("b", treatments=BOTH, value=9)]},
        {"id": "h", "actions": [an_action("c", treatments=BOTH, value=5)]},
    ]
    places = {"hero": {"channel": "web"}, "list": {"channel": "web", "slots": 2, "diversity": 0.5}}
    plan = a_plan([], issues=[{"id": "i", "groups": groups}], placements=places)
    stage, reason, change = told(plan, "b", "list")
    assert stage is Stage.ARBITRATION
    assert reason == "others ranked higher; its priority was 0.9, and 0.9 × 0.5 = 0.45 for the sake of diversity"
    assert "a priority above 1, by which c won" in change


def test_exploration_may_pass_over_the_better_one() -> None:
    places = {"hero": {"channel": "web", "exploration": {"method": "epsilon_greedy", "epsilon": 1.0}}}
    plan = a_plan(
        [an_action("a", value=2), an_action("b")],
        placements={**places, "list": {"channel": "web"}, "offer": {"channel": "mail"}},
    )
    decisions = [decided(plan, a_question(plan, seed=seed)) for seed in range(20)]
    passed_over = next(one for one in decisions if one.placements[0].chosen[0].row == 1)
    assert why(plan, passed_over, "a").reason == "the slots went to others by exploration; its priority was 0.2"


def test_a_content_that_cannot_be_rendered_is_told() -> None:
    broken = [{"id": "t", "placements": ["hero"], "content": {"title": "{{ profile.views | divided_by: 0 }}"}}]
    plan = a_plan([an_action("a", treatments=broken)])
    stage, reason, change = told(plan, "a")
    assert (stage, change) == (Stage.ARBITRATION, "its template")
    assert reason.startswith("it won a slot, but its content failed")


# Whatever was decided


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_whatever_was_decided_every_row_is_chosen_or_has_a_reason_and_a_change(seed: int) -> None:
    """The assertion within, that what bars a row can say why, holds as well."""
    models = {name: a_full_model(name, 1) for name in (MODEL, OTHER)}
    state = a_full_state(a_full_catalog(), 1, models)
    shop = Shop(seed=seed)
    shop.use(state)
    shop.ask(5)
    for record in shop.records:
        anew = decide_anew(record, state)
        for filled in anew.decision.placements:
            found = list(dropped(anew.plan, anew.decision, filled))
            assert len(found) + len(filled.chosen) == filled.placement.rows.bit_count()
            assert all(one.reason and one.change for one in found)
            steps = list(funnel(filled.placement.rows.bit_count(), [one.stage for one in found]))
            assert steps[-1].entered - steps[-1].dropped == len(filled.chosen)
