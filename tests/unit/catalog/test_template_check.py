from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.content import NOW, SCHEMA

from wayline.catalog.load import load_text
from wayline.catalog.sandbox import ENVIRONMENT, MAX_NESTING, MAX_TEMPLATE_CHARACTERS, TAGS
from wayline.catalog.schema import build_schema
from wayline.catalog.template_check import problems, treatment_problems
from wayline.catalog.templates import compile_content

_GUIDE = Path(__file__).parents[3] / "docs" / "content.md"
_SHOP = """\
channels: {{web: {{}}}}
placements: {{web.hero: {{channel: web}}}}
traits:
{traits}
  orders: {{kind: count, event: Order Completed}}
  colour_affinity: {{kind: affinity, event: Product Viewed, property: color, half_life: 7d}}
issues:
  - id: sales
    groups:
      - id: all
        actions:
          - id: shoes
{treatments}
"""

_PIECES = [
    *(
        "{{",
        "}}",
        "{%",
        "%}",
        "{%-",
        "-}}",
        " | ",
        "[",
        "]",
        "[0]",
        "'",
        '"',
        "'a'",
        "1",
        "0.5",
        "(1..3)",
        "==",
        ">",
        ", ",
    ),
    *(
        "if ",
        "endif",
        "for i in ",
        "endfor",
        "case ",
        "when ",
        "assign x = ",
        "capture y",
        "endcapture",
        "raw",
        "endraw",
    ),
    *("cycle ", "comment", "endcomment", "else", "elsif ", "break", " limit: ", "reversed", "and ", "or ", "contains"),
    *(
        "profile",
        ".colours",
        ".orders",
        ".city",
        ".first",
        "context",
        "now",
        "forloop",
        ".index",
        "(1..profile.orders)",
    ),
    *("default: ", "date: ", "join: ", "split: ", "times: ", "round", "slice: ", "truncate: ", "replace: ", "size"),
    *("empty", "nil", "true", "i", "x", " ", "\n"),
]


def said(template: str) -> list[str]:
    return [message for _, message in problems({"text": template}, SCHEMA)]


