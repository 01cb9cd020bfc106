from __future__ import annotations

import pytest
from tests.support.catalogs import HEAD, large

from wayline.catalog import references, rule_checks
from wayline.catalog.check import check
from wayline.catalog.load import load_text
from wayline.catalog.model import MAX_ACTIONS, Catalog
from wayline.catalog.problems import CatalogInvalid
from wayline.catalog.rule_checks import CONDITION, expressions


def messages(text: str) -> list[str]:
    with pytest.raises(CatalogInvalid) as caught:
        load_text(text)
    return [problem.message for problem in caught.value.problems]


def test_an_empty_catalogue_has_nothing_wrong():
    assert check(Catalog()) == []


def test_ten_thousand_actions_are_read_and_checked():
    catalog = load_text(large(MAX_ACTIONS))

    assert sum(1 for _ in catalog.actions()) == MAX_ACTIONS


def test_ten_thousand_and_one_actions_are_refused():
    assert messages(large(MAX_ACTIONS + 1)) == ["expected at most 10000 actions, got 10001"]


def test_more_than_fifty_thousand_treatments_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(references, "MAX_TREATMENTS", 50)

    assert messages(large(6, treatments=9)) == ["expected at most 50 treatments, got 54"]


def test_two_thousand_different_rules_are_enough(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rule_checks, "MAX_DISTINCT_RULES", 20)

    load_text(large(100, rules=19))  # and the context weight that all share
    assert messages(large(100, rules=20)) == ["this is the 21th different rule; at most 20"]


def test_each_action_with_a_broken_rule_is_named_though_the_rule_is_compiled_once():
    text = large(3, rules=1).replace("profile.spend >= 0.0", "profile.spend >= 0")

    assert len(messages(text)) == 3


def test_a_broken_rule_is_quoted_with_its_column():
    (message,) = messages(large(1).replace("profile.spend >= 0.0", "profile.spend >= 0"))

    assert message.endswith("(in 'profile.spend >= 0' at column 15)")


@pytest.mark.parametrize("level", ["  - id: sales", "      - id: all"])
def test_context_weights_of_every_level_are_checked(level: str):
    text = large(1)
    assert level in text
    broken = text.replace(level, f"{level}\n{' ' * level.index('id')}context_weight: profile.spend > 1.0", 1)
    (message,) = messages(broken)

    assert "number" in message


def test_rules_of_every_level_are_checked():
    text = large(1).replace("  - id: sales", "  - id: sales\n    suitability: profile.issue")
    text = text.replace("      - id: all", "      - id: all\n        applicability: profile.group")
    text = text.replace("t0,", "t0, eligibility: profile.treatment,")

    assert [message.split("'")[1] for message in messages(text)] == ["issue", "group", "treatment"]


def test_a_name_is_wrong_for_every_rule_that_a_newcomer_cannot_answer():
    rule = 'profile.colours["red"] > 1.0'
    guarded = '"red" in profile.colours && profile.colours["red"] > 1.0'
    text = large(1).replace("profile.spend >= 0.0", rule)

    assert "of which nothing is known" in messages(text)[0]
    load_text(large(1).replace("profile.spend >= 0.0", f"'{guarded}'"))


@pytest.mark.parametrize("rule", ['context.hour > 3 && "a".matches("[")', 'now.getHours("Europe/Pari") > 3'])
def test_a_bad_pattern_or_time_zone_is_found_before_it_serves(rule: str):
    text = large(1).replace("profile.spend >= 0.0", f"'{rule.replace('context.hour > 3 && ', '')}'")

    assert "invalid" in messages(text)[0].lower()


def test_a_declaration_that_cannot_become_a_field_is_named():
    text = HEAD.replace("hour: {type: integer}", "hour: {type: integer, default: noon}")

    assert messages(text) == ["expected a integer, got 'noon'"]


def test_expressions_come_with_their_place_and_the_type_that_they_may_give():
    found = list(expressions(load_text(large(1))))

    at = ("issues", 0, "groups", 0, "actions", 0)
    assert found == [
        ((*at, "eligibility", 0, "rule"), "profile.spend >= 0.0", ("BOOL",)),
        ((*at, "context_weight"), '1.0 + profile.colours[?"red"].orValue(0.0)', ("DOUBLE", "INT")),
    ]


def with_facts(text: str, attributes: str) -> str:
    """Gives every action attributes; {0} is the action's number."""
    for number in range(text.count("- id: action-")):
        own = attributes.format(number)
        text = text.replace(
            f"- id: action-{number}\n", f"- id: action-{number}\n            attributes: {{{own}}}\n", 1
        )
    return text


