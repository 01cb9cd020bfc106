from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from tests.support.decisions import a_catalog, a_question, an_action, decided
from tests.support.records import Record, a_record

from wayline.catalog.model import Catalog
from wayline.errors import InvalidField
from wayline_decision.compare import Comparison
from wayline_decision.core.compile import compile_plan
from wayline_decision.fallback import OUT_OF_TIME
from wayline_decision.states import fitted

NOW = a_catalog([an_action("red", value=2), an_action("blue", value=1)])
BLUE_FIRST = a_catalog([an_action("red", value=1), an_action("blue", value=2)])


def compared(
    catalog: Catalog,
    records: Sequence[Record],
    *,
    segments: Sequence[str] = (),
    rewarded: Sequence[tuple[str, str]] = (),
) -> Comparison:
    """The records, decided anew under `catalog`; decision and action are `rewarded`."""
    state, known = fitted(compile_plan(catalog, 1), {}, {}), set(rewarded)
    comparison = Comparison(state, lambda *one: float(one in known), segments)
    comparison.add([(one, None) for one in records])
    return comparison


def changes(comparison: Comparison) -> dict[str, Any]:
    return comparison.changes.as_dict()


def test_the_same_catalogue_changes_nothing():
    records = [a_record(NOW, {"hero": ["red"]}) for _ in range(20)]
    found = changes(compared(NOW, records))
    assert found["decisions"] == {"decisions": 20, "changed": 0, "share": 0}
    assert found["actions"] == {"red": {"before": 20, "after": 20, "gained": 0, "lost": 0}}


def test_another_value_lets_another_action_win():
    found = changes(compared(BLUE_FIRST, [a_record(NOW, {"hero": ["red"]}) for _ in range(3)]))
    assert found["decisions"] == {"decisions": 3, "changed": 3, "share": 1}
    assert found["actions"]["blue"] == {"before": 0, "after": 3, "gained": 3, "lost": 0}
    assert found["actions"]["red"] == {"before": 3, "after": 0, "gained": 0, "lost": 3}


def test_a_new_rule_is_judged_by_the_profile_as_it_was_then_and_segments_show_whom_it_hits():
    gold_only = a_catalog([an_action("red", value=2, eligibility="profile.tier == 'gold'"), an_action("blue", value=1)])
    records = [a_record(NOW, {"hero": ["red"]}, profile={"tier": tier}) for tier in ("gold", "gold", "silver")]
    records.append(a_record(NOW, {"hero": ["red"]}, known=False))
    segments = changes(compared(gold_only, records, segments=["tier"]))["segments"]
    assert segments["tier"] == {
        "gold": {"decisions": 2, "changed": 0, "share": 0},
        "(not known)": {"decisions": 1, "changed": 1, "share": 1},
        "silver": {"decisions": 1, "changed": 1, "share": 1},
    }
    assert segments["personalisation"]["full"] == {"decisions": 3, "changed": 1, "share": pytest.approx(1 / 3)}
    assert segments["personalisation"]["unknown_customer"]["changed"] == 1


def test_rules_go_by_the_clock_of_the_decision_and_not_by_ours():
    until_noon = a_catalog([an_action("red", eligibility="now < timestamp('2026-09-21T12:00:00.500Z')")])
    before = a_record(NOW, {"hero": ["red"]})
    after = a_record(NOW, {"hero": ["red"]})
    after.decided_at.FromJsonString("2026-09-21T12:00:01Z")
    assert changes(compared(until_noon, [before, after, before]))["actions"]["red"]["lost"] == 1


def test_all_slots_of_a_placement_count_and_not_the_first_alone():
    listed = [{"id": "main", "placements": ["list"]}]
    values = {"red": 3, "blue": 2, "green": 1}
    actions = [an_action(name, value=value, treatments=listed) for name, value in values.items()]
    catalog = a_catalog(actions, placements={"list": {"channel": "web", "slots": 2}})
    other = a_catalog(
        [actions[0], {**actions[1], "value": 0.5}, actions[2]], placements={"list": {"channel": "web", "slots": 3}}
    )
    records = [a_record(catalog, {"list": ["red", "blue"]}) for _ in range(2)]
    found = compared(other, records).changes.as_dict()
    assert found["actions"] == {
        "green": {"before": 0, "after": 2, "gained": 2, "lost": 0},
        "blue": {"before": 2, "after": 2, "gained": 0, "lost": 0},
        "red": {"before": 2, "after": 2, "gained": 0, "lost": 0},
    }
    assert found["channels"]["web"] == {"decisions": 2, "changed": 2, "share": 1.0, "before": 4, "after": 6}
    assert found["segments"]["personalisation"]["full"]["changed"] == 2


