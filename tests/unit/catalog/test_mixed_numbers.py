"""Numbers with decimals and whole numbers: whoever mixes them is told the rule as it would compile."""

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


def correction(rule: str) -> str:
    with pytest.raises(RuleError) as caught:
        COMPILER.compile(rule, ANY)
    return str(caught.value).partition("; try: ")[2]


@pytest.mark.parametrize(
    ("rule", "corrected"),
    [
        ("profile.spend > 100", "profile.spend > 100.0"),
        ("100 < profile.spend", "100.0 < profile.spend"),
        ("profile.orders > 2.0", "profile.orders > 2"),
        ("profile.orders > 2.5", "double(profile.orders) > 2.5"),
        ("profile.spend > profile.orders", "profile.spend > double(profile.orders)"),
        ("profile.spend / profile.orders > 50", "profile.spend / double(profile.orders) > 50.0"),
        ("profile.orders > 2 && profile.spend > 100", "profile.orders > 2 && profile.spend > 100.0"),
        ('profile.spend > 100 && context.device == "size 5"', 'profile.spend > 100.0 && context.device == "size 5"'),
        ('profile.colours[?"red"].orValue(0) > 1.0', 'profile.colours[?"red"].orValue(0.0) > 1.0'),
        ("profile.orders > 1 ? 1 : 2.0", "profile.orders > 1 ? 1.0 : 2.0"),
        ("profile.orders > 1\n && profile.spend > 100", "profile.orders > 1\n && profile.spend > 100.0"),
    ],
)
def test_mixed_numbers_come_with_the_correction(rule: str, corrected: str):
    assert correction(rule) == corrected
    COMPILER.compile(corrected, ANY)


@given(st.integers(0, 10**6), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.booleans())
def test_the_correction_of_any_comparison_compiles(number: int, operator: str, number_first: bool):
    sides = [str(number), "profile.spend"] if number_first else ["profile.spend", str(number)]

    COMPILER.compile(correction(f" {operator} ".join(sides)), ANY)
