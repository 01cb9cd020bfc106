"""What a marketer may rely on: who is offered what, and why."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.decisions import NOW, a_model, a_plan, a_question, an_action, chosen, decided, outcome

from wayline_decision.core.consent import Denied
from wayline_decision.core.contact import Met
from wayline_decision.core.decide import decide
from wayline_decision.core.decision import Decision, Limits, Personalisation
from wayline_decision.core.explain import dropped
from wayline_decision.core.plan import Plan, Stage
from wayline_decision.core.score import models_for


def why(plan: Plan, decision: Decision, action: str) -> tuple[Stage, str]:
    """Where and why an action was dropped from the first placement."""
    found = {plan.rows[one.row].action_id: one for one in dropped(plan, decision, decision.placements[0])}
    return found[action].stage, found[action].reason


# Arbitration


def test_the_priority_is_propensity_times_context_times_value_times_lever() -> None:
    plan = a_plan([an_action("a", propensity=0.2, context_weight=3, value=10, lever=0.5)])
    one = decided(plan, a_question(plan)).placements[0].chosen[0]
    assert (one.arithmetic.propensity, one.arithmetic.context, one.arithmetic.value, one.arithmetic.lever) == (
        0.2,
        3.0,
        10.0,
        0.5,
    )
    assert one.arithmetic.priority == pytest.approx(3.0)


def test_the_higher_priority_wins() -> None:
    plan = a_plan([an_action("likely", propensity=0.3, value=1), an_action("dear", propensity=0.1, value=5)])
    assert chosen(plan, decided(plan, a_question(plan))) == ["dear"]


def test_weights_of_the_catalogue_can_leave_a_factor_out() -> None:
    actions = [an_action("likely", propensity=0.3, value=1), an_action("dear", propensity=0.1, value=5)]
    plan = a_plan(actions, arbitration={"value": 0})
    assert chosen(plan, decided(plan, a_question(plan))) == ["likely"]


def test_levers_of_issue_group_and_action_multiply() -> None:
    group = {"id": "g", "lever": 2, "actions": [an_action("a", lever=3)]}
    plan = a_plan([], issues=[{"id": "i", "lever": 5, "groups": [group]}])
    assert decided(plan, a_question(plan)).placements[0].chosen[0].arithmetic.lever == 30.0


def test_of_equal_priorities_the_first_by_id_wins() -> None:
    plan = a_plan([an_action("b"), an_action("a"), an_action("c")])
    assert chosen(plan, decided(plan, a_question(plan))) == ["a"]


def test_a_context_weight_may_depend_on_the_profile_and_is_neutral_when_it_errs() -> None:
    plan = a_plan(
        [an_action("a", context_weight="1.0 + profile.spend"), an_action("b", context_weight='profile.colors["red"]')]
    )
    question = a_question(plan, profile={"spend": 4.0})
    decision = decided(plan, question)
    assert chosen(plan, decision) == ["a"]
    assert decision.placements[0].chosen[0].arithmetic.context == 5.0
    assert decision.placements[0].standing.row_priority[1] == pytest.approx(0.1)


def test_a_negative_context_weight_counts_as_nothing() -> None:
    plan = a_plan([an_action("a", context_weight="-5.0"), an_action("b", propensity=0.01)])
    assert chosen(plan, decided(plan, a_question(plan))) == ["b"]


# Rules


def test_a_rule_of_the_issue_holds_for_every_action_below_it() -> None:
    group = {"id": "g", "actions": [an_action("a")]}
    plan = a_plan([], issues=[{"id": "i", "eligibility": 'profile.tier == "gold"', "groups": [group]}])
    assert chosen(plan, decided(plan, a_question(plan, profile={"tier": "gold"}))) == ["a"]
    assert chosen(plan, decided(plan, a_question(plan))) == []


def test_an_action_says_which_stage_and_rule_dropped_it() -> None:
    rules = {
        "eligibility": {"rule": "profile.views > 0", "because": "Has looked around"},
        "applicability": 'context.device == "mobile"',
        "suitability": "profile.spend < 100.0",
    }
    plan = a_plan([an_action("a", **rules)])
    assert why(plan, decided(plan, a_question(plan)), "a") == (Stage.ELIGIBILITY, "not met: Has looked around")
    looked = {"profile": {"views": 1}}
    assert why(plan, decided(plan, a_question(plan, **looked)), "a")[0] is Stage.APPLICABILITY
    rich = {"profile": {"views": 1, "spend": 100.0}, "context": {"device": "mobile"}}
    assert why(plan, decided(plan, a_question(plan, **rich)), "a")[0] is Stage.SUITABILITY


def test_a_rule_that_cannot_be_evaluated_counts_as_not_met_and_harms_no_other() -> None:
    plan = a_plan(
        [an_action("a", eligibility='profile.colors["red"] > 1.0'), an_action("b", eligibility="profile.views == 0")]
    )
    decision = decided(plan, a_question(plan))
    assert chosen(plan, decision) == ["b"]
    stage, reason = why(plan, decision, "a")
    assert stage is Stage.ELIGIBILITY
    assert reason.startswith("could not be evaluated")


def test_a_selection_gives_the_reasons_of_its_rules() -> None:
    rules = [{"rule": "true", "because": "One"}, {"rule": "profile.views == 0", "because": "Two"}]
    plan = a_plan([an_action("a", eligibility=rules)])
    assert plan.rows[decided(plan, a_question(plan)).placements[0].chosen[0].row].reasons == ("One", "Two")


def test_a_rule_may_ask_for_the_time() -> None:
    plan = a_plan([an_action("a", applicability='now.getHours("Europe/Paris") == 14')])
    assert chosen(plan, decided(plan, a_question(plan))) == ["a"]


# Engagement policies


def levels(**rules: Any) -> Plan:
    """One action; `rules` by level."""
    action = an_action("a", **rules.get("action", {}))
    action["treatments"] = [{**action["treatments"][0], **rules.get("treatment", {})}]
    group = {"id": "g", "actions": [action], **rules.get("group", {})}
    return a_plan([], issues=[{"id": "i", "groups": [group], **rules.get("issue", {})}])


@pytest.mark.parametrize("level", ["issue", "group", "action", "treatment"])
@pytest.mark.parametrize("policy", ["eligibility", "applicability", "suitability"])
def test_a_policy_may_stand_at_any_level_and_is_inherited(level: str, policy: str) -> None:
    plan = levels(**{level: {policy: {"rule": "profile.views > 0", "because": "Has looked"}}})
    assert chosen(plan, decided(plan, a_question(plan, profile={"views": 1}))) == ["a"]
    decision = decided(plan, a_question(plan))
    assert why(plan, decision, "a") == (Stage[policy.upper()], "not met: Has looked")


def test_policies_of_all_levels_must_hold() -> None:
    rules = {
        "issue": {"eligibility": "profile.views > 0"},
        "group": {"eligibility": "profile.spend > 0.0"},
        "action": {"suitability": 'profile.tier == "gold"'},
        "treatment": {"applicability": 'context.device == "mobile"'},
    }
    plan = levels(**rules)
    facts: dict[str, Any] = {"views": 1, "spend": 1.0, "tier": "gold"}
    assert chosen(plan, decided(plan, a_question(plan, profile=facts, context={"device": "mobile"}))) == ["a"]
    for without in facts:
        profile = {name: value for name, value in facts.items() if name != without}
        assert chosen(plan, decided(plan, a_question(plan, profile=profile, context={"device": "mobile"}))) == []
    assert chosen(plan, decided(plan, a_question(plan, profile=facts))) == []


def test_a_rule_of_a_treatment_leaves_the_actions_other_treatments_alone() -> None:
    treatments = [
        {"id": "one", "placements": ["hero"], "eligibility": "profile.views > 0"},
        {"id": "two", "placements": ["hero"]},
    ]
    plan = a_plan([an_action("a", treatments=treatments)])
    shown = plan.rows[decided(plan, a_question(plan)).placements[0].chosen[0].row].treatment_id
    assert shown == "two"


def test_one_rule_of_the_issue_may_ask_for_facts_of_each_action() -> None:
    offers = [
        an_action("boots", attributes={"season": "winter"}),
        an_action("sandals", attributes={"season": "summer"}),
        an_action("loafers", attributes={"season": "winter"}, value=3),
    ]
    rules = {"eligibility": 'action.season == "winter"', "suitability": "action.value * action.lever < profile.spend"}
    plan = a_plan([], issues=[{"id": "i", "lever": 2, "groups": [{"id": "g", "actions": offers}], **rules}])
    assert chosen(plan, decided(plan, a_question(plan, slots=3, profile={"spend": 5.0}))) == ["boots"]
    assert chosen(plan, decided(plan, a_question(plan, slots=3, profile={"spend": 7.0}))) == ["loafers", "boots"]


def test_actions_with_the_same_facts_share_one_condition() -> None:
    offers = [an_action(f"a{at}", attributes={"season": ("winter", "summer")[at % 2]}) for at in range(100)]
    issue = {"id": "i", "eligibility": 'action.season == "winter"', "groups": [{"id": "g", "actions": offers}]}
    assert len(a_plan([], issues=[issue]).conditions) == 2


# Schedules and quiet hours: it is Monday, 21 September 2026, 12:00 UTC


def at(plan: Plan, moment: datetime, *placements: str, **question: Any) -> list[str]:
    return chosen(plan, decided(plan, a_question(plan, *placements, slots=9, **question), now=moment))


def test_a_campaign_starts_and_ends_when_its_schedule_says_so() -> None:
    schedule = {"starts": "2026-09-21T09:00", "ends": "2026-09-22T09:00", "timezone": "Europe/Paris"}
    plan = a_plan([an_action("a", schedule=schedule)])
    moments = [NOW.replace(hour=hour, minute=minute) for hour, minute in ((6, 59), (7, 0), (12, 0))]
    assert [at(plan, one) for one in moments] == [[], ["a"], ["a"]]
    assert at(plan, NOW.replace(day=22, hour=6, minute=59)) == ["a"]
    assert at(plan, NOW.replace(day=22, hour=7)) == []


def test_opening_hours_go_by_the_customers_clock() -> None:
    schedule = {"days": ["mon"], "hours": {"from": "09:00", "to": "20:00"}, "timezone": "customer"}
    plan = a_plan([an_action("a", schedule=schedule), an_action("b", value=0.1)])
    assert at(plan, NOW, timezone="Europe/Paris") == ["a", "b"]
    assert at(plan, NOW, timezone="Asia/Tokyo") == ["b"]  # 21:00
    assert at(plan, NOW) == ["a", "b"]  # the catalogue's, UTC
    assert why(plan, decided(plan, a_question(plan, timezone="Asia/Tokyo")), "a")[0] is Stage.SCHEDULE


def test_a_schedule_of_the_group_holds_for_its_actions() -> None:
    group = {"id": "g", "schedule": {"days": ["sat", "sun"]}, "actions": [an_action("a")]}
    plan = a_plan([], issues=[{"id": "i", "groups": [group]}])
    assert (at(plan, NOW), at(plan, NOW + timedelta(days=5))) == ([], ["a"])


PUSH: dict[str, Any] = {
    "channels": {"web": {}, "push": {"direction": "outbound", "quiet_hours": {"from": "21:00", "to": "08:00"}}},
    "placements": {"hero": {"channel": "web"}, "push": {"channel": "push", "slots": 3}},
}
BOTH = [{"id": "t", "placements": ["hero", "push"], "content": {}}]


def test_in_the_quiet_hours_of_the_customer_nothing_goes_out_on_the_channel() -> None:
    plan = a_plan([an_action("a", treatments=BOTH, force=True)], **PUSH)
    assert at(plan, NOW, "push", timezone="Europe/Paris") == ["a"]
    assert at(plan, NOW, "push", timezone="Asia/Tokyo") == []
    assert at(plan, NOW, "hero", timezone="Asia/Tokyo") == ["a"]


# Budgets


def test_an_action_whose_budget_is_used_up_gives_way_to_the_next() -> None:
    plan = a_plan([an_action("a", budget={"total": 1_000}), an_action("b", value=0.1)])
    decision = decided(plan, a_question(plan), limits=Limits(exhausted=plan.budgets.rows_of(["a"])))
    assert chosen(plan, decision) == ["b"]
    assert why(plan, decision, "a")[0] is Stage.BUDGET


# Contact policy


def met(outcome: str, action: str, ago: timedelta, *, channel: str = "web") -> Met:
    return Met(outcome, action, channel, int((NOW - ago).timestamp() * 1_000), "d")


def seen(*impressions: tuple[str, timedelta]) -> list[Met]:
    return [met("impression", *one) for one in impressions]


HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def left(plan: Plan, contacts: Sequence[Met], *placements: str, now: datetime = NOW, **question: Any) -> list[str]:
    return at(plan, now, *placements, contacts=contacts, **question)


def test_a_contact_an_hour_ago_uses_up_a_daily_cap() -> None:
    plan = a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "24h"}}), an_action("b", value=0.1)])
    assert left(plan, seen(("a", HOUR))) == ["b"]
    assert left(plan, seen(("a", DAY))) == ["a", "b"]
    assert left(plan, seen(("b", HOUR))) == ["a", "b"]


def test_a_cap_per_group_counts_all_actions_of_the_group() -> None:
    caps = {"caps": {"limit": 2, "window": "7d", "per": "group"}}
    groups = [
        {"id": "shoes", "contact": caps, "actions": [an_action("a"), an_action("b")]},
        {"id": "bags", "contact": caps, "actions": [an_action("c")]},
    ]
    plan = a_plan([], issues=[{"id": "i", "groups": groups}])
    assert left(plan, seen(("a", HOUR), ("b", HOUR))) == ["c"]
    assert left(plan, seen(("a", HOUR), ("c", HOUR))) == ["a", "c"]  # one more of the group, and one only


def test_a_cap_per_channel_counts_what_went_out_on_it() -> None:
    caps = {"caps": {"limit": 1, "window": "1d", "per": "channel", "channels": ["push"]}}
    plan = a_plan([an_action("a", treatments=BOTH), an_action("b", treatments=BOTH)], contact=caps, **PUSH)
    contacts = [met("impression", "b", HOUR, channel="push")]
    assert left(plan, contacts, "push") == []
    assert left(plan, contacts, "hero") == ["a", "b"]
    assert left(plan, [met("impression", "b", HOUR)], "push") == ["a"]


def test_global_pressure_limits_all_contacts_of_a_customer() -> None:
    caps = {"caps": {"limit": 3, "window": "1d", "per": "customer"}}
    plan = a_plan([an_action(name) for name in "abcde"], contact=caps)
    assert left(plan, []) == ["a", "b", "c"]
    assert left(plan, seen(("a", HOUR), ("b", HOUR))) == ["a"]
    assert left(plan, seen(("a", HOUR), ("b", HOUR), ("e", HOUR))) == []


def test_a_dismissal_pauses_the_action_for_a_month() -> None:
    plan = a_plan([an_action("a", contact={"suppressions": {"pause": "30d"}}), an_action("b", value=0.1)])
    assert left(plan, [met("dismissal", "a", 29 * DAY)]) == ["b"]
    assert left(plan, [met("dismissal", "a", 30 * DAY)]) == ["a", "b"]
    decision = decided(plan, a_question(plan, contacts=[met("dismissal", "a", DAY)]))
    assert why(plan, decision, "a")[0] is Stage.CONTACT


def test_three_impressions_without_a_word_pause_the_whole_group() -> None:
    contact = {"suppressions": {"outcome": "impression", "after": 3, "window": "7d", "pause": "14d", "per": "group"}}
    group = {"id": "g", "contact": contact, "actions": [an_action("a"), an_action("b")]}
    plan = a_plan([], issues=[{"id": "i", "groups": [group, {"id": "h", "actions": [an_action("c")]}]}])
    thrice = seen(("a", 3 * DAY), ("b", 2 * DAY), ("a", DAY))
    assert left(plan, thrice[:1]) == ["a", "b", "c"]
    assert left(plan, thrice) == ["c"]
    assert left(plan, thrice, now=NOW + 13 * DAY - HOUR) == ["c"]
    assert left(plan, thrice, now=NOW + 13 * DAY) == ["a", "b", "c"]


def test_a_day_is_the_day_where_the_customer_is() -> None:
    """Seen at 16:00 UTC yesterday: in Paris that was yesterday, in Tokyo it was one o'clock today."""
    plan = a_plan([an_action("a", contact={"caps": {"limit": 1, "period": "day"}})])
    contacts = seen(("a", 20 * HOUR))
    assert left(plan, contacts, timezone="Europe/Paris") == ["a"]
    assert left(plan, contacts, timezone="Asia/Tokyo") == []


