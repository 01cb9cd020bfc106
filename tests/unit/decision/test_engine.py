"""What one replica promises: caps and budgets hold whatever comes at once, and experiments reach whom they should."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.decisions import NOW, a_catalog, a_model, a_plan, an_action
from tests.support.engines import Shop, a_request, actions

from wayline.errors import InvalidField, LimitExceeded, Retryable
from wayline.v1 import decision_pb2
from wayline_decision.anew import decide_anew, differences
from wayline_decision.core.compile import compile_plan
from wayline_decision.core.contact import Met
from wayline_decision.core.plan import Plan
from wayline_decision.core.score import models_for
from wayline_decision.ledger import Customer, Ledger
from wayline_decision.states import State, fitted, plans_of, state_of

NOW_MS = int(NOW.timestamp() * 1_000)
THREADS = 8


@pytest.fixture(autouse=True)
def threads_take_turns_at_every_step() -> Iterator[None]:
    """Otherwise a decision is over before another thread has its turn, and nothing is tried at once."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def at_once(shop: Shop, requests: Sequence[decision_pb2.DecideRequest]) -> list[decision_pb2.DecideResponse]:
    """All requests on several threads, in the order of the requests."""

    def answer(request: decision_pb2.DecideRequest) -> decision_pb2.DecideResponse:
        return decision_pb2.DecideResponse.FromString(shop.engine.decide(request.SerializeToString(), None))

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(answer, requests))


def impression(action: str, decision_id: str, *, ago: timedelta = timedelta(), channel: str = "web") -> Met:
    return Met("impression", action, channel, NOW_MS - int(ago.total_seconds() * 1_000), decision_id)


# Contacts that are promised


def test_two_requests_in_the_same_millisecond_do_not_both_use_the_last_contact() -> None:
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "7d"}})]))
    shop.knows("ada")
    assert actions(shop.decide("ada")) == ["a"]
    assert actions(shop.decide("ada")) == []


def test_what_was_promised_to_one_customer_leaves_all_to_another() -> None:
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "7d"}})]))
    assert [actions(shop.decide(one)) for one in ("ada", "bob", "ada", "bob")] == [["a"], ["a"], [], []]


def test_once_the_profile_shows_the_contact_it_counts_once() -> None:
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 2, "window": "7d"}})]))
    shop.knows("ada")
    first = shop.decide("ada")
    shop.knows("ada", contacts=[impression("a", first.decision_id)])
    assert actions(shop.decide("ada")) == ["a"]
    assert actions(shop.decide("ada")) == []


def test_a_promise_that_was_never_seen_is_given_back_after_some_minutes() -> None:
    moment = [NOW]
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "7d"}})]), clock=lambda: moment[0])
    shop.knows("ada")
    assert actions(shop.decide("ada")) == ["a"]
    moment[0] += timedelta(minutes=6)
    assert actions(shop.decide("ada")) == ["a"]


def test_a_stranger_who_becomes_known_keeps_what_was_promised() -> None:
    """The page view that makes the profile arrives before the impression that uses up the cap."""
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "7d"}})]))
    assert actions(shop.decide("ada")) == ["a"]
    shop.knows("ada")
    assert actions(shop.decide("ada")) == []


def test_who_cannot_be_looked_up_for_a_moment_keeps_what_was_promised() -> None:
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "7d"}})]))
    shop.knows("ada")
    assert actions(shop.decide("ada")) == ["a"]
    shop.profiles.views.clear()
    assert actions(shop.decide("ada")) == []


def test_a_request_that_read_an_older_view_does_not_get_what_a_newer_view_has_used_up() -> None:
    """Views are read before the turn: meanwhile another request may have seen a newer one."""
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "7d"}})]))
    shop.knows("ada")
    first = shop.decide("ada")
    assert actions(first) == ["a"]

    def meanwhile() -> None:
        shop.profiles.asked = lambda: None
        shop.knows("ada", contacts=[impression("a", first.decision_id)])
        assert actions(shop.decide("ada")) == []

    shop.profiles.asked = meanwhile
    assert actions(shop.decide("ada")) == []


