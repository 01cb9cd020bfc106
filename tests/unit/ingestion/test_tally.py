from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from tests.support.events import an_event

from wayline.quality import MAX_NAMES, OTHER, add, bucket_of
from wayline.v1 import events_pb2
from wayline.v1.events_pb2 import Event
from wayline.v1.ingestion_pb2 import Rejection
from wayline.v1.quality_pb2 import QualityFigures
from wayline_ingestion.core.clock import NS
from wayline_ingestion.core.judgement import Notes, Passed, Refused
from wayline_ingestion.core.tally import Tally

NOW_NS = 1_790_000_000 * NS
DAY_NS = 86_400 * NS
MINUTE_NS = 60 * NS


class Happening(NamedTuple):
    """Something to count: an event that passed, or one that was refused."""

    one: Passed | Refused
    duplicate: bool
    at_ns: int


def count(happenings: Sequence[Happening], tally: Tally) -> list[QualityFigures]:
    for one, duplicate, at_ns in happenings:
        if isinstance(one, Passed):
            tally.passed([(one, duplicate)], at_ns)
        else:
            tally.refused([one], at_ns)
    return tally.drain()


def total(figures: Sequence[QualityFigures]) -> dict[tuple[str, str, int, int], QualityFigures]:
    """The figures by what they are of, added up."""
    found: dict[tuple[str, str, int, int], QualityFigures] = {}
    for one in figures:
        key = one.source, one.event, one.type, one.minute
        add(found.setdefault(key, QualityFigures(source=one.source, event=one.event)), one)
    return found


def counted(*happenings: Happening, tally: Tally | None = None) -> QualityFigures:
    (figures,) = count(happenings, tally or Tally(DAY_NS))
    return figures


def passing(event: Event | None = None, age_ns: int | None = None, **notes: object) -> Happening:
    return Happening(Passed(event or an_event(), age_ns, Notes(**notes) if notes else None), False, NOW_NS)  # type: ignore[arg-type]


def refusal(reason: str, event: Event | None = None, **more: object) -> Happening:
    return Happening(Refused(event or an_event(), Rejection(reason=reason), **more), False, NOW_NS)  # type: ignore[arg-type]