def test_what_was_promised_a_moment_ago_counts() -> None:
    plan = a_plan([an_action("a", contact={"caps": {"limit": 2, "window": "1d"}}), an_action("b", value=0.1)])
    question = a_question(plan, contacts=seen(("a", HOUR)))
    reserved = Limits(reserved=seen(("a", timedelta(0))))
    assert chosen(plan, decided(plan, question)) == ["a"]
    assert chosen(plan, decided(plan, question, limits=reserved)) == ["b"]
    stranger = a_question(plan, known=False)
    assert chosen(plan, decided(plan, stranger, limits=Limits(reserved=2 * seen(("a", timedelta(0)))))) == ["b"]


def test_one_response_does_not_use_the_last_contact_twice() -> None:
    caps = {"caps": {"limit": 2, "window": "1d", "per": "customer"}}
    treatments = [{"id": "t", "placements": ["hero", "list"]}]
    plan = a_plan([an_action(name, treatments=treatments) for name in "abc"], contact=caps)
    decision = decided(plan, a_question(plan, "hero", "list"))
    assert (chosen(plan, decision), chosen(plan, decision, 1)) == (["a"], ["b"])


def test_not_to_be_pestered_needs_no_consent() -> None:
    plan = a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "1d"}})])
    refused = {"personalisation": False}
    assert left(plan, [], consents=refused) == ["a"]
    assert left(plan, seen(("a", HOUR)), consents=refused) == []