def test_from_looking_at_what_is_left_until_it_is_taken_no_other_worker_decides_for_the_customer() -> None:
    """One customer after the other, in a batch, too."""
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "7d"}})]))
    steps: list[str] = []

    class Watched(Ledger):
        @contextmanager
        def alone(self, plan: Plan, customer: Customer) -> Iterator[None]:
            steps.append(f"alone with {customer.identifier.value}")
            yield
            steps.append("together")

        def limits(self, *arguments: Any) -> Any:
            steps.append("look")
            return super().limits(*arguments)

        def take(self, *arguments: Any) -> None:
            steps.append("take")
            super().take(*arguments)

    shop.engine._ledger = Watched()
    shop.knows("ada")
    shop.decide("ada")
    shop.decide_batch([a_request("bob"), a_request("cyd")])
    assert steps == [
        step for name in ("ada", "bob", "cyd") for step in (f"alone with {name}", "look", "take", "together")
    ]


def test_a_batch_gives_a_contact_away_once() -> None:
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 1, "window": "7d"}}), an_action("b", value=0.1)]))
    shop.knows("ada")
    results = shop.decide_batch([a_request("ada")] * 3)
    assert [actions(one.decision) for one in results] == [["a"], ["b"], ["b"]]


def test_batch_and_single_requests_use_the_same_counters() -> None:
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 2, "period": "day", "outcome": "decision"}})]))
    shop.knows("ada")
    assert actions(shop.decide("ada")) == ["a"]
    assert [actions(one.decision) for one in shop.decide_batch([a_request("ada")] * 2)] == [["a"], []]
    assert actions(shop.decide("ada")) == []


def test_what_was_decided_is_told_to_the_profile_where_a_cap_counts_decisions() -> None:
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 2, "period": "day", "outcome": "decision"}})]))
    decision = shop.decide("ada")
    (event,) = shop.told
    assert MessageToDict(event.properties) == {
        "decision_id": decision.decision_id,
        "customer": {"kind": "user_id", "value": "ada"},
        "selections": [{"action": "a", "channel": "web"}],
    }


def test_nothing_is_told_where_no_cap_counts_decisions() -> None:
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 2, "period": "day"}})]))
    shop.decide("ada")
    assert shop.told == []


# Caps and budgets under many requests at once

PER = ("action", "group", "issue", "channel", "customer")
GROUPS = {"a": "g", "b": "g", "c": "h", "d": "h", "e": "h"}
PLACEMENTS = {
    "hero": {"channel": "web"},
    "list": {"channel": "web", "slots": 3, "exploration": "thompson"},
    "push": {"channel": "app", "slots": 2, "exploration": {"method": "epsilon_greedy", "epsilon": 0.5}},
}
caps = st.lists(
    st.fixed_dictionaries(
        {
            "per": st.sampled_from(PER),
            "limit": st.integers(0, 6),
            "outcome": st.sampled_from(["impression", "decision"]),
            "period": st.sampled_from(["day", "week"]),
            "channels": st.sampled_from([[], ["app"], ["web"]]),
        }
    ),
    min_size=1,
    max_size=3,
)
wanted = st.lists(st.lists(st.sampled_from(list(PLACEMENTS)), min_size=1, max_size=3, unique=True), max_size=12)


def capped(caps_: Sequence[Any]) -> dict[str, Any]:
    treatments = [{"id": "t", "placements": list(PLACEMENTS)}]
    groups = [
        {"id": group, "actions": [an_action(one, treatments=treatments) for one in GROUPS if GROUPS[one] == group]}
        for group in ("g", "h")
    ]
    return {
        "channels": {"web": {}, "app": {}},
        "placements": PLACEMENTS,
        "issues": [{"id": "i", "groups": groups}],
        "contact": {"caps": caps_},
    }


def exceeded(cap: dict[str, Any], met: Sequence[tuple[str, str]]) -> list[Any]:
    """What a cap counts more often than it allows, among the actions and channels that a customer was met with."""
    key = {
        "action": lambda action, _: action,
        "group": lambda action, _: GROUPS[action],
        "channel": lambda _, channel: channel,
    }.get(cap["per"], lambda *_: "all")
    counts = Counter(key(*one) for one in met if not cap["channels"] or one[1] in cap["channels"])
    return [one for one, number in counts.items() if number > cap["limit"]]