def inherited(text: str, rule: str) -> str:
    return text.replace("  - id: sales\n", f"  - id: sales\n    suitability: '{rule}'\n")


def test_a_rule_on_facts_is_compiled_once_for_all_actions_with_the_same_facts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rule_checks, "MAX_DISTINCT_RULES", 4)

    text = with_facts(large(100, rules=1), "season: winter")
    load_text(inherited(text, 'action.season == "winter" && action.issue == "sales"'))


def test_a_rule_on_the_id_of_each_of_ten_thousand_actions_is_refused_with_the_cause():
    (message,) = messages(inherited(large(MAX_ACTIONS), 'action.id != "action-1"'))

    assert message.startswith("this is the 2,001th different rule")
    assert message.endswith("a rule on facts about actions is a different one for each of their values")


def test_actions_that_lack_a_fact_are_counted_and_the_first_is_named():
    (message,) = messages(inherited(large(1_000), "action.margin > 1.0"))

    assert message.startswith("for the action 'action-0' and 999 more: 'action-0' has no fact 'margin'")


def test_a_fact_of_another_type_is_shown_with_its_value():
    text = with_facts(large(3), "margin: {0}.5").replace("margin: 1.5", "margin: 1")

    (message,) = messages(inherited(text, "action.margin > 1.0"))

    assert message.startswith("for the action 'action-1': a number with decimals and a whole number")
    assert message.endswith("(in 'action.margin > 1.0', where action.margin is 1)")


def test_a_rule_on_facts_at_the_action_itself_does_not_name_it_twice():
    text = large(1).replace("profile.spend >= 0.0", "profile.spend >= action.margin")

    assert messages(text)[0].startswith("'action-0' has no fact 'margin'")


def test_weights_and_forces_and_treatments_read_facts_too():
    text = with_facts(large(2, rules=1), "margin: {0}.5, hero: true")
    text = text.replace("context_weight: 1.0 +", "force: action.hero\n            context_weight: action.margin +")
    text = text.replace("{id: t0,", "{id: t0, eligibility: action.margin >= 0.0,")

    found = [text for _, text, _ in expressions(load_text(text))]

    assert sum("action." in text for text in found) == 6


def test_a_rule_on_facts_where_there_is_no_action_yet_is_fine():
    load_text(HEAD + "issues:\n  - {id: sales, eligibility: action.margin > 1.0, groups: [{id: all}]}\n")


def test_a_condition_to_force_an_action_is_an_expression_like_rules():
    catalog = load_text(large(1).replace("context_weight", "force: profile.spend > 1.0\n            context_weight"))

    assert ((("issues", 0, "groups", 0, "actions", 0), "force"), CONDITION) in [
        ((path[:-1], path[-1]), expected) for path, _, expected in expressions(catalog)
    ]


def test_caps_of_every_level_name_channels_that_are_there():
    cap = "contact: {caps: {limit: 1, period: day, channels: [fax]}}"
    text = large(1).replace("issues:\n", f"{cap}\nissues:\n").replace("  - id: sales", f"  - id: sales\n    {cap}")
    text = text.replace("      - id: all", f"      - id: all\n        {cap}")
    text = text.replace("context_weight", f"{cap}\n            context_weight")

    assert messages(text) == ["there is no channel 'fax' (there are: web)"] * 4


def test_a_variant_is_limited_like_the_content_itself():
    large_text = "x" * (64 << 10)
    text = large(1).replace("content: {a: 1}", f"variants: {{de: {{a: {large_text}}}}}")

    assert messages(text) == ["expected content of at most 64 KiB as JSON, got 64 KiB"]


def test_a_bundle_that_fits_its_groups_and_exclusions_is_fine():
    text = large(3).replace("      - id: all", "      - id: all\n        most: 2")

    load_text(
        text + "arbitration:\n  bundles: [{id: two, actions: [action-0, action-1]}]\n"
        "  exclusions: [{id: one, actions: [action-1, action-2]}]\n"
    )


def test_a_broken_formula_does_not_hide_broken_rules():
    text = large(1).replace("profile.spend >= 0.0", "profile.spend >= 0") + "arbitration: {formula: value * 2}\n"

    assert len(messages(text)) == 2


def test_wrong_declarations_are_all_named_at_once():
    text = with_facts(large(1), "id: x, margin: .inf") + "personalise_only: [web.here]\n"

    assert len(messages(text)) == 3