def test_a_cap_that_was_used_up_is_free_again_though_nothing_else_happened() -> None:
    """The same view is judged anew when its time has come."""
    plan = a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "1d"}})])
    question = a_question(plan, contacts=seen(("a", 23 * HOUR)))
    moments = [NOW, NOW + HOUR - timedelta(milliseconds=1), NOW + HOUR]
    assert [chosen(plan, decided(plan, question, now=one)) for one in moments] == [[], [], ["a"]]


# Maturity


def reached_by(positives: int, placement: str = "push") -> set[int]:
    """Of 2,000 customers: whom a new action reaches after so many positive responses."""
    asks = {"model": "m", "base": 0.1}
    plan = a_plan([an_action("new", propensity=asks, treatments=BOTH)], arbitration={"maturity": {}}, **PUSH)
    model = a_model(plan, {"": 0.1}, evidence=[(10_000, positives)])
    return {
        number
        for number in range(2_000)
        if chosen(plan, decided(plan, a_question(plan, placement, lot=number.to_bytes(16, "big")), [model]))
    }


def test_a_new_outbound_action_reaches_2_percent_and_grows_to_all_at_200_positives() -> None:
    reached = [reached_by(positives) for positives in (0, 100, 200)]
    assert 20 < len(reached[0]) < 60
    assert 940 < len(reached[1]) < 1_100  # 51 %
    assert len(reached[2]) == 2_000
    assert reached[0] < reached[1]