def test_channels_are_told_apart():
    both = {"mail": [{"id": "main", "placements": ["offer"]}], "web": [{"id": "main", "placements": ["hero"]}]}
    catalog = a_catalog([an_action(name, treatments=one) for name, one in both.items()])
    without_mail = a_catalog([an_action("web", treatments=both["web"])])
    records = [a_record(catalog, {"hero": ["web"], "offer": ["mail"]}, consents={"email": True}) for _ in range(2)]
    channels = changes(compared(without_mail, records))["channels"]
    assert channels["web"] == {"decisions": 2, "changed": 0, "share": 0, "before": 2, "after": 2}
    assert channels["mail"] == {"decisions": 2, "changed": 2, "share": 1, "before": 2, "after": 0}


def test_a_placement_that_is_gone_stays_empty_and_is_named():
    placements = {"list": {"channel": "web", "slots": 3}}
    without_hero = a_catalog(
        [an_action("red", treatments=[{"id": "main", "placements": ["list"]}])], placements=placements
    )
    records = [a_record(NOW, {"hero": ["red"], "list": []}), a_record(NOW, {"hero": ["red"]})]
    comparison = compared(without_hero, records)
    assert comparison.gone == {"hero": 2}
    assert changes(comparison)["actions"] == {"red": {"before": 2, "after": 1, "gained": 1, "lost": 2}}


def test_a_context_that_does_not_fit_is_left_out_and_said():
    other = a_catalog([an_action("red")], context={"device": {"type": "integer"}})
    comparison = compared(other, [a_record(NOW, {"hero": ["red"]}, context={"device": "phone"})])
    assert comparison.skipped == {"context.device": 1}
    assert changes(comparison)["decisions"]["decisions"] == 0


def test_a_segment_is_a_declared_trait_of_text_or_a_truth():
    with pytest.raises(InvalidField, match=r"expected a trait of type string or boolean \(tier\), got 'views'"):
        compared(NOW, [], segments=["views"])


def test_a_trait_that_is_true_or_false_tells_segments_apart():
    traits = {"member": {"kind": "attribute", "type": "boolean", "default": False}}
    before = a_catalog([an_action("red")], traits=traits)
    only_members = a_catalog([an_action("red", eligibility="profile.member")], traits=traits)
    records = [a_record(before, {"hero": ["red"]}, profile={"member": member}) for member in (True, True, False)]
    assert changes(compared(only_members, records, segments=["member"]))["segments"]["member"] == {
        "true": {"decisions": 2, "changed": 0, "share": 0},
        "false": {"decisions": 1, "changed": 1, "share": 1},
    }


def explored(
    count: int, share_of_blue: float, takes: Mapping[str, float]
) -> tuple[list[Record], list[tuple[str, str]]]:
    """Records of a policy that shows blue now and then, and how often each is taken: exact shares, in any order."""
    records, rewarded = [], []
    for action, share in (("red", 1 - share_of_blue), ("blue", share_of_blue)):
        for number in range(round(count * share)):
            records.append(a_record(NOW, {"hero": [action]}, probability=share))
            if number < round(count * share * takes[action]):
                rewarded.append((records[-1].decision_id, action))
    Random(1).shuffle(records)
    return records, rewarded


def test_the_value_of_another_policy_is_estimated_from_what_was_explored():
    records, rewarded = explored(2_000, 0.2, {"red": 0.1, "blue": 0.3})
    value = compared(BLUE_FIRST, records, rewarded=rewarded).evidence.as_dict()
    assert (value["slots"], value["rewards"], value["unsupported"]) == (2_000, 280, 0)
    assert value["recorded"]["value"] == pytest.approx(0.14)
    for name in ("ips", "snips"):
        assert value["new"][name]["value"] == pytest.approx(0.3)
    for one in value["new"].values():
        assert one["low"] < 0.3 < one["high"]
        assert one["low"] > value["recorded"]["high"]
        assert one["effective_sample_size"] == pytest.approx(400)


def test_the_same_policy_is_worth_what_it_was():
    records = [a_record(NOW, {"hero": ["red"]}) for _ in range(200)]
    value = compared(NOW, records, rewarded=[(one.decision_id, "red") for one in records[::4]]).evidence.as_dict()
    assert value["new"]["ips"] == value["new"]["snips"] == value["recorded"]
    assert value["recorded"]["value"] == 0.25


def test_what_was_never_tried_is_said_to_be_unknown():
    value = compared(BLUE_FIRST, [a_record(NOW, {"hero": ["red"]}) for _ in range(50)]).evidence.as_dict()
    assert value["unsupported"] == 50
    assert value["new"]["snips"]["value"] is None
    assert (value["new"]["ips"]["low"], value["new"]["ips"]["high"]) == (0, 1)


def test_a_choice_of_unknown_chance_is_left_out_of_the_estimate_and_counted():
    records = [a_record(NOW, {"hero": ["red"]}, probability=chance) for chance in (1.0, None, None)]
    value = compared(NOW, records).evidence.as_dict()
    assert (value["slots"], value["without_probability"]) == (1, 2)


def test_no_decision_is_no_estimate():
    comparison = compared(NOW, [])
    assert comparison.evidence.as_dict()["new"] is None
    assert changes(comparison)["decisions"]["share"] == 0