@given(caps, st.lists(wanted, min_size=1, max_size=3), st.booleans(), st.data())
@settings(max_examples=40, deadline=None)
def test_no_cap_is_ever_exceeded_by_requests_that_come_at_once(
    caps_: Any, waves: list[list[list[str]]], known: bool, data: st.DataObject
) -> None:
    """The profile never shows a contact, or between two waves of requests shows any part of them."""
    plan = a_plan([], **capped(caps_))
    shop = Shop(plan)
    if known:
        shop.knows("ada")
    met: list[tuple[str, str]] = []
    shown: list[Met] = []
    for wave in waves:
        responses = at_once(shop, [a_request("ada", *placements) for placements in wave])
        for response in responses:
            for filled in response.placements:
                channel = PLACEMENTS[filled.placement]["channel"]
                for one in filled.selections:
                    met.append((one.action, str(channel)))
                    if known and data.draw(st.booleans()):
                        contact = impression(one.action, response.decision_id, channel=str(channel))
                        shown += [contact, contact._replace(outcome="decision")]
        if known:
            shop.knows("ada", contacts=shown)
    assert [exceeded(cap, met) for cap in caps_] == [[] for _ in caps_]


def test_a_cap_is_used_to_the_last_contact_and_no_further_by_hundreds_of_requests() -> None:
    shop = Shop(a_plan([an_action("a", contact={"caps": {"limit": 50, "window": "7d"}})]))
    shop.knows("ada")
    responses = at_once(shop, [a_request("ada")] * 200)
    assert sum(len(actions(one)) for one in responses) == 50


def test_a_budget_is_used_to_the_last_one_and_no_further_by_hundreds_of_requests() -> None:
    shop = Shop(a_plan([an_action("a", budget={"total": 50}), an_action("b", value=0.1)]))
    responses = at_once(shop, [a_request(f"customer-{number}") for number in range(200)])
    assert Counter(action for one in responses for action in actions(one)) == {"a": 50, "b": 150}


def test_a_batch_ends_where_the_budget_ends() -> None:
    shop = Shop(a_plan([an_action("a", budget={"per_day": 3})]))
    results = shop.decide_batch([a_request(f"customer-{number}") for number in range(5)])
    assert [actions(one.decision) for one in results] == [["a"]] * 3 + [[], []]


def test_tomorrow_there_is_a_new_budget_for_the_day() -> None:
    moment = [NOW]
    shop = Shop(a_plan([an_action("a", budget={"per_day": 1})]), clock=lambda: moment[0])
    assert [actions(shop.decide("ada")), actions(shop.decide("bob"))] == [["a"], []]
    moment[0] += timedelta(days=1)
    assert actions(shop.decide("bob")) == ["a"]


# Experiments on formula, model and catalogue

HALVES = {"x": 0.5, "y": 0.5}


def in_arms(**arms: Any) -> list[dict[str, Any]]:
    share = 1 / len(arms)
    return [{"id": "e", "arms": {name: {"share": share, **arm} for name, arm in arms.items()}}]


def varied_state(catalog: Any, others: dict[int, Any] | None = None) -> tuple[Any, State]:
    plan = compile_plan(catalog, 7)
    return plan, fitted(plan, plans_of(plan, others or {}), {})


def by_arm(shop: Shop, customers: int = 60) -> dict[str, set[str]]:
    """The first action that each arm decides for, over so many customers."""
    found: dict[str, set[str]] = {}
    for number in range(customers):
        response = shop.decide(f"customer-{number}")
        found.setdefault(response.experiments["e"], set()).add(",".join(actions(response)))
    return found


def test_an_arm_with_another_formula_decides_by_it() -> None:
    catalog = a_catalog(
        [an_action("likely", propensity=0.5, value=1), an_action("dear", propensity=0.01, value=9)],
        experiments=in_arms(product={}, dear={"formula": "value"}),
    )
    assert by_arm(Shop(*varied_state(catalog))) == {"product": {"likely"}, "dear": {"dear"}}


def test_an_arm_with_another_revision_decides_by_that_catalogue() -> None:
    catalog = a_catalog([an_action("now")], experiments=in_arms(now={}, autumn={"catalog": 3}))
    state = varied_state(catalog, {3: a_catalog([an_action("autumn")])})
    assert by_arm(Shop(*state)) == {"now": {"now"}, "autumn": {"autumn"}}


def test_who_gets_what_everybody_gets_does_not_count_for_the_arm() -> None:
    """The other revision lacks the placement."""
    catalog = a_catalog([an_action("now")], experiments=in_arms(now={}, autumn={"catalog": 3}))
    other = a_catalog(
        [an_action("autumn", treatments=[{"id": "t", "placements": ["list"]}])],
        placements={"list": {"channel": "web"}},
    )
    shop = Shop(*varied_state(catalog, {3: other}))
    for number in range(30):
        response = shop.decide(f"customer-{number}")
        assert actions(response) == ["now"]
        assert dict(response.experiments) in ({"e": "now"}, {})