def test_where_the_customer_came_to_us_a_new_action_is_shown_to_all() -> None:
    assert len(reached_by(0, "hero")) == 2_000


def test_an_action_that_does_not_reach_a_customer_yet_says_so() -> None:
    unheard_of = an_action("new", propensity=0, treatments=BOTH)
    plan = a_plan([unheard_of], arbitration={"maturity": {"start": 0}}, **PUSH)
    assert why(plan, decided(plan, a_question(plan, "push")), "new")[0] is Stage.MATURITY


# Experiments


def shares_of(plan: Plan, **question: Any) -> float:
    """The share of 2,000 customers who get the first action."""
    lots = (number.to_bytes(16, "big") for number in range(2_000))
    return sum(chosen(plan, decided(plan, a_question(plan, lot=lot, **question))) == ["a"] for lot in lots) / 2_000


def test_the_holdout_gets_nothing_but_fallbacks() -> None:
    plan = a_plan([an_action("a", force=True)], holdout={"share": 0.1})
    assert shares_of(plan) == pytest.approx(0.9, abs=0.03)
    everybody = a_plan([an_action("a", force=True)], holdout={"share": 1})
    decision = decided(everybody, a_question(everybody))
    assert decision.assignment.recorded == {"holdout": "held_out"}
    assert why(everybody, decision, "a")[0] is Stage.EXPERIMENT


