from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.content import NOW, SCHEMA

from wayline.catalog.template_run import MAX_OUTPUT_BYTES
from wayline.catalog.templates import Content, RenderError, compile_content, is_template

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text().filter(lambda text: not is_template(text)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
AS_TEXT = st.sampled_from(
    [
        "{{ profile.city }}",
        "{% for i in (1..9999) %}x{% endfor %}",
        "{{",
        "%}",
        "{% raw %}",
        "{% include 'x' %}",
        "\r\n",
    ]
)


def compiled(content: dict[str, Any], variants: dict[str, dict[str, Any]] | None = None) -> Content:
    made = compile_content(content, variants or {}, SCHEMA)
    assert made is not None
    return made


def rendered(content: dict[str, Any], now: datetime = NOW, locale: str = "", **traits: Any) -> dict[str, Any]:
    return compiled(content).render(SCHEMA.traits(**traits), SCHEMA.context(), now, locale)


def text(template: str, now: datetime = NOW, **traits: Any) -> str:
    return rendered({"text": template}, now, **traits)["text"]


def test_greets_by_first_name_and_there_when_it_is_not_known():
    greeting = "Hi {{ profile.first_name | default: 'there' }}"

    assert text(greeting, first_name="Ada") == "Hi Ada"
    assert text(greeting) == "Hi there"


def test_a_missing_value_is_its_declared_default():
    assert text("{{ profile.city }}, {{ profile.orders }}, {{ profile.newsletter }}") == "Vienna, 0, false"


def test_the_request_is_there_too():
    content = compiled({"text": "On your {{ context.device }}: {{ context.cart_total | decimals: 2 }}"})

    shown = content.render(SCHEMA.traits(), SCHEMA.context(cart_total=42.5), NOW)

    assert shown == {"text": "On your desktop: 42.50"}


def test_texts_anywhere_in_the_content_are_templates_and_the_rest_stays_as_it_is():
    content = {
        "title": "For {{ profile.first_name }}",
        "size": 3,
        "tiles": [{"title": "{{ profile.city }}", "image": None}, "plain", ["{{ profile.orders }}", 1.5]],
        "{{ key }}": True,
    }

    assert rendered(content, first_name="Ada", orders=2) == {
        "title": "For Ada",
        "size": 3,
        "tiles": [{"title": "Vienna", "image": None}, "plain", ["2", 1.5]],
        "{{ key }}": True,
    }
    assert content["title"] == "For {{ profile.first_name }}"


def test_content_without_templates_and_variants_needs_no_rendering():
    assert compile_content({"title": "Red is your colour", "tiles": [{"price": 12}]}, {}, SCHEMA) is None


@given(content=st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_content_without_templates_is_returned_unchanged(content: dict[str, Any]):
    assert compile_content(content, {}, SCHEMA) is None
    made = compiled({}, {"de": content})

    assert made.render(SCHEMA.traits(), SCHEMA.context(), NOW, "de") == content


@pytest.mark.parametrize(
    ("locale", "title"),
    [
        ("de-AT", "Servus"),
        ("DE-at", "Servus"),
        ("de_AT", "Servus"),
        ("de-AT-1996", "Servus"),
        ("de-CH", "Hallo"),
        ("de", "Hallo"),
        ("fr-CA", "Bonjour"),
        ("fr", "Hello"),
        ("den", "Hello"),
        ("", "Hello"),
        ("-", "Hello"),
        ("de-" * 10_000, "Hallo"),
    ],
)
def test_shows_the_text_of_the_nearest_locale(locale: str, title: str):
    content = compiled(
        {"title": "Hello"}, {"de": {"title": "Hallo"}, "de-AT": {"title": "Servus"}, "fr-CA": {"title": "Bonjour"}}
    )

    assert content.render(SCHEMA.traits(), SCHEMA.context(), NOW, locale) == {"title": title}


def test_shows_the_german_text_to_a_customer_from_austria():
    content = compiled({"title": "Hello {{ profile.first_name }}"}, {"de": {"title": "Hallo {{ profile.first_name }}"}})

    shown = content.render(SCHEMA.traits(first_name="Ada"), SCHEMA.context(), NOW, "de-AT")

    assert shown == {"title": "Hallo Ada"}


def test_a_variant_takes_the_place_of_the_whole_content():
    content = compiled({"title": "Hello", "link": "/en"}, {"de": {"title": "Hallo"}})

    assert content.render(SCHEMA.traits(), SCHEMA.context(), NOW, "de") == {"title": "Hallo"}


def test_a_text_that_is_only_an_expression_stays_a_text():
    assert rendered({"orders": "{{ profile.orders }}"}, orders=3) == {"orders": "3"}


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ profile.spend }}", "42.5"),
        ("{{ profile.spend | round }}", "42"),
        ("{{ profile.spend | decimals: 2 }}", "42.50"),
        ("{{ profile.spend | decimals: 2 | replace: '.', ',' }} €", "42,50 €"),
        ("{{ profile.orders | times: 5 }}", "15"),
        ("{{ 10 | divided_by: 4.0 }}", "2.5"),
    ],
)
def test_numbers_are_written_as_liquid_writes_them(template: str, shown: str):
    assert text(template, spend=42.5, orders=3) == shown