@pytest.mark.parametrize(
    "template",
    [
        "Hi {{ profile.first_name | default: 'there' }}",
        "{{ profile['city'] }} {{ profile.city.size }} {{ context.device | upcase }} {{ now | date: '%d.%m.%Y' }}",
        "{% if profile.newsletter and profile.orders > 0 %}a{% elsif profile.city != '' %}b{% else %}c{% endif %}",
        "{% unless profile.newsletter %}a{% endunless %}",
        "{% case profile.city %}{% when 'Vienna', 'Graz' %}a{% else %}b{% endcase %}",
        "{% for c in profile.colours limit: 3 %}{{ forloop.index }}. {{ c[0] }} {{ c[1] }}{% endfor %}",
        "{% for i in (1..3) %}{% if i == 2 %}{% break %}{% endif %}{% cycle 'a', 'b' %}{% endfor %}",
        "{{ profile.colours.red }} {{ profile.colours[context.device] }} {{ profile.colours.first[0] }}",
        "{% if profile.colours.first %}a{% endif %}",
        "{% assign n = profile.orders | plus: 1 %}{{ n }}{% capture c %}x{% endcapture %}{{ c }}",
        "{%- comment -%} anything {{ nope }} {%- endcomment -%}{% # a note %}{% raw %}{{ nope }}{% endraw %}",
        "{{ profile.city | truncate: 10, '' | escape }}",
        "{% if profile.city == blank %}a{% endif %}",
        "}} and %} alone are text {{ 'x' }}",
    ],
)
def test_a_good_template_has_no_problems(template: str):
    assert said(template) == []
    content = compile_content({"text": template}, {}, SCHEMA)
    assert content is not None
    content.render(SCHEMA.traits(first_name="Ada", colours={"red": 1.0}), SCHEMA.context(), NOW)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ profile.frist_name }}", "there is no trait 'frist_name'; did you mean 'first_name'?"),
        ("{{ context.devise }}", "there is no context field 'devise'; did you mean 'device'?"),
        ("{{ city }}", "there is no 'city'; did you mean 'profile.city'?"),
        ("{{ profle.city }}", "there is no 'profle'; did you mean 'profile'?"),
        ("{{ action.margin }}", "there is no 'action'; content knows profile, context and now"),
        ("{{ today }}", "there is no 'today'; content knows profile, context and now"),
        ("{{ profile }}", "'profile' has to be followed by a name, as in profile.first_name"),
        ("{{ profile[context.device] }}", "the name behind 'profile' has to be written out, as in profile.first_name"),
        ("{{ [profile.city] }}", "the name of a variable has to be written out, as in profile.NAME"),
        ("{{ profile.city.name }}", "profile.city is text and has no parts of that name"),
        ("{{ now.year }}", "write now | date: '%d.%m.%Y'"),
        ("{{ forloop.index }}", "'forloop' is there within {% for %} only"),
        ("{% assign profile = 1 %}", "'profile' is there already; choose another name"),
        ("{% for context in (1..3) %}{% endfor %}", "'context' is there already; choose another name"),
    ],
)
def test_an_unknown_trait_is_refused_with_a_suggestion(template: str, message: str):
    assert said(template) == [message]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ 'x' | appned: 'y' }}", "there is no filter 'appned'; did you mean 'append'?"),
        ("{{ profile.city | append }}", "the filter 'append' is given too many values, or too few"),
        ("{{ profile.city | upcase: 1 }}", "the filter 'upcase' is given too many values, or too few"),
        ("{{ now | date: '%Y', context: 1 }}", "the filter 'date' is given too many values, or too few"),
        ("{% iff true %}x{% endif %}", "there is no tag 'iff'; did you mean 'if'?"),
        ("{% include 'footer' %}", "'{% include %}' is not available in content"),
        ("{% render 'footer' %}", "'{% render %}' is not available in content"),
        ("{% doc %}x{% enddoc %}", "'{% doc %}' is not available in content"),
    ],
)
def test_an_unknown_filter_or_tag_is_refused(template: str, message: str):
    assert said(template) == [message]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("Hi {{ profile.city", "'{{' is not closed by '}}'"),
        ("Hi {{ profile.city }", "'{{' is not closed by '}}'"),
        ("Hi {% if true", "'{%' is not closed by '%}', or nothing is between them"),
        ("{{ }}", "something is missing at the end of an expression"),
        ("{{ profile.city | }}", "something is missing at the end of an expression"),
        ("{% if %}x{% endif %}", "something is missing at the end of an expression"),
        ("{{ 'x }}", "a quote that is opened here is not closed"),
        ("{{ “x” }}", "'“' is not expected here; use straight quotes: \"...\""),
        ("{{ profile.orders %}", "'{{' is not closed by '}}'"),
        ("{{ 7 % 3 }}", "'%' is not expected here; close with '}}', or write {{ a | modulo: b }}"),
        ("{{ profile.city '' }}", "an expression cannot be read"),
        ("{{ profile.orders + 1 }}", "'+' is not expected here; write {{ a | plus: b }}"),
        ("{% if profile.orders = 1 %}x{% endif %}", "'=' is not expected here; compare with =="),
        ("{% if true && true %}x{% endif %}", "'&' is not expected here; write 'and' for &&"),
        ("{% if true || true %}x{% endif %}", "'||' is not expected here; write 'or' for ||"),
        ("{% for i in profile.colours limit=3 %}{% endfor %}", "'=' is not expected here; write a colon"),
        ("{{ profile.city city }}", "'city' is not expected here"),
        ("{% if true %}x", "'{% if %}' is not closed by '{% endif %}'"),
        ("{% case 1 %}{% when 1 %}x", "'{% case %}' is not closed by '{% endcase %}'"),
        ("{% comment %}x", "'{% comment %}' is not closed by '{% endcomment %}'"),
        ("{% raw %}x", "'{% raw %}' is not closed by '{% endraw %}'"),
        ("x{% endif %}", "'{% endif %}' closes nothing that is open here, or an end before it is missing"),
        ("{% else %}", "'{% else %}' belongs within {% if %}, {% unless %}, {% case %} or {% for %}"),
        ("{% break %}", "'{% break %}' belongs within {% for %}"),
        ("{% if true %}{% continue %}{% endif %}", "'{% continue %}' belongs within {% for %}"),
        ("{{ (1..3) | join }}", "a range such as (1..3) is only for loops: {% for i in (1..3) %}"),
        (
            "{% if (1..9999999999) contains 'x' %}{% endif %}",
            "a range such as (1..9999999999) is only for loops: {% for i in (1..9999999999) %}",
        ),
    ],
)
def test_what_is_no_liquid_is_refused_in_words(template: str, message: str):
    assert said(template) == [message]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% if profile.city %}x{% endif %}", 'profile.city is text, which always holds; write profile.city != ""'),
        (
            "{% if profile.newsletter and profile.orders %}x{% endif %}",
            "profile.orders is a number, which always holds; write profile.orders > 0",
        ),
        (
            "{% unless profile.colours.red %}x{% endunless %}",
            "profile.colours.red is a number, which always holds; write profile.colours.red > 0",
        ),
        (
            "{% if profile.colours %}x{% endif %}",
            "profile.colours is an affinity, which always holds; write profile.colours.size > 0",
        ),
    ],
)
def test_a_condition_that_holds_for_everybody_is_refused(template: str, message: str):
    assert said(template) == [message]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ 100 | divided_by: profile.orders }}", "division by zero; ask first whether the divisor is greater than 0"),
        ("{% if profile.city > 3 %}{% endif %}", "values of different kinds are compared"),
        ("{% for i in (1..5000) %}{% endfor %}", "its loops take more than 1,000 turns"),
    ],
)
def test_a_template_that_fails_for_a_stranger_is_refused(template: str, message: str):
    assert said(template) == [f"fails for a customer and a request of which nothing is known: {message}"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "x" * (MAX_TEMPLATE_CHARACTERS - 4) + "{{ 1 }}",
            "expected a template of at most 20,000 characters, got 20,003",
        ),
        ("{% if true %}" * 21 + "{% endif %}" * 21, "blocks are nested deeper than 20"),
        (
            "{% if true" + " or true" * 2_000 + " %}x{% endif %}",
            "this cannot be read; an expression is too long or nested too deeply",
        ),
        (
            "{% if true" + " or true" * 60 + " %}x{% endif %}",
            "expected at most 50 conditions or brackets in one expression",
        ),
        (
            "{{ profile.colours" + "[" * 60 + "now" + "]" * 60 + " }}",
            "expected at most 50 conditions or brackets in one expression",
        ),
        ("{{" + " " * 19_000 + "}}", "too many blanks after an opening"),
    ],
)
def test_a_template_beyond_the_limits_is_refused(template: str, message: str):
    assert said(template) == [message]