def test_the_control_group_of_an_action_gets_everything_but_that_action() -> None:
    plan = a_plan([an_action("a", control=0.2), an_action("b", value=0.1)])
    assert shares_of(plan) == pytest.approx(0.8, abs=0.03)
    all_of_them = a_plan([an_action("a", control=1), an_action("b", value=0.1)])
    decision = decided(all_of_them, a_question(all_of_them))
    assert chosen(all_of_them, decision) == ["b"]
    assert why(all_of_them, decision, "a") == (Stage.EXPERIMENT, "in the control group of this action")


def test_who_is_held_out_stays_so_whatever_is_asked() -> None:
    treatments = [{"id": "t", "placements": ["hero", "list"]}]
    plan = a_plan([an_action("a", treatments=treatments)], holdout={"share": 0.5})
    for number in range(50):
        lot = number.to_bytes(16, "big")
        answers = [chosen(plan, decided(plan, a_question(plan, one, lot=lot))) for one in ("hero", "list")]
        assert answers[0] == answers[1]


# Test one area first


def test_elsewhere_than_in_the_area_under_test_the_profile_is_not_used() -> None:
    treatments = [{"id": "t", "placements": ["hero", "list"]}]
    offers = [
        an_action("personal", eligibility="profile.views > 0", value=9, treatments=treatments),
        an_action("scored", propensity={"model": "m", "base": 0.01}, treatments=treatments),
        an_action("plain", treatments=treatments),
    ]
    plan = a_plan(offers, personalise_only=["hero"])
    model = a_model(plan, {"": 0.9})
    question = {"profile": {"views": 1}}
    hero = decided(plan, a_question(plan, "hero", slots=3, **question), [model])
    rest = decided(plan, a_question(plan, "list", slots=3, **question), [model])
    assert chosen(plan, hero) == ["personal", "scored", "plain"]
    assert chosen(plan, rest) == ["plain", "scored"]
    assert {one.arithmetic.source for one in rest.placements[0].chosen} == {"catalogue"}


