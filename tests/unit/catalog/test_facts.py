from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.catalogs import HEAD

from wayline.catalog.facts import BUILT_IN, for_action, mentioned, mentions_action
from wayline.catalog.load import load_text
from wayline.catalog.model import Action, Group, Issue, Treatment
from wayline.catalog.rules import RuleCompiler, RuleError
from wayline.catalog.schema import build_schema

SCHEMA = build_schema(load_text(HEAD))
COMPILER = RuleCompiler(SCHEMA)
ISSUE = Issue(id="sales", lever=2.0)
GROUP = Group(id="boots", lever=1.5)


def action(**attributes: str | bool | int | float) -> Action:
    treatments = (Treatment(id="a", placements=("web.hero",)),)
    return Action(id="warm-boots", value=12.0, lever=2.0, attributes=attributes, treatments=treatments)


def specialised(text: str, **attributes: str | bool | int | float) -> str:
    return for_action(text, ISSUE, GROUP, action(**attributes))


def answer(text: str) -> object:
    compiled = COMPILER.compile(text, ("BOOL", "DOUBLE", "INT", "STRING"))
    return compiled.eval(COMPILER.activation(SCHEMA.traits(), SCHEMA.context(), None)).value()


@pytest.mark.parametrize(
    ("rule", "becomes"),
    [
        ('action.season == "winter"', '"winter" == "winter"'),
        ("profile.spend > action.margin", "profile.spend > 2.5"),
        ("action.pairs > 3", "12 > 3"),
        ("action.returns > 3", "(-4) > 3"),
        ("!action.limited", "!true"),
        ('action.id == "x" || action.issue == "y"', '"warm-boots" == "x" || "sales" == "y"'),
        ("action.group in profile.colours", '"boots" in profile.colours'),
        ("action.value > 3.0", "12.0 > 3.0"),
        ("action . season\n== profile.x", '"winter"\n== profile.x'),
    ],
)
def test_a_rule_holds_the_facts_of_the_action(rule: str, becomes: str):
    assert mentions_action(rule)
    assert specialised(rule, season="winter", margin=2.5, pairs=12, returns=-4, limited=True) == becomes


def test_the_lever_is_the_one_with_which_the_action_competes():
    assert specialised("action.lever") == "6.0"


@pytest.mark.parametrize(
    "rule",
    [
        "profile.spend > 3.0",
        'context.device == "action.season"',
        "context.device == 'action.season'",
        'context.device == r"\\" || context.device == "action.season"',
        'context.device == "say \\"action.season\\""',
        'context.device == """a "quoted" action.season"""',
        "profile.spend > 3.0 // as action.season says",
        "profile.action.season == 1",
        "profile . action . season == 1",
        "reaction.season == 1",
        "action == 1",
    ],
)
def test_text_and_comments_and_other_names_stay_as_they_are(rule: str):
    assert not mentions_action(rule)
    assert specialised(rule, season="winter") == rule


def test_a_fact_after_raw_text_that_ends_with_a_backslash_is_read():
    assert specialised('r"\\" + action.season', season="winter") == 'r"\\" + "winter"'


def test_a_fact_that_an_action_does_not_have_is_named_with_the_action():
    with pytest.raises(RuleError, match="no fact 'seasn'; did you mean 'season'"):
        specialised('action.seasn == "winter"', season="winter")
    with pytest.raises(
        RuleError, match=r"'warm-boots' has no fact 'colour'; give it under attributes \(there are: a, b\)"
    ):
        specialised('action.colour == "red"', b=1, a=2)


def test_actions_with_the_same_facts_share_a_condition():
    other = action(season="winter").model_copy(update={"id": "fur-boots"})

    assert for_action("action.season == profile.x", ISSUE, GROUP, other) == specialised(
        "action.season == profile.x", season="winter"
    )


def test_the_facts_of_a_rule_are_listed_once():
    assert mentioned("action.a > 1 && action.b > 1 && action.a < 9") == ("a", "b")


def test_every_action_has_the_same_facts_beside_its_own():
    for name in BUILT_IN:
        assert specialised(f"action.{name}") != f"action.{name}"


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
)
def test_cel_reads_a_fact_as_it_was_declared(value: str | bool | int | float):
    found = answer(specialised("action.fact", fact=value))

    assert found == value
    assert isinstance(found, type(value))


@given(st.integers(-100, 100), st.floats(-100, 100))
def test_a_number_below_zero_can_be_taken_away(whole: int, decimal: float):
    assert answer(specialised("1 - action.fact", fact=whole)) == 1 - whole
    assert answer(specialised("1.0 -action.fact", fact=decimal)) == 1.0 - decimal
