from __future__ import annotations

import pytest
from tests.support.catalogs import HEAD, large

from wayline.catalog import references, rule_checks
from wayline.catalog.check import check
from wayline.catalog.load import load_text
from wayline.catalog.model import MAX_ACTIONS, Catalog
from wayline.catalog.problems import CatalogInvalid
from wayline.catalog.rule_checks import expressions


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