def test_one_response_may_know_the_customer_in_one_place_and_not_in_the_other() -> None:
    treatments = [{"id": "t", "placements": ["hero", "list"]}]
    offers = [
        an_action("one", eligibility="profile.views > 0", value=2, treatments=treatments),
        an_action("two", eligibility="profile.views > 0", treatments=treatments),
        an_action("plain", value=0.1, treatments=treatments),
    ]
    plan = a_plan(offers, personalise_only=["hero"])
    decision = decided(plan, a_question(plan, "hero", "list", profile={"views": 1}))
    assert (chosen(plan, decision), chosen(plan, decision, 1)) == (["one"], ["plain"])


def test_caps_hold_where_the_profile_is_not_used_too() -> None:
    plan = a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "1d"}})], personalise_only=[])
    assert left(plan, seen(("a", HOUR))) == []


# Content


def told(plan: Plan, *, now: datetime = NOW, **question: Any) -> Any:
    """The content of the first selection."""
    return decided(plan, a_question(plan, **question), now=now).placements[0].chosen[0].content


def a_told_plan(content: Any, variants: Any = None, **fields: Any) -> Plan:
    treatment = {"id": "t", "placements": ["hero", "list"], "content": content, "variants": variants or {}}
    context = {"device": {"default": "desktop"}, "locale": {}}
    return a_plan([an_action("a", treatments=[treatment])], context=context, **fields)


def test_content_is_rendered_over_profile_and_context() -> None:
    plan = a_told_plan({"title": "For {{ profile.tier }} on {{ context.device }}", "n": 1})
    assert told(plan, profile={"tier": "gold"}, context={"device": "mobile"}) == {"title": "For gold on mobile", "n": 1}


def test_a_missing_value_is_its_declared_default() -> None:
    assert told(a_told_plan({"title": "For {{ profile.tier }}"})) == {"title": "For none"}


def test_content_that_is_the_same_for_everybody_is_not_rendered() -> None:
    assert told(a_told_plan({"title": "Hello"})) is None


def test_the_variant_of_the_requests_language_is_shown() -> None:
    plan = a_told_plan({"title": "Hello"}, {"de": {"title": "Hallo"}, "de-AT": {"title": "Servus"}})
    shown = {one: told(plan, context={"locale": one}) for one in ("de-AT", "de-CH", "de", "fr", "")}
    assert shown == {
        "de-AT": {"title": "Servus"},
        "de-CH": {"title": "Hallo"},
        "de": {"title": "Hallo"},
        "fr": {"title": "Hello"},
        "": {"title": "Hello"},
    }


def test_without_a_language_in_the_request_the_customers_is_taken() -> None:
    plan = a_told_plan(
        {"title": "Hello"}, {"de": {"title": "Hallo"}}, traits={"locale": {"kind": "attribute", "default": ""}}
    )
    assert told(plan, profile={"locale": "de"}) == {"title": "Hallo"}
    assert told(plan, profile={"locale": "de"}, context={"locale": "fr"}) == {"title": "Hello"}
    assert told(plan, profile={"locale": "de"}, consents={"personalisation": False}) == {"title": "Hello"}


def test_what_cannot_be_rendered_is_left_out_and_the_decision_says_so() -> None:
    broken = [{"id": "t", "placements": ["hero"], "content": {"t": "{{ 1 | divided_by: profile.views }}"}}]
    plan = a_plan([an_action("a", treatments=broken, value=9), an_action("b")])
    decision = decided(plan, a_question(plan, slots=2))
    assert chosen(plan, decision) == ["b"]
    (failure,) = decision.failures
    assert failure.startswith("content:a/t failed: ")
    assert why(plan, decision, "a")[1]


def test_times_in_content_are_those_where_the_customer_is() -> None:
    plan = a_told_plan({"title": "{{ now | date: '%H:%M' }}"})
    assert told(plan, timezone="Asia/Tokyo") == {"title": "21:00"}
    assert told(plan) == {"title": "12:00"}


def test_where_the_profile_may_not_be_used_content_does_not_know_where_the_customer_is() -> None:
    plan = a_told_plan({"title": "{{ now | date: '%H:%M' }}"})
    refused = {"personalisation": False}
    assert told(plan, timezone="Asia/Tokyo", consents=refused) == {"title": "12:00"}
    one_area = a_told_plan({"title": "{{ now | date: '%H:%M' }}"}, personalise_only=["list"])
    assert told(one_area, timezone="Asia/Tokyo") == {"title": "12:00"}


# Slots


def test_an_action_fills_one_slot_only_whatever_its_treatments() -> None:
    treatments = [{"id": name, "placements": ["list"]} for name in ("x", "y")]
    plan = a_plan([an_action("a", treatments=treatments), an_action("b", treatments=treatments, value=0.5)])
    assert chosen(plan, decided(plan, a_question(plan, "list"))) == ["a", "b"]


