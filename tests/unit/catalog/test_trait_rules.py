"""The order of rules that read each other, and what decisions see of the new kinds."""

from __future__ import annotations

from graphlib import CycleError
from typing import Any

import pytest

from wayline.catalog.load import load_text
from wayline.catalog.model import Catalog
from wayline.catalog.rules import RuleCompiler
from wayline.catalog.schema import build_schema, default_of
from wayline.catalog.trait_rules import TraitRules, levels_of
from wayline.scoring import InputEncoder
from wayline.v1 import prediction_pb2


def rules(**texts: str) -> Any:
    traits = {name: {"kind": "rule", "rule": text} for name, text in texts.items()}
    return Catalog.model_validate({"traits": traits}).traits


def test_rules_come_in_levels_whatever_the_order_in_which_they_are_declared() -> None:
    declared = {"c": "profile.b && profile.a", "b": "profile.a", "d": "true", "a": "false"}
    assert levels_of(rules(**declared)) == levels_of(rules(**dict(reversed(declared.items())))) == [
        ["a", "d"], ["b"], ["c"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "profile.b", "profile . b", ".profile.b", "profile.?b.orValue(true)", "[profile].exists(p, p.b)",
        "profile // b is below\n  .b", "profile.`b`", "has(profile.b)", '"" == "a" || profile.b',
        'r"\\" != "" && profile.b',
    ],
)  # fmt: skip
def test_whatever_way_a_rule_reads_another_it_comes_after_it(text: str) -> None:
    assert levels_of(rules(a=text, b="true")) == [["b"], ["a"]]


@pytest.mark.parametrize(
    "text", ['"profile.b" != ""', "true // profile.b", "'''b''' != \"b\"", "profile.bb", "b(1)", r'"\" b" != ""']
)
def test_a_text_a_comment_and_a_function_are_no_traits(text: str) -> None:
    assert levels_of(rules(a=text, b="profile.a")) == [["a"], ["b"]]


def test_a_circle_has_no_order() -> None:
    with pytest.raises(CycleError):
        levels_of(rules(a="profile.b", b="profile.c", c="profile.a"))


KINDS = """
traits:
  basket: {kind: average, event: Order Completed, property: total, window: 90d}
  dearest: {kind: max, event: Order Completed, property: total}
  orders: {kind: count, event: Order Completed}
  visits: {kind: count, event: page}
  brand: {kind: most_frequent, event: Product Viewed, property: brand, default: none}
  idle: {kind: recency, event: [page, screen]}
  idle_hours: {kind: recency, event: page, unit: hours, default: -1}
  per_visit: {kind: ratio, of: orders, per: visits}
  tier: {kind: rule, type: string, default: none, rule: 'profile.orders > 9 ? "gold" : "none"'}
"""


def test_every_kind_is_a_field_with_a_type_and_a_default() -> None:
    catalog = load_text(KINDS)
    schema = build_schema(catalog)
    assert dict(schema.trait_types) == {
        "basket": "number", "dearest": "number", "orders": "integer", "visits": "integer", "brand": "string",
        "idle": "integer", "idle_hours": "integer", "per_visit": "number", "tier": "string",
    }  # fmt: skip
    stranger = schema.traits()
    assert (stranger.brand, stranger.idle, stranger.idle_hours, stranger.tier) == ("none", 36_500, -1, "none")
    assert default_of(catalog.traits["idle"]) == 36_500


def test_decisions_read_every_kind_in_their_rules() -> None:
    schema = build_schema(load_text(KINDS))
    compiler = RuleCompiler(schema)
    rule = 'profile.basket > 50.0 && profile.idle < 14 && profile.per_visit > 0.1 && profile.tier == "gold"'
    customer = schema.traits(basket=60.0, idle=3, per_visit=0.5, tier="gold")
    assert compiler.compile(rule).eval(compiler.activation(customer, schema.context(), None)).value() is True


def test_models_take_every_numeric_kind_as_an_input() -> None:
    schema = build_schema(load_text(KINDS + "  loyal: {kind: rule, rule: profile.orders > 9}"))
    names = ("basket", "dearest", "idle", "per_visit", "loyal")
    manifest = prediction_pb2.ModelManifest(inputs=[prediction_pb2.ModelInput(trait=name) for name in names])
    customer = schema.traits(basket=60.0, dearest=99.5, idle=3, per_visit=0.5, loyal=True)
    row = InputEncoder(manifest, schema, RuleCompiler(schema)).encode(customer, None, None)
    assert list(row) == [60.0, 99.5, 3.0, 0.5, 1.0]


def test_the_values_of_rules_are_set_in_the_message_and_returned() -> None:
    catalog = load_text(KINDS)
    schema = build_schema(catalog)
    customer = schema.traits(orders=12)
    assert TraitRules(catalog.traits, schema).fill(customer) == {"tier": "gold"}
    assert customer.tier == "gold"