def test_an_arm_is_sticky() -> None:
    catalog = a_catalog([an_action("a")], experiments=in_arms(x={}, y={"formula": "value"}, z={"control": "random"}))
    shop = Shop(*varied_state(catalog))
    for number in range(10):
        arms = {shop.decide(f"customer-{number}").experiments["e"] for _ in range(5)}
        assert len(arms) == 1


def test_a_batch_puts_each_customer_in_the_arm_of_the_single_request() -> None:
    catalog = a_catalog(
        [an_action("likely", propensity=0.5, value=1), an_action("dear", propensity=0.01, value=9)],
        experiments=in_arms(product={}, dear={"formula": "value"}),
    )
    shop = Shop(*varied_state(catalog))
    customers = [f"customer-{number}" for number in range(40)]
    singles = [shop.decide(one) for one in customers]
    results = [one.decision for one in shop.decide_batch([a_request(one) for one in customers])]
    assert [(actions(one), dict(one.experiments)) for one in results] == [
        (actions(one), dict(one.experiments)) for one in singles
    ]


def test_an_arms_budget_is_the_budget_of_all() -> None:
    actions_ = [an_action("a", budget={"total": 10}), an_action("b", value=0.1)]
    shop = Shop(*varied_state(a_catalog(actions_, experiments=in_arms(x={}, y={"formula": "value"}))))
    responses = [shop.decide(f"customer-{number}") for number in range(40)]
    assert Counter(action for one in responses for action in actions(one))["a"] == 10


def test_an_arm_whose_catalogue_has_no_caps_uses_up_the_caps_of_the_others_too() -> None:
    """The experiment is on the list. What was shown there counts for the hero, which is decided as for everybody."""
    both = [{"id": "t", "placements": ["hero", "list"], "content": {}}]
    arms = {"now": {"share": 0}, "old": {"share": 1, "catalog": 3}}
    catalog = a_catalog(
        [an_action("a", treatments=both, contact={"caps": {"limit": 1, "window": "7d"}})],
        experiments=[{"id": "e", "placements": ["list"], "arms": arms}],
    )
    shop = Shop(*varied_state(catalog, {3: a_catalog([an_action("a", treatments=both)])}))
    assert actions(shop.decide("ada", "list")) == ["a"]
    assert actions(shop.decide("ada", "hero")) == []


# Records


REPLAYED: dict[str, dict[str, Any]] = {
    "none": {},
    "silence": {"silence": 0.25},
    "thompson": {"exploration": "thompson"},
    "squarecb": {"exploration": "squarecb"},
    "epsilon_greedy": {"exploration": {"method": "epsilon_greedy", "epsilon": 0.5}},
    "diversity": {"exploration": "thompson", "diversity": 0.5},
}


@pytest.mark.parametrize("placement", list(REPLAYED))
def test_every_record_decides_anew_to_the_same(placement: str) -> None:
    """Whatever was in the way: caps, budgets, priorities, forced actions, exclusions, a bundle, floors, arms."""
    both = [{"id": "t", "placements": ["hero", "list"], "content": {"title": "{{ profile.tier }}"}}]
    offers = [
        an_action(name, treatments=both, value=value, **fields)
        for value, (name, fields) in enumerate(
            {
                "a": {"budget": {"total": 20}},
                "b": {"contact": {"caps": {"limit": 1, "window": "1d"}}},
                "c": {"force": 'profile.tier == "gold"'},
                "d": {"priority": 3, "control": 0.3},
                "e": {"force": "profile.views > 1", "priority": 2},
                "f": {},
                "g": {"eligibility": "profile.views > 0"},
            }.items(),
            start=1,
        )
    ]
    arms = {name: {"control": name} for name in ("random", "propensity", "no_levers", "random_propensity")}
    catalog = a_catalog(
        offers,
        placements={
            "hero": {"channel": "web", **REPLAYED[placement]},
            "list": {"channel": "web", "slots": 3, **REPLAYED[placement]},
        },
        contact={"caps": {"limit": 12, "window": "1d", "per": "customer"}},
        arbitration={
            "exclusions": [{"id": "x", "actions": ["a", "f"]}],
            "bundles": [{"id": "b", "actions": ["b", "f"]}],
            "smoothing": {"evidence": 20},
            "floors": {"priority": 0.05},
        },
        personalise_only=["list"] if placement == "squarecb" else None,
        experiments=in_arms(usual={}, formula={"formula": "propensity * value * value"}, **arms),
        holdout={"share": 0.05},
    )
    plan, state = varied_state(catalog)
    shop = Shop(plan, state)
    for number in range(60):
        customer = f"customer-{number % 20}"
        if number % 3:
            shop.knows(customer, profile={"views": number % 4, "tier": ("gold", "silver")[number % 2]})
        shop.decide(customer, *(("hero", "list"), ("list", "hero"))[number % 2])
    records = shop.records
    assert len(records) == 60
    for record in records:
        assert differences(record, decide_anew(record, state)) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["gold", "none"])), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_forced_actions_of_several_priorities_are_decided_anew_to_the_same_with_a_model(wishes: Any) -> None:
    asks = {"model": "m", "base": 0.1}
    plan = a_plan(
        [
            an_action(f"a{at}", propensity=asks, priority=priority, force=f'profile.tier == "{tier}"', value=1 + at)
            for at, (priority, tier) in enumerate(wishes)
        ]
    )
    state = state_of(plan, models_for(plan, [a_model(plan, {"": 0.3})]))
    shop = Shop(plan, state)
    shop.knows("ada", profile={"tier": "gold"})
    shop.decide("ada")
    (record,) = shop.records
    assert differences(record, decide_anew(record, state)) == []


