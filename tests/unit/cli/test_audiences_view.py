"""What `wayline audiences` and `wayline catalog show` say of audiences and stages."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from wayline.catalog.load import load_text
from wayline.cli.audiences_view import declared, in_json, render_audiences, render_preview, render_stages, write_csv
from wayline.v1 import audiences_pb2, events_pb2


def shown(parts: Iterable[RenderableType]) -> str:
    """What a person reads, without the lines of the tables."""
    console = Console(file=StringIO(), width=200)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, StringIO)
    return " ".join(console.file.getvalue().replace("│", " ").split())


def test_an_audience_is_shown_with_its_share_of_all() -> None:
    one = audiences_pb2.AudienceSummary(name="lapsed", rule="profile.away\n  >= 14", members=1_234, purpose="profiling")
    listed = audiences_pb2.ListAudiencesResponse(audiences=[one], profiles=5_000)
    text = shown(render_audiences(listed, audiences_pb2.GetAudienceStatusResponse()))
    assert "lapsed 1,234 24.7% profile.away >= 14 profiling" in text
    assert "1 audiences of 5,000 customers" in text
    assert "judged" not in text


def test_what_is_still_to_be_done_is_said() -> None:
    status = audiences_pb2.GetAudienceStatusResponse(judging=True, judged=50, profiles=200, due=7, unpublished=1_000)
    text = shown(render_audiences(audiences_pb2.ListAudiencesResponse(), status))
    assert "are being judged by another catalogue: 25.0% so far" in text
    assert "7 customers are due to be judged" in text
    assert "1,000+ changes are to be told" in text


def test_a_sample_gives_an_interval_and_all_give_the_number() -> None:
    tried = audiences_pb2.PreviewAudienceResponse(
        judged=100, matched=25, profiles=1_000, estimate=250, estimate_low=175, estimate_high=344, profile_ids=["ab"]
    )
    text = shown(render_preview(tried))
    assert "about 250 of 1,000 customers (25.0%), between 175 and 344" in text
    assert text.endswith("ab")
    tried.judged = 1_000
    assert "25 of all 1,000 customers" in shown(render_preview(tried))


def test_without_a_lifecycle_there_is_advice() -> None:
    assert "lifecycle: default" in shown([render_stages(audiences_pb2.GetStagesResponse())])


def test_the_catalogue_shows_audiences_and_stages() -> None:
    text = shown(declared(load_text('{audiences: {all: {rule: "true", because: Everybody}}, lifecycle: default}')))
    assert "all true - Everybody" in text
    assert "loyal profile.lifecycle_orders_365d >= 3" in text
    assert shown(declared(load_text("traits: {}"))) == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula_to_a_spreadsheet(start: str) -> None:
    named = [events_pb2.Identifier(kind="user_id", value=f"{start}HYPERLINK(1)")]
    ada = audiences_pb2.AudienceMember(profile_id="ab", identifiers=named)
    file = StringIO(newline="")
    write_csv([audiences_pb2.ExportAudienceResponse(members=[ada])], file)
    (_, row) = csv.reader(StringIO(file.getvalue(), newline=""))
    assert row[2:] == ["user_id", f"'{start}HYPERLINK(1)"]


def test_a_member_has_a_line_for_each_identifier_and_one_without() -> None:
    ada = audiences_pb2.AudienceMember(
        profile_id="ab", identifiers=[events_pb2.Identifier(kind="email", value=f"{n}@x.org") for n in "ab"]
    )
    file = StringIO()
    write_csv(
        [audiences_pb2.ExportAudienceResponse(members=[ada, audiences_pb2.AudienceMember(profile_id="cd")])], file
    )
    lines = file.getvalue().splitlines()
    assert lines[0] == "profile_id,since,kind,value"
    assert [line.rpartition("Z,")[2] for line in lines[1:]] == ["email,a@x.org", "email,b@x.org", ","]


def test_the_rules_of_a_catalogue_are_whole_on_a_narrow_terminal() -> None:
    rule = "profile.lifecycle_orders_365d>=3&&profile.lifecycle_days_away<=14"
    text = f"{{audiences: {{regulars: {{rule: '{rule}', because: Often}}}}, lifecycle: default}}"
    (table, _) = declared(load_text(text))
    console = Console(file=StringIO(), width=60)
    console.print(table)
    assert isinstance(console.file, StringIO)
    rows = [line.split("│") for line in console.file.getvalue().splitlines() if line.startswith("│")]
    assert "".join(row[2].strip() for row in rows) == rule


def test_numbers_are_numbers_in_json() -> None:
    one = audiences_pb2.AudienceSummary(name="lapsed", members=3)
    listed = in_json(audiences_pb2.ListAudiencesResponse(audiences=[one], profiles=5_000))
    assert listed["profiles"] == 5_000
    assert (listed["audiences"][0]["name"], listed["audiences"][0]["members"]) == ("lapsed", 3)