def test_the_favourite_colours_come_strongest_first():
    colours = {"red": 1.5, "white": 3.0, "green": 1.5}

    assert text("{% for colour in profile.colours limit: 2 %}{{ colour[0] }} {% endfor %}", colours=colours) == (
        "white green "
    )
    assert text("{{ profile.colours.first[0] }}", colours=colours) == "white"
    assert text("{{ profile.colours | first | join: ' ' }}", colours=colours) == "white 3.0"
    assert text("{{ profile.colours }} of {{ profile.colours.size }}", colours=colours) == "white, green, red of 3"


def test_a_colour_that_was_never_looked_at_weighs_nothing_and_is_not_added_to_the_profile():
    profile = SCHEMA.traits(colours={"red": 2.0})
    content = compiled({"text": "{{ profile.colours.red }} {{ profile.colours.blue }}"})

    assert content.render(profile, SCHEMA.context(), NOW) == {"text": "2.0 0.0"}
    assert dict(profile.colours) == {"red": 2.0}


def test_a_stranger_has_no_favourite_colour():
    assert text("{{ profile.colours.first[0] | default: 'all' }} shoes") == "all shoes"


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ now | date: '%d.%m.%Y %H:%M' }}", "02.03.2026 00:30"),
        ("{{ 'now' | date: '%Y' }}", "2026"),
        ("{{ '2026-07-01T10:00:00Z' | date: '%d.%m. %H:%M' }}", "01.07. 12:00"),
        ("{{ '2026-07-01' | date: '%d/%m' }}", "01/07"),
        ("{{ 0 | date: '%Y-%m-%d' }}", "1970-01-01"),
        ("{{ '10:30' | date: '%Y' }}", "10:30"),
        ("{{ 'soon' | date: '%Y' }}", "soon"),
        ("{{ profile.birthday | date: '%Y' }}", ""),
    ],
)
def test_dates_know_only_the_moment_of_the_decision_and_its_time_zone(template: str, shown: str):
    assert text(template, NOW.astimezone(ZoneInfo("Europe/Vienna"))) == shown


@given(name=st.lists(st.text() | AS_TEXT, max_size=6).map("".join))
def test_what_a_customer_writes_is_shown_as_it_is_and_never_executed(name: str):
    template = (
        "<{{ profile.first_name }}|{% assign n = profile.first_name %}{{ n }}|"
        "{% capture c %}{{ profile.first_name | append: '' }}{% endcapture %}{{ c }}>"
    )

    assert text(template, first_name=name) == f"<{name}|{name}|{name}>"


def test_html_is_escaped_only_where_the_template_says_so():
    name = "<b>Ada & Co</b>"

    assert text("{{ profile.first_name }}", first_name=name) == name
    assert text("{{ profile.first_name | escape }}", first_name=name) == "&lt;b&gt;Ada &amp; Co&lt;/b&gt;"


def test_markup_can_be_shown_as_it_is():
    assert text("{% raw %}{{ profile.city }}{% endraw %}") == "{{ profile.city }}"