def test_several_placements_of_one_request_share_no_action() -> None:
    treatments = [{"id": "t", "placements": ["hero", "list"]}]
    plan = a_plan([an_action(name, treatments=treatments) for name in "abcde"])
    decision = decided(plan, a_question(plan, "hero", "list"))
    assert chosen(plan, decision, 0) == ["a"]
    assert chosen(plan, decision, 1) == ["b", "c", "d"]
    stage, reason = next(
        (one.stage, one.reason) for one in dropped(plan, decision, decision.placements[1]) if one.row == 0
    )
    assert (stage, reason) == (Stage.COMPANY, "the action is already in this response")


def test_a_request_may_ask_for_fewer_or_more_than_the_placement_has() -> None:
    plan = a_plan([an_action(name) for name in "abc"])
    assert chosen(plan, decided(plan, a_question(plan, slots=2))) == ["a", "b"]
    assert chosen(plan, decided(plan, a_question(plan, slots=9))) == ["a", "b", "c"]


# Consent


def test_without_consent_the_profile_is_not_used() -> None:
    plan = a_plan([an_action("personal", eligibility="profile.views > 0", value=9), an_action("plain")])
    seen = a_question(plan, profile={"views": 3})
    refused = a_question(plan, profile={"views": 3}, consents={"personalisation": False})
    assert chosen(plan, decided(plan, seen)) == ["personal"]
    decision = decided(plan, refused)
    assert chosen(plan, decision) == ["plain"]
    assert decision.personalisation is Personalisation.NO_CONSENT


def test_without_consent_no_model_is_asked() -> None:
    plan = a_plan([an_action("a", propensity={"model": "m", "base": 0.1})])
    model = a_model(plan, {"": 0.9})
    refused = decided(plan, a_question(plan, consents={"personalisation": False}), [model]).placements[0].chosen[0]
    assert (refused.arithmetic.propensity, refused.arithmetic.source) == (0.1, "catalogue")
    granted = decided(plan, a_question(plan), [model]).placements[0].chosen[0]
    assert (granted.arithmetic.propensity, granted.arithmetic.source) == (pytest.approx(0.9), "model:m@3")


def test_a_channel_without_consent_stays_silent() -> None:
    treatments = [{"id": "t", "placements": ["offer"]}]
    plan = a_plan([an_action("a", treatments=treatments)])
    silent = decided(plan, a_question(plan, "offer"))
    assert chosen(plan, silent) == []
    asked = "unknown: nothing was said, and the default is denied"
    assert silent.placements[0].denied == Denied("email", asked)
    assert why(plan, silent, "a") == (Stage.CONSENT, f"no consent for email: {asked}")
    assert chosen(plan, decided(plan, a_question(plan, "offer", consents={"email": True}))) == ["a"]


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({"known": False}, Personalisation.UNKNOWN_CUSTOMER),
        ({"reachable": False, "known": False}, Personalisation.UNAVAILABLE),
    ],
)
def test_who_is_not_known_gets_a_contextual_decision(fields: dict[str, Any], mode: Personalisation) -> None:
    plan = a_plan([an_action("a", eligibility='context.device == "mobile"'), an_action("b", value=0.1)])
    decision = decided(plan, a_question(plan, context={"device": "mobile"}, **fields))
    assert chosen(plan, decision) == ["a"]
    assert decision.personalisation is mode


# Models


def test_a_model_that_fails_leaves_the_base_rate_and_says_so() -> None:
    plan = a_plan([an_action("a", propensity={"model": "m", "base": 0.2})])
    decision = decided(plan, a_question(plan), [a_model(plan, {"": 0.9}, fails=True)])
    assert decision.placements[0].chosen[0].arithmetic.propensity == 0.2
    assert decision.failures == ("model:m@3 failed: RuntimeError",)


@pytest.mark.parametrize(("given_", "expected"), [(float("nan"), 0.2), (float("inf"), 1.0), (-3.0, 0.0), (1.5, 1.0)])
def test_what_is_no_probability_is_made_one(given_: float, expected: float) -> None:
    plan = a_plan([an_action("a", propensity={"model": "m", "base": 0.2})])
    decision = decided(plan, a_question(plan), [a_model(plan, {"": given_})])
    assert decision.placements[0].chosen[0].arithmetic.propensity == expected


def test_a_model_scores_the_actions_that_ask_for_it_and_no_others() -> None:
    asks = {"model": "m", "base": 0.1}
    plan = a_plan([an_action("a", propensity=asks), an_action("b", propensity=asks), an_action("c", propensity=0.3)])
    model = a_model(plan, {"b": 0.7, "": 0.5, "c": 0.9})
    decision = decided(plan, a_question(plan, slots=3), [model])
    propensities = {plan.rows[one.row].action_id: one.arithmetic.propensity for one in decision.placements[0].chosen}
    assert propensities == pytest.approx({"a": 0.5, "b": 0.7, "c": 0.3})