@pytest.mark.parametrize("control", ["random", "random_propensity"])
def test_an_arm_is_decided_anew_to_the_same_where_the_profile_is_used_in_one_place_only(control: str) -> None:
    both = [{"id": "t", "placements": ["hero", "list"], "content": {}}]
    asks = {"model": "m", "base": 0.1}
    plan = a_plan(
        [an_action(f"a{at}", propensity=asks, treatments=both) for at in range(6)],
        personalise_only=["list"],
        experiments=[{"id": "e", "arms": {"x": {"share": 1, "control": control}, "y": {"share": 0}}}],
    )
    state = state_of(plan, models_for(plan, [a_model(plan, {"": 0.3})]))
    shop = Shop(plan, state)
    shop.knows("ada")
    for _ in range(20):
        shop.decide("ada", "hero", "list")
        shop.decide("ada", "list", "hero")
    for record in shop.records:
        assert differences(record, decide_anew(record, state)) == []


def test_a_record_holds_what_was_promised_and_whose_budget_was_used_up() -> None:
    shop = Shop(
        a_plan(
            [
                an_action("a", budget={"total": 1}, contact={"caps": {"limit": 5, "window": "1d"}}),
                an_action("b", value=0.1),
            ]
        )
    )
    first = shop.decide("ada")
    shop.decide("ada")
    record = shop.records[1]
    assert list(record.exhausted) == ["a"]
    assert {(one.outcome, one.action, one.decision_id) for one in record.reserved} == {
        ("decision", "a", first.decision_id),
        ("impression", "a", first.decision_id),
    }


# Requests


def test_before_the_first_catalogue_there_is_no_answer() -> None:
    shop = Shop(a_plan([an_action("a")]))
    shop.engine._state = None
    with pytest.raises(Retryable, match="wayline catalog apply"):
        shop.decide("ada")


def test_what_is_no_request_is_refused() -> None:
    shop = Shop(a_plan([an_action("a")]))
    with pytest.raises(InvalidField, match="not a DecideRequest"):
        shop.engine.decide(b"\xff", None)


def test_a_batch_has_limits_and_one_wrong_request_harms_no_other() -> None:
    shop = Shop(a_plan([an_action("a")]))
    with pytest.raises(InvalidField, match="got none"):
        shop.decide_batch([])
    with pytest.raises(LimitExceeded, match=r"1001"):
        shop.decide_batch([a_request("ada")] * 1_001)
    good, bad = shop.decide_batch([a_request("ada"), a_request("ada", "nowhere")])
    assert actions(good.decision) == ["a"]
    assert bad.error.startswith("requests[1].placements[0].placement")


def test_a_profile_service_that_is_away_leaves_a_contextual_decision() -> None:
    shop = Shop(a_plan([an_action("a"), an_action("b", eligibility="profile.views > 0")]))

    def away() -> None:
        raise grpc.RpcError

    shop.profiles.asked = away
    response = shop.decide("ada")
    assert actions(response) == ["a"]
    assert response.personalisation == decision_pb2.PERSONALISATION_UNAVAILABLE
