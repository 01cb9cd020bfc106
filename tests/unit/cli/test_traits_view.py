"""What `wayline traits` says."""

from __future__ import annotations

from io import StringIO

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from wayline.cli.traits_view import following, render_progress, render_traits
from wayline.v1.backfill_pb2 import BackfillProgress, GetBackfillResponse, TraitStatus

NOON = Timestamp(seconds=1_790_000_000)
UNDER_WAY = GetBackfillResponse(
    running=True,
    progress=BackfillProgress(
        traits=["spend"],
        strands=1_200,
        events=9_000,
        done=0.25,
        events_since=NOON,
        events_per_second=3e4,
        seconds_left=75,
    ),
)
DONE = GetBackfillResponse(
    progress=BackfillProgress(traits=[f"t{n}" for n in range(8)], strands=5, events=9, done=1, finished_at=NOON)
)


def printed(part: object, width: int = 200) -> str:
    console = Console(width=width, record=True, file=StringIO())
    console.print(part)
    return console.export_text()


def test_a_back_fill_under_way_says_how_far_it_is_and_how_far_it_reaches() -> None:
    assert render_progress(UNDER_WAY) == (
        "Filling in spend: 25%, 1,200 identifiers, 9,000 events, from events since 2026-09-21 14:13; "
        "30,000 events/s, 0:01:15 left."
    )


def test_a_back_fill_that_is_over_says_when() -> None:
    assert render_progress(DONE) == (
        "Filling in t0, t1, t2, t3, t4 and 3 more: done at 2026-09-21 14:13; 5 identifiers, 9 events."
    )


def test_traits_that_were_taken_away_are_called_that() -> None:
    found = GetBackfillResponse(running=True, progress=BackfillProgress())
    assert render_progress(found).startswith("Taking out what is no longer declared: 0%")


def test_where_nothing_was_ever_added_that_is_said() -> None:
    assert "all traits have been there" in render_progress(GetBackfillResponse())


def test_following_ends_with_the_back_fill() -> None:
    answers = iter([UNDER_WAY, UNDER_WAY, DONE, UNDER_WAY])
    assert following(answers, Console(quiet=True), quiet=False) == DONE


def test_each_trait_says_from_when_on_it_knows_events() -> None:
    table = printed(
        render_traits(
            GetBackfillResponse(
                traits=[
                    TraitStatus(name="orders", filled=True),
                    TraitStatus(name="spend", filled=True, filled_at=NOON, events_since=NOON),
                    TraitStatus(name="views", filled=True, filled_at=NOON),
                    TraitStatus(name="carts"),
                ]
            )
        )
    )
    rows = {line.split("│")[1].strip(): line for line in table.splitlines() if "│" in line}
    assert "complete" in rows["orders"]
    assert rows["spend"].count("2026-09-21 14:13") == 2
    assert "there were none" in rows["views"]
    assert "being filled in" in rows["carts"]


def test_states_and_times_are_whole_on_eighty_columns_and_long_names_are_folded() -> None:
    one = TraitStatus(name="lifecycle_orders_of_the_last_365_days", filled=True, filled_at=NOON, events_since=NOON)
    text = printed(render_traits(GetBackfillResponse(traits=[one, TraitStatus(name="carts")])), width=80)
    assert "…" not in text
    assert text.count("2026-09-21 14:13") == 2
    assert "being filled in" in text
    assert text.count("(UTC)") == 2
