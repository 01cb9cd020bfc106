"""How customers are named on the command line, and how merges are printed."""

from __future__ import annotations

import pytest
import typer
from rich.console import Console

from wayline.cli.customers import identifier_of
from wayline.cli.customers_view import render_merges, render_profile
from wayline.v1 import customers_pb2, events_pb2, profile_pb2


def printed(parts: object) -> str:
    console = Console(width=200, record=True)
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
