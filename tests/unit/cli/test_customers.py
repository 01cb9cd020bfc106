"""How customers are named on the command line, and how merges are printed."""

from __future__ import annotations

import pytest
import typer
from rich.console import Console

from wayline.cli.customers import identifier_of
from wayline.cli.customers_view import in_words, render_merges, render_profile
from wayline.v1 import customers_pb2, events_pb2, profile_pb2


def printed(parts: object, width: int = 200) -> str:
    console = Console(width=width, record=True)
    for part in parts:  # type: ignore[attr-defined]
        console.print(part)
    return console.export_text()


def test_a_value_may_hold_colons() -> None:
    assert identifier_of("device_id:urn:x:1") == events_pb2.Identifier(kind="device_id", value="urn:x:1")


@pytest.mark.parametrize("text", ["ada", ":ada", "user_id:", ""])
def test_what_is_no_kind_and_value_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="user_id:ada"):
        identifier_of(text)


def test_a_link_that_was_refused_says_why_and_brackets_are_printed_as_they_are() -> None:
    merge = customers_pb2.Merge(
        one=events_pb2.Identifier(kind="user_id", value="[red]ada"),
        other=events_pb2.Identifier(kind="anonymous_id", value="b"),
        message_id="[m]",
        status=customers_pb2.MERGE_STATUS_REFUSED,
        reason="at most 50 anonymous_id in one profile",
    )
    merge.time.FromMilliseconds(1_790_000_000_000)
    text = printed(render_merges(customers_pb2.ListMergesResponse(profile_id="ab", merges=[merge])))
    assert "refused: at most 50 anonymous_id in one profile" in text
    assert "user_id [red]ada" in text
    assert "[m]" in text


def test_an_identifier_without_links_says_so() -> None:
    assert "No event has linked it" in printed(render_merges(customers_pb2.ListMergesResponse(profile_id="ab")))


def test_a_restricted_customer_is_shown_as_such_with_what_was_consented_where() -> None:
    profile = profile_pb2.Profile(profile_id="ab", event_count=3)
    profile.restricted.holds = True
    profile.consents["ads"].source = "banner"
    text = printed(render_profile(profile, {"views": 3.0}))
    assert "nothing of this may be used" in text
    assert "banner" in text
    assert "views" in text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2.0, "2"),
        (0.0, "0"),
        (1234.5678, "1234.57"),
        (0.0312345, "0.0312"),
        (2.9999, "3"),
        (1000.004, "1000"),
        (True, "true"),
        ("red", "red"),
        ({"blue": 0.5, "red": 0.9999960792793383}, "red 1, blue 0.5"),
        (["shoes", 3.0], "shoes, 3"),
        ([], ""),
    ],
)
def test_values_of_traits_are_numbers_and_names_as_people_write_them(value: object, words: str) -> None:
    assert in_words(value) == words


def test_what_is_left_out_of_a_value_is_said() -> None:
    assert in_words([float(n) for n in range(13)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more (whole: --json)"
    assert in_words("x" * 301) == "x" * 300 + "… (whole: --json)"
    assert in_words("x" * 300) == "x" * 300


def test_identifiers_are_whole_on_a_narrow_terminal_and_times_say_their_zone() -> None:
    named = [events_pb2.Identifier(kind="email", value=f"{name}.of.a.long.name@example.com") for name in ("ada", "bob")]
    merge = customers_pb2.Merge(
        one=named[0], other=named[1], message_id="m" * 36, status=customers_pb2.MERGE_STATUS_JOINED
    )
    text = printed(render_merges(customers_pb2.ListMergesResponse(profile_id="ab", merges=[merge])), width=80)
    columns = [line.split("│") for line in text.splitlines() if line.startswith("│")]
    first, second, _, by = ("".join(row[place].strip() for row in columns) for place in (1, 2, 3, 4))
    assert first.endswith("ada.of.a.long.name@example.com")
    assert second.endswith("bob.of.a.long.name@example.com")
    assert by == "m" * 36
    assert "UTC" in printed(render_profile(profile_pb2.Profile(profile_id="ab", first_seen_ms=1_790_000_000_000), {}))
