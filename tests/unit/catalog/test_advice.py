from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.catalogs import HEAD

from wayline.catalog.load import load_text
from wayline.catalog.rules import RuleCompiler, RuleError
from wayline.catalog.schema import build_schema

COMPILER = RuleCompiler(build_schema(load_text(HEAD + "  device: {}\n")))
ANY = ("BOOL", "DOUBLE", "INT")


def advice(rule: str) -> str:
    with pytest.raises(RuleError) as caught:
        COMPILER.compile(rule, ANY)
    return str(caught.value)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("profile.order > 1", "'order' is not declared under traits; did you mean 'orders'?"),
        ("context.zone > 1", "'zone' is not declared under context (declared: device, hour)"),
        ("orders > 1", "did you mean 'profile.orders'?"),
        ("traits.orders > 1", "did you mean 'profile.orders'?"),
        ("context.device == mobile", "'mobile' is not known here; text needs quotes: \"mobile\""),
        ("profil.x > 1", "'profil' is not known here; did you mean 'profile'?"),
        ("user.x > 1", "rules know profile, context and now"),
        ('context.device.startswith("m")', "there is no function 'startswith'; did you mean 'startsWith'?"),
        ("profile.orders > 1 and true", "write && for 'and'"),
        ("profile.orders > 1 or true", "write || for 'or'"),
        ("not true", "write ! for 'not'"),
        ("profile.orders = 1", "compare with =="),
        ("profile.orders <> 1", "write !="),
        ("context.device == “mobile”", "straight quotes"),
        ('context.device == "mobile', "a quote that is opened here is not closed"),
        ("profile.orders >", "the rule ends too early"),
        ("profile.spend > 1,000.0", "a comma is not expected here"),
        ("profile.orders == True", "write true in small letters"),
        ("if true then false", "condition ? one : other"),
        ("context.device == null", "what is missing is its default"),
        ("context.device == 1", "'==' does not work with text and a whole number"),
        ("profile.colours > 1.0", "ask an affinity for one value"),
        ('profile.colours[?"red"] > 1.0', "add .orValue(0.0)"),
        ('profile["orders"] > 1', "with a dot, not with brackets"),
        ('now > "2026-01-01"', 'timestamp("2026-01-31T00:00:00Z")'),
        ('context.device in "mobile"', "write a list"),
        ("(" * 40 + "true" + ")" * 40, "nested too deeply"),
        ("!" + "(!" * 40 + "true" + ")" * 40, "nested too deeply"),
        ("  ", "the rule is empty"),
        ("profile", "this one gives the whole profile"),
        ("x" * 300, "is not known here"),
    ],
)
def test_common_mistakes_are_answered_in_words(rule: str, words: str):
    found = advice(rule)

    assert words in found
    assert len(found) < 300


def test_a_mistake_on_the_second_line_is_placed_there():
    with pytest.raises(RuleError) as caught:
        COMPILER.compile("profile.orders > 1 &&\n  profile.nothing")

    assert (caught.value.line, caught.value.column) == (2, 10)


@given(st.text(max_size=40) | st.text(alphabet="profile.orders>1&|!()[]\"' ", max_size=40))
def test_any_text_compiles_or_is_answered(rule: str):
    try:
        COMPILER.compile(rule, ANY)
        answer = "it compiles"
    except RuleError as error:
        answer = str(error)

    assert answer