def by_lot(count: int, takes: Mapping[str, float]) -> tuple[list[Record], list[tuple[str, str]]]:
    """Records of a policy that shows red or blue, each with a chance of a half, and which of them were taken."""
    lots, records, rewarded = Random(3), [], []
    for _ in range(count):
        action = lots.choice(["red", "blue"])
        records.append(a_record(NOW, {"hero": [action]}, probability=0.5))
        if lots.random() < takes[action]:
            rewarded.append((records[-1].decision_id, action))
    return records, rewarded


@pytest.mark.parametrize(
    ("exploration", "red"),
    [
        ({"method": "epsilon_greedy", "epsilon": 0.4}, 0.8),
        ({"method": "squarecb", "gamma": 6}, 0.8),  # blue is worth half: 1 / (2 + 6 / 2)
        ({"method": "thompson"}, None),
    ],
)
def test_a_policy_that_explores_is_estimated_by_how_often_it_would_show_each_action(
    exploration: Mapping[str, Any], red: float | None
):
    placements = {"hero": {"channel": "web", "exploration": exploration}}
    explores = a_catalog([an_action("red", value=2), an_action("blue", value=1)], placements=placements)
    records, rewarded = by_lot(1_500, {"red": 0.2, "blue": 0.6})
    comparison = compared(explores, records, rewarded=rewarded)
    value = comparison.evidence.as_dict()
    assert value["unsupported"] == 0
    if red is None:  # as often as it was seen to do
        found = changes(comparison)["actions"]
        red = found["red"]["after"] / len(records)
        assert 0.5 < red < 1
    truth = red * 0.2 + (1 - red) * 0.6
    for name, one in value["new"].items():
        assert one["low"] < truth < one["high"], name
        assert one["value"] == pytest.approx(truth, abs=0.04), name


def test_what_other_decisions_had_used_up_then_is_used_up_in_the_simulation_too():
    limited = a_catalog([an_action("red", value=2, budget={"total": 10}), an_action("blue", value=1)])
    free, spent = a_record(NOW, {"hero": ["red"]}), a_record(NOW, {"hero": ["blue"]})
    spent.exhausted.append("red")
    assert changes(compared(limited, [free, spent]))["decisions"]["changed"] == 0


def test_a_customer_who_would_be_held_out_gets_nothing():
    held_out = a_catalog([an_action("red")], holdout={"share": 1})
    found = changes(compared(held_out, [a_record(NOW, {"hero": ["red"]})]))
    assert found["actions"]["red"] == {"before": 1, "after": 0, "gained": 0, "lost": 1}


def test_a_policy_that_explored_is_worth_what_it_was_and_its_lots_are_not_drawn_twice():
    placements = {"hero": {"channel": "web", "exploration": {"method": "epsilon_greedy", "epsilon": 0.5}}}
    catalog = a_catalog([an_action("red", value=2), an_action("blue", value=1)], placements=placements)
    plan = compile_plan(catalog, 1)
    records, rewarded = [], []
    for number in range(800):
        question = a_question(plan)._replace(seed=number)
        one = decided(plan, question).placements[0].chosen[0]
        action = plan.rows[one.row].action_id
        records.append(a_record(catalog, {"hero": [action]}, probability=one.selection_probability))
        records[-1].seed = number
        if number % (2 if action == "blue" else 5) == 0:
            rewarded.append((records[-1].decision_id, action))
    comparison = compared(catalog, records, rewarded=rewarded)
    assert changes(comparison)["decisions"]["changed"] == 0
    value = comparison.evidence.as_dict()
    for one in value["new"].values():
        assert one["value"] == pytest.approx(value["recorded"]["value"], rel=0.15)


def test_a_placement_that_stayed_empty_counts_as_silence():
    nobody_may = a_catalog([an_action("red", eligibility="profile.views > 99")])
    value = compared(nobody_may, [a_record(NOW, {"hero": []}), a_record(NOW, {"hero": ["red"]})]).evidence.as_dict()
    assert (value["slots"], value["without_probability"], value["unsupported"]) == (2, 0, 1)


def test_a_request_that_there_was_no_time_to_decide_says_nothing_of_any_catalogue():
    fell_back = a_record(NOW, {"hero": []})
    fell_back.notes.append(OUT_OF_TIME)
    comparison = compared(NOW, [fell_back, a_record(NOW, {"hero": ["red"]})])
    assert comparison.fell_back == 1
    assert changes(comparison)["decisions"] == {"decisions": 1, "changed": 0, "share": 0}
    assert comparison.evidence.as_dict()["slots"] == 1


def test_each_decision_has_its_own_clock_where_the_weights_follow_the_time():
    weight = "now < timestamp('2026-09-21T12:00:30Z') ? 1.0 : 9.0"
    catalog = a_catalog([an_action("red", value=2), an_action("blue", value=1, context_weight=weight)])
    early, late = a_record(NOW, {"hero": ["red"]}), a_record(NOW, {"hero": ["red"]})
    late.decided_at.FromJsonString("2026-09-21T12:00:31Z")
    found = changes(compared(catalog, [early, late, early]))["actions"]
    assert (found["red"]["after"], found["blue"]["after"]) == (2, 1)