@pytest.mark.parametrize(
    "loop",
    [
        "{% for i in (1..1001) %}{% endfor %}",
        "{% for i in (1..99999999999999999999) %}{% endfor %}",
        "{% for i in (1..99999999999999999999) reversed %}{% endfor %}",
        "{% for i in (1..99999999999999999999) limit: 3 %}{% endfor %}",
        "{% for i in (1..40) %}{% for j in (1..40) %}{% endfor %}{% endfor %}",
        "{% for i in (1..600) %}{% endfor %}{% for i in (1..600) %}{% endfor %}",
        "{% for i in (1..10) %}{% for j in (1..60) %}{% endfor %}{% for j in (1..60) %}{% endfor %}{% endfor %}",
        "{% for i in (1..profile.orders) %}{% endfor %}",
    ],
)
def test_a_loop_that_never_ends_is_stopped(loop: str):
    with pytest.raises(RenderError, match="text: its loops take more than 1,000 turns"):
        text(loop, orders=10**12)


def test_loops_in_several_texts_are_counted_together():
    loop = "{% for i in (1..400) %}{% endfor %}"

    assert rendered({"a": loop, "b": loop}) == {"a": "", "b": ""}
    with pytest.raises(RenderError, match="c: its loops"):
        rendered({"a": loop, "b": loop, "c": loop})


def test_a_text_that_grows_too_long_is_stopped():
    exact = MAX_OUTPUT_BYTES // 1_000
    long = "{% for i in (1..1000) %}{{ profile.first_name }}{% endfor %}"

    assert len(text(long, first_name="x" * exact)) == exact * 1_000
    for name in ("x" * (exact + 1), "ß" * (exact // 2 + 1)):
        with pytest.raises(RenderError, match="text: it gives more than 64 KiB of text"):
            text(long, first_name=name)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ profile.first_name | replace: '', profile.first_name }}", "a filter gives a text of more than"),
        (
            "{% assign a = profile.first_name %}{% for i in (1..9) %}{% assign a = a | append: a %}{% endfor %}",
            "a filter gives a text of more than",
        ),
        ("{{ profile.first_name | split: '' | join: profile.first_name }}", "a filter gives a list of more than"),
        ("{{ profile.first_name | slice: 0, 900 | split: '' | join: profile.first_name }}", "a filter gives a text"),
        (
            "{% for i in (1..500) %}" + "{% if profile.orders == 1 %}{% endif %}" * 50 + "{% endfor %}",
            "it takes too many steps",
        ),
        (
            "".join(f"{{% assign a{i} = profile.first_name | append: '{i}' %}}" for i in range(40)),
            "it keeps too much in variables",
        ),
        ("{{ 10 | divided_by: profile.orders }}", "division by zero"),
        ("{{ profile.first_name | slice: 'x' }}", "the filter 'slice' cannot work with"),
        ("{% if profile.first_name > profile.orders %}{% endif %}", "values of different kinds are compared"),
        (
            "{% assign n = 9 %}{% for i in (1..15) %}{% assign n = n | times: n %}{% endfor %}{{ n }}",
            "a value cannot be worked with",
        ),
    ],
)
def test_a_template_that_fails_says_why_without_quoting_the_customer(template: str, words: str):
    with pytest.raises(RenderError) as failed:
        text(template, first_name="Secret" * 1_500)

    assert str(failed.value).startswith("text: ")
    assert words in str(failed.value)
    assert "Secret" not in str(failed.value)
    assert failed.value.__cause__ is None


def test_a_failure_names_the_place_and_the_line():
    content = {"tiles": [{"text": "one\ntwo {{ 1 | divided_by: profile.orders }}"}]}

    with pytest.raises(RenderError, match=r"^tiles\[0\]\.text, line 2: division by zero"):
        rendered(content)


def test_variables_of_one_text_are_not_known_in_another():
    assert rendered({"a": "{% assign x = 1 %}{{ x }}", "b": "{{ x }}"}) == {"a": "1", "b": ""}


def test_neither_the_clock_nor_the_messages_behind_the_names_can_be_reached():
    reaching = "{{ today }}{{ profile.DESCRIPTOR }}{{ profile.SerializeToString }}{{ now.__class__ }}{{ profile }}"

    assert text(reaching) == ""