def test_a_template_at_the_limits_is_taken():
    assert said("{% if true %}" * MAX_NESTING + "x" + "{% endif %}" * MAX_NESTING) == []
    assert said("{{ 1 }}" + "x" * (MAX_TEMPLATE_CHARACTERS - 7)) == []


def test_every_problem_is_named_with_its_place_and_line():
    content = {
        "title": "fine",
        "tiles": [{"text": "one\n{{ profile.nope }} {{ 1 | nope }}\n{{ nope }}"}],
        "link": "/x?c={{ profile.city",
    }

    assert [(path, message.split(" (there are")[0]) for path, message in problems(content, SCHEMA)] == [
        (("tiles", 0, "text"), "there is no filter 'nope'"),
        (("tiles", 0, "text"), "there is no trait 'nope'"),
        (("tiles", 0, "text"), "there is no 'nope'; content knows profile, context and now (line 3)"),
        (("link",), "'{{' is not closed by '}}'"),
    ]
    assert all(message.endswith("(line 2)") for _, message in list(problems(content, SCHEMA))[:2])


def test_without_a_schema_names_are_not_checked():
    assert list(problems({"text": "{{ profile.nope }}"})) == []
    assert [message for _, message in problems({"text": "{{ profile.nope | nope }}"})] != []


def test_variants_are_checked_as_the_content_is():
    found = treatment_problems(
        {"title": "{{ nope }}"}, {"de": {"title": "{{ nein }}"}, "de-AT": {}, "de-at": {"title": "Servus"}}, SCHEMA
    )

    assert [(path, message.partition(";")[0]) for path, message in found] == [
        (("content", "title"), "there is no 'nope'"),
        (("variants", "de", "title"), "there is no 'nein'"),
        (("variants", "de-at"), "'de-at' and 'de-AT' are the same locale"),
    ]


def test_the_guide_lists_exactly_the_filters_and_tags_that_there_are():
    guide = _GUIDE.read_text()
    tags = guide[guide.index("**Tags**") : guide.index("**Filters**")]
    filters = guide[guide.index("**Filters**") : guide.index("There are no")]

    helpers = {"limit", "offset", "reversed", "forloop", "raw"}
    assert set(re.findall(r"`([^`]+)`", tags)) - helpers == set(TAGS)
    assert sorted(re.findall(r"`([^`]+)`", filters)) == sorted(ENVIRONMENT.filters)


def test_the_examples_of_the_guide_have_no_problems():
    content, *liquid = re.findall(r"```(?:yaml|liquid)\n(.*?)```", _GUIDE.read_text(), re.DOTALL)
    declared = "\n".join(f"  {name}: {{kind: attribute}}" for name in ("first_name", "city", "favourite_colour"))
    catalog = load_text(_SHOP.format(traits=declared, treatments=indent(content, " " * 12)))
    ((_, _, action),) = catalog.actions()
    (treatment,) = action.treatments

    assert list(treatment_problems(treatment.content, treatment.variants, build_schema(catalog))) == []
    assert [message for text in liquid for _, message in problems({"text": text}, build_schema(catalog))] == []


@given(written=st.lists(st.sampled_from(_PIECES) | st.text(max_size=3), max_size=14).map("".join))
def test_whatever_is_written_is_refused_in_words_or_works_for_a_stranger(written: str):
    content = {"text": written}
    if list(problems(content, SCHEMA)) == []:
        made = compile_content(content, {}, SCHEMA)
        if made is not None:
            made.render(SCHEMA.traits(), SCHEMA.context(), NOW)