# Properties

tiers = st.sampled_from(["none", "silver", "gold"])
numbers = st.integers(0, 5)
wishes = st.lists(
    st.fixed_dictionaries({"views": numbers, "tier": tiers, "value": st.integers(0, 3), "lever": st.integers(0, 2)}),
    min_size=1,
    max_size=12,
)


def wished(number: int, wish: dict[str, Any]) -> dict[str, Any]:
    return an_action(
        f"a{number:02}",
        value=wish["value"],
        lever=wish["lever"],
        eligibility=f"profile.views >= {wish['views']}",
        suitability=f'profile.tier == "{wish["tier"]}" || profile.tier == "gold"',
        treatments=[{"id": "t", "placements": ["hero", "list"]}],
    )


@given(
    wishes,
    numbers,
    tiers,
    st.sampled_from(["none", "thompson", "squarecb", "epsilon_greedy"]),
    st.integers(0, 2**64 - 1),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_no_action_that_fails_a_rule_is_ever_chosen(
    wishes_: Any, views: int, tier: str, method: str, seed: int, forced: list[bool]
) -> None:
    """Whatever explores, and whatever is forced."""
    plan = a_plan(
        [wished(*one) | {"force": force} for one, force in zip(enumerate(wishes_), forced, strict=False)],
        placements={"hero": {"channel": "web", "exploration": method}, "list": {"channel": "web", "slots": 3}},
    )
    decision = decided(plan, a_question(plan, "hero", "list", profile={"views": views, "tier": tier}, seed=seed))
    for name in [*chosen(plan, decision, 0), *chosen(plan, decision, 1)]:
        wish = wishes_[int(name[1:])]
        assert views >= wish["views"]
        assert tier in (wish["tier"], "gold")


@given(wishes, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_ranking_does_not_depend_on_the_order_of_the_catalogue(wishes_: Any, rng: random.Random) -> None:
    actions = [wished(*one) for one in enumerate(wishes_)]
    shuffled = actions.copy()
    rng.shuffle(shuffled)
    rankings = []
    for order in (actions, shuffled):
        plan = a_plan(order)
        rankings.append(chosen(plan, decided(plan, a_question(plan, profile={"views": 3, "tier": "gold"}, slots=12))))
    assert rankings[0] == rankings[1]


@given(
    wishes,
    st.lists(st.tuples(numbers, tiers, st.booleans(), st.integers(0, 2**64 - 1)), min_size=1, max_size=8),
    st.sampled_from(["none", "thompson", "squarecb", "epsilon_greedy"]),
)
@settings(max_examples=50)
def test_a_batch_decides_as_each_request_alone(wishes_: Any, customers: Any, method: str) -> None:
    actions = [wished(*one) | {"propensity": {"model": "m", "base": 0.1}} for one in enumerate(wishes_)]
    places = {"hero": {"channel": "web", "exploration": method}, "list": {"channel": "web", "slots": 3}}
    plan = a_plan(actions, placements=places, holdout={"share": 0.1})
    model = a_model(plan, {"a00": 0.4, "": 0.2})

    def questions() -> list[Any]:
        return [
            a_question(
                plan,
                "hero",
                "list",
                profile={"views": views, "tier": tier},
                consents={"personalisation": yes},
                lot=seed.to_bytes(16, "big"),
                seed=seed,
            )
            for views, tier, yes, seed in customers
        ]

    together = decide(plan, models_for(plan, [model]), questions(), NOW)
    for question, decision in zip(questions(), together, strict=True):
        alone = decided(plan, question, [model])
        assert outcome(alone) == outcome(decision)
        assert alone.recorded == decision.recorded


@given(wishes, numbers, tiers)
@settings(max_examples=50)
def test_everything_that_was_not_chosen_has_a_reason(wishes_: Any, views: int, tier: str) -> None:
    plan = a_plan([wished(*one) for one in enumerate(wishes_)])
    decision = decided(plan, a_question(plan, profile={"views": views, "tier": tier}))
    drops = list(dropped(plan, decision, decision.placements[0]))
    assert len(drops) + len(decision.placements[0].chosen) == len(plan.rows)
    assert all(one.reason for one in drops)


def test_thousands_of_candidates_rank_as_a_full_sort_would() -> None:
    values = random.Random(7).choices(range(50), k=3_000)
    plan = a_plan([an_action(f"a{number:05}", value=value) for number, value in enumerate(values)])
    expected = sorted(range(len(values)), key=lambda at: (-values[at], at))[:5]
    assert chosen(plan, decided(plan, a_question(plan, slots=5))) == [f"a{number:05}" for number in expected]