def test_events_count_by_source_name_and_minute():
    figures = counted(passing(an_event(source="shop-web")), passing(an_event(source="shop-web")))

    assert (figures.source, figures.event, figures.minute) == ("shop-web", "Product Viewed", NOW_NS // MINUTE_NS)
    assert figures.accepted == 2


def test_pages_count_together_whatever_their_titles():
    pages = [an_event(type=events_pb2.EVENT_TYPE_PAGE, name=name) for name in ("Home", "Basket of Jane")]

    figures = counted(*map(passing, pages))

    assert (figures.event, figures.type, figures.accepted) == ("", events_pb2.EVENT_TYPE_PAGE, 2)


def test_a_repetition_counts_as_nothing_else():
    figures = counted(Happening(Passed(an_event(), 2 * DAY_NS, Notes(DAY_NS)), True, NOW_NS))

    assert figures == QualityFigures(
        event="Product Viewed", type=events_pb2.EVENT_TYPE_TRACK, minute=NOW_NS // MINUTE_NS, duplicates=1
    )


def test_what_is_older_than_the_threshold_is_late():
    assert counted(passing(age_ns=DAY_NS)).late == 0
    assert counted(passing(age_ns=DAY_NS + 1)).late == 1


def test_what_was_moved_by_more_than_a_minute_either_way_is_skewed():
    assert counted(passing(moved_ns=MINUTE_NS)).skewed == 0
    assert counted(passing(moved_ns=MINUTE_NS + 1), passing(moved_ns=-MINUTE_NS - 1)).skewed == 2


def test_ages_count_by_their_sum_their_greatest_and_their_buckets():
    seconds = 1_000_000_000
    tally = Tally(DAY_NS)
    first = count([passing(age_ns=2 * seconds), passing(age_ns=4 * seconds), passing(age_ns=-seconds)], tally)
    second = count([passing(age_ns=2 * seconds), passing()], tally)

    (figures,) = total([*first, *second]).values()

    assert figures.accepted == 5
    freshness = figures.freshness
    assert (freshness.count, freshness.sum_ms, freshness.max_ms) == (4, 8_000, 4_000)
    assert freshness.buckets == {0: 1, bucket_of(2_000): 2, bucket_of(4_000): 1}


def test_refusals_count_by_reason_and_those_without_consent_by_purpose():
    figures = counted(
        refusal("missing"),
        refusal("no_consent", without_consent="analytics: denied"),
        refusal("no_consent", without_consent="analytics: unknown"),
    )

    assert figures.refused == {"missing": 1, "no_consent": 2}
    assert figures.without_consent == {"analytics: denied": 1, "analytics: unknown": 1}
    assert figures.accepted == 0


def test_a_stripped_event_counts_as_accepted_and_by_purpose():
    figures = counted(passing(without_consent="analytics: denied"))

    assert (figures.accepted, figures.stripped) == (1, 1)
    assert figures.without_consent == {"analytics: denied": 1}


def test_deviations_from_the_plan_count_of_what_passed_and_of_what_was_refused():
    figures = counted(
        passing(an_event(violations=["x"]), unplanned_properties=("gift",)),
        passing(unplanned=True),
        refusal("unplanned_property", unplanned_properties=("gift", "voucher")),
    )

    assert (figures.flagged, figures.unplanned) == (1, 1)
    assert figures.unplanned_properties == {"gift": 2, "voucher": 1}


def test_names_of_senders_are_cut_and_print():
    figures = counted(refusal("too_long", an_event(name="n\x1b[2J" + "x" * 500, source="s" * 500)))

    assert (len(figures.event), len(figures.source)) == (128, 64)
    assert figures.event.isprintable()


def test_beyond_the_limit_sources_and_events_count_together():
    tally = Tally(DAY_NS, max_pairs=3)

    figures = count([passing(an_event(name=f"Made Up {i}")) for i in range(10)], tally)

    assert len(figures) == 4
    assert {one.event: one.accepted for one in figures}[OTHER] == 7


def test_what_was_told_apart_once_stays_so_until_the_hour_is_over():
    tally = Tally(DAY_NS, max_pairs=1)
    count([passing(an_event(name="First"))], tally)

    (same_hour,) = count([passing(an_event(name="Second"))], tally)
    later = NOW_NS + 3_600 * NS
    (next_hour,) = count([Happening(Passed(an_event(name="Second")), False, later)], tally)

    assert (same_hour.event, next_hour.event) == (OTHER, "Second")


def test_many_names_of_properties_count_together():
    figures = counted(*(passing(unplanned_properties=(f"p{i}",)) for i in range(MAX_NAMES + 7)))

    assert len(figures.unplanned_properties) == MAX_NAMES + 1
    assert figures.unplanned_properties[OTHER] == 7


def test_a_tally_that_nobody_drains_stays_within_its_limits():
    tally = Tally(DAY_NS, max_pairs=2)
    happenings = [Happening(Passed(an_event(name=f"E{i % 5}"), 0), False, NOW_NS + i * 20 * NS) for i in range(1_000)]

    figures = count(happenings, tally)

    assert len(figures) <= 10 * 2 + 3
    assert sum(one.accepted for one in figures) == 1_000


# Drawn from a pool that is made once: events that are drawn field by field take hypothesis a hundred times as long.
POOL: list[Passed | Refused] = [
    *(Passed(an_event(name=name, source=source), age) for name in "AB" for source in "xy" for age in (None, 0, DAY_NS)),
    Passed(an_event(name="A"), 3 * DAY_NS, Notes(DAY_NS, unplanned=True, unplanned_properties=("p", "q"))),
    Passed(an_event(name="A"), -5, Notes(-2 * MINUTE_NS, unplanned_properties=("q",))),
    Passed(an_event(name="B", violations=["wrong"]), 7_000_000, Notes(without_consent="analytics: denied")),
    *(Refused(an_event(name=name), Rejection(reason=reason)) for name in "AB" for reason in ("missing", "too_long")),
    Refused(an_event(), Rejection(reason="no_consent"), keep=False, without_consent="analytics: unknown"),
]
HAPPENINGS = st.lists(
    st.builds(
        Happening, st.sampled_from(POOL), st.booleans(), st.sampled_from([NOW_NS + i * MINUTE_NS for i in range(3)])
    ),
    max_size=20,
)


@given(happenings=HAPPENINGS, cuts=st.sets(st.integers(0, 20)))
def test_the_sum_of_the_parts_is_the_whole_wherever_it_is_cut(happenings: list[Happening], cuts: set[int]):
    edges = [0, *sorted(cut for cut in cuts if cut < len(happenings)), len(happenings)]
    parts: list[QualityFigures] = []
    tally = Tally(DAY_NS)
    for start, end in pairwise(edges):
        parts += count(happenings[start:end], tally)

    assert total(parts) == total(count(happenings, Tally(DAY_NS)))
    passed = sum(isinstance(one.one, Passed) for one in happenings)
    assert sum(one.accepted + one.duplicates for one in parts) == passed
    assert sum(sum(one.refused.values()) for one in parts) == len(happenings) - passed


@given(happenings=HAPPENINGS)
def test_the_order_of_events_within_a_minute_makes_no_difference(happenings: list[Happening]):
    at_once = [one._replace(at_ns=NOW_NS) for one in happenings]

    assert total(count(at_once, Tally(DAY_NS))) == total(count(at_once[::-1], Tally(DAY_NS)))
