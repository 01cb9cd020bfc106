"""Traits that are made of other traits: ratios and rules."""

from __future__ import annotations

import pytest
from tests.support.events import DAY_MS, NOON_MS, identify, page, track
from tests.support.traits import a_reading, expiry_after, folded, values_after

from wayline.catalog.audiences import Audience
from wayline.catalog.model import Catalog
from wayline.v1 import profile_pb2
from wayline_profile.core.values import evaluate, reading_of, values_of, view_of

SHOP = {
    "orders": {"kind": "count", "event": "Order Completed"},
    "visits": {"kind": "count", "event": "page"},
    "spend": {"kind": "sum", "event": "Order Completed", "property": "total"},
    "since_visit": {"kind": "recency", "event": "page"},
    "colours": {"kind": "affinity", "event": "page", "property": "color", "half_life": "7d"},
    "city": {"kind": "attribute"},
}


def ordered(total: float) -> object:
    return track("Order Completed", {"total": total})


def test_orders_for_each_visit() -> None:
    ratio = {"kind": "ratio", "of": "orders", "per": "visits"}
    assert values_after([ordered(10), page(), page(), page(), page()], **SHOP, it=ratio)["it"] == 0.25


@pytest.mark.parametrize(("default", "expected"), [({}, 0.0), ({"default": -1}, -1.0)])
def test_a_ratio_without_a_divisor_is_its_default(default: dict[str, int], expected: float) -> None:
    ratio = {"kind": "ratio", "of": "orders", "per": "visits", **default}
    assert values_after([ordered(10)], **SHOP, it=ratio)["it"] == expected
    assert values_after([], **SHOP, it=ratio)["it"] == expected


def test_a_ratio_by_next_to_nothing_is_its_default_and_not_infinite() -> None:
    ratio = {"kind": "ratio", "of": "spend", "per": "tiny", "default": 7}
    tiny = {"kind": "sum", "event": "Tiny", "property": "amount"}
    events = [ordered(1e90), track("Tiny", {"amount": 5e-324})]
    assert values_after(events, **SHOP, tiny=tiny, it=ratio)["it"] == 7.0


def test_rules_give_text_numbers_and_conditions() -> None:
    rules = {
        "is_big": {"kind": "rule", "rule": "profile.spend >= 100.0"},
        "tier": {"kind": "rule", "rule": 'profile.is_big ? "gold" : "none"', "type": "string", "default": "none"},
        "points": {"kind": "rule", "rule": "profile.orders * 10", "type": "integer"},
        "net": {"kind": "rule", "rule": "profile.spend / 1.2", "type": "number"},
        "whole": {"kind": "rule", "rule": "profile.orders", "type": "number"},
        "has_city": {"kind": "rule", "rule": 'profile.city != "" // said so'},
    }
    values = values_after([ordered(90), ordered(30), identify({"city": "Rome"})], **SHOP, **rules)
    assert {name: values[name] for name in rules} == {
        "is_big": True, "tier": "gold", "points": 20, "net": 100.0, "whole": 2.0, "has_city": True,
    }  # fmt: skip


def test_a_rule_may_read_one_that_is_declared_after_it() -> None:
    rules = {
        "a": {"kind": "rule", "rule": "profile.b && profile.z"},
        "b": {"kind": "rule", "rule": "profile.c"},
        "c": {"kind": "rule", "rule": "profile.orders > 0"},
        "z": {"kind": "rule", "rule": "profile.c"},
    }
    assert values_after([ordered(1)], **SHOP, **rules)["a"] is True


def test_a_rule_that_fails_gives_its_default_and_the_others_their_values() -> None:
    rules = {
        "fails": {"kind": "rule", "rule": "10 / profile.visits", "type": "integer", "default": -1},
        "infinite": {"kind": "rule", "rule": "1.0 / profile.spend", "type": "number", "default": 3},
        "unlike": {"kind": "rule", "rule": 'profile.colours["red"] > 1.0', "default": True},
        "works": {"kind": "rule", "rule": "profile.visits == 0", "default": True},
        "follows": {"kind": "rule", "rule": "profile.fails + 1", "type": "integer"},
    }
    values = values_after([identify({"city": "Rome"})], **SHOP, **rules)
    assert [values[name] for name in rules] == [-1, 3.0, True, True, 0]


def test_a_rule_becomes_true_as_time_passes() -> None:
    at_risk = {"kind": "rule", "rule": "profile.since_visit >= 14 && profile.visits > 0"}
    reading = a_reading(**SHOP, at_risk=at_risk)
    profile = folded([page(at_ms=NOON_MS)], reading)
    assert "at_risk" not in values_of(profile, reading, NOON_MS + 14 * DAY_MS - 1)[0]
    assert values_of(profile, reading, NOON_MS + 14 * DAY_MS)[0]["at_risk"] is True
    assert view_of(profile, reading, NOON_MS + 13 * DAY_MS, version=1).valid_until_ms == NOON_MS + 14 * DAY_MS


def test_a_customer_is_due_when_a_trait_that_audiences_read_may_change_and_not_when_another_may() -> None:
    audiences = {"lapsed": Audience(rule="profile.since_visit >= 14")}
    lately = {"kind": "count", "event": "page", "window": "1h"}
    reading = reading_of(Catalog(traits=a_reading(**SHOP, lately=lately).traits, audiences=audiences))
    profile = folded([page("", {"color": "red"}, at_ms=NOON_MS)], reading)
    evaluated = evaluate(profile, reading, NOON_MS)
    assert evaluated.due_ms == NOON_MS + DAY_MS
    assert NOON_MS < evaluated.until_ms < evaluated.due_ms, "the affinity fades, and the window rolls, before"
    assert evaluated.traits.colours == {"red": 1.0}


def test_long_texts_are_cut_so_that_rules_cannot_double_them_for_ever() -> None:
    doubling = {
        f"text_{number:02}": {
            "kind": "rule",
            "rule": f"profile.text_{number - 1:02} + profile.text_{number - 1:02}",
            "type": "string",
        }
        for number in range(1, 60)
    }
    first = {"kind": "attribute", "attribute": "city"}
    values = values_after([identify({"city": "Rome"})], text_00=first, **doubling)
    assert values["text_02"] == "RomeRomeRomeRome"
    assert len(values["text_59"]) == 256


def test_more_rules_than_one_list_holds() -> None:
    rules = {f"more_{number}": {"kind": "rule", "rule": f"profile.orders > {number}"} for number in range(250)}
    values = values_after([ordered(1)] * 120, **SHOP, **rules)
    assert [values[f"more_{number}"] for number in (0, 99, 100, 119, 120, 249)] == [
        True,
        True,
        True,
        True,
        False,
        False,
    ]


def test_the_view_of_a_customer_without_a_profile_says_what_an_empty_profile_says() -> None:
    rules = {
        "is_new": {"kind": "rule", "rule": "profile.orders == 0", "default": True},
        "is_gone": {"kind": "rule", "rule": "profile.since_visit > 90", "default": True},
    }
    reading = a_reading(**SHOP, **rules)
    assert view_of(profile_pb2.Profile(), reading, NOON_MS, version=1).traits == b""
    assert (reading.schema.traits().is_new, reading.schema.traits().is_gone) == (True, True)


def test_rules_do_not_shorten_the_life_of_a_view() -> None:
    assert expiry_after({"kind": "rule", "rule": "1 > 0", "default": True}, [page()]) == 0
