"""Where a customer stands, since when, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.events import DAY_MS, HOUR_MS, NOON_MS, identify
from tests.support.identity import World

from wayline.catalog.model import Catalog
from wayline.identifiers import MAX_PROFILE_IDENTIFIERS
from wayline.identity import identity_key
from wayline.v1 import audiences_pb2, events_pb2, profile_pb2
from wayline_profile.core.fold import definitions_of
from wayline_profile.core.standing import MIN_DELAY_MS, Change, Judged, Place, Standing, gone, is_empty, judge

EVENT, TIME, IDENTITY = (
    audiences_pb2.CHANGE_CAUSE_EVENT,
    audiences_pb2.CHANGE_CAUSE_TIME,
    audiences_pb2.CHANGE_CAUSE_IDENTITY,
)
ENTERED, EXITED, STAGE = (
    audiences_pb2.CHANGE_KIND_ENTERED,
    audiences_pb2.CHANGE_KIND_EXITED,
    audiences_pb2.CHANGE_KIND_STAGE,
)
ADA = profile_pb2.Profile(
    profile_id=identity_key("user_id", "ada").hex(), identifiers=[events_pb2.Identifier(kind="user_id", value="ada")]
)


def at(*audiences: str, stage: str = "", due_ms: int = 0) -> Place:
    """Where a customer belongs."""
    return Place(frozenset(audiences), stage, due_ms)


def judged(
    place: Place,
    former: Standing | None = None,
    inherited: Sequence[Standing] = (),
    *,
    now_ms: int = NOON_MS,
    renew: bool = False,
) -> Judged:
    """What follows for Ada."""
    return judge(ADA, place, former, inherited, cause=EVENT, now_ms=now_ms, renew=renew)


def standing(place: Place, now_ms: int = NOON_MS, former: Standing | None = None) -> Standing:
    """What is stored then."""
    found = judged(place, former, now_ms=now_ms).standing
    assert found is not None
    return found


def told(changes: Sequence[Change]) -> list[tuple[object, str]]:
    """Kinds, and what they are about."""
    return [(one.kind, one.audience or f"{one.from_stage}>{one.to_stage}") for one in changes]


def test_who_enters_an_audience_belongs_to_it_from_now_on() -> None:
    found = judged(at("lapsed"))
    assert found.standing == Standing(audiences={"lapsed": NOON_MS}, stage_since_ms=NOON_MS)
    (change,) = found.changes
    assert (change.kind, change.audience, change.cause) == (ENTERED, "lapsed", EVENT)
    assert change.since.ToMilliseconds() == change.at.ToMilliseconds() == NOON_MS
    assert change.profile_id == ADA.profile_id
    assert list(change.identity_keys) == [identity_key("user_id", "ada")]


def test_no_identifier_is_told() -> None:
    (change,) = judged(at("lapsed")).changes
    assert b"ada" not in change.SerializeToString()


def test_a_change_names_a_hundred_identity_keys_at_most_as_a_profile_has_no_more() -> None:
    world = World(definitions_of(Catalog.model_validate({"identifiers": {"anonymous_id": {"most": 100}}})))
    world.take(*(identify(user="ada", browser=f"browser-{number}") for number in range(120)))
    ada = world.of("user_id", "ada")
    (change,) = judge(ada, at("lapsed"), None, (), cause=EVENT, now_ms=NOON_MS).changes
    assert len(change.identity_keys) == len(ada.identifiers) == MAX_PROFILE_IDENTIFIERS == 100


def test_who_leaves_was_there_for_so_long() -> None:
    found = judged(at(), standing(at("lapsed")), now_ms=NOON_MS + HOUR_MS)
    assert found.standing is not None
    assert is_empty(found.standing)
    (change,) = found.changes
    assert (change.kind, change.audience, change.seconds) == (EXITED, "lapsed", 3_600)


def test_who_stays_stays_since_when_it_came() -> None:
    found = judged(at("lapsed", "dear"), standing(at("lapsed")), now_ms=NOON_MS + DAY_MS)
    assert found.standing is not None
    assert dict(found.standing.audiences) == {"lapsed": NOON_MS, "dear": NOON_MS + DAY_MS}
    assert told(found.changes) == [(ENTERED, "dear")]


def test_nothing_is_written_when_nothing_changes() -> None:
    place = at("lapsed", stage="lost")
    assert judged(place, standing(place), now_ms=NOON_MS + DAY_MS) == Judged(None)
    assert judged(at()) == Judged(None)


def test_another_stage_tells_the_time_in_the_one_before() -> None:
    found = judged(at(stage="customer"), standing(at(stage="buying")), now_ms=NOON_MS + 90_500)
    (change,) = found.changes
    assert (change.kind, change.from_stage, change.to_stage, change.seconds) == (STAGE, "buying", "customer", 90)
    assert found.standing is not None
    assert found.standing.stage_since_ms == NOON_MS + 90_500


def test_the_first_stage_has_none_before_it() -> None:
    (change,) = judged(at(stage="aware")).changes
    assert (change.from_stage, change.to_stage, change.seconds) == ("", "aware", 0)


def test_of_two_who_become_one_the_membership_counts_from_the_earlier() -> None:
    earlier, later = standing(at("lapsed", stage="aware"), NOON_MS - DAY_MS), standing(at("lapsed", stage="buying"))
    now_ms = NOON_MS + HOUR_MS
    found = judged(at("lapsed", stage="aware"), later, [earlier], now_ms=now_ms)
    assert found.standing is not None
    assert found.standing.audiences["lapsed"] == found.standing.stage_since_ms == NOON_MS - DAY_MS
    assert told(found.changes) == [(STAGE, "buying>aware")]
    assert found.changes[0].cause == IDENTITY


def test_what_the_other_brings_along_is_entered_since_then() -> None:
    other = standing(at("dear"), NOON_MS - DAY_MS)
    (change,) = judged(at("dear"), None, [other]).changes
    assert (change.kind, change.since.ToMilliseconds(), change.cause) == (ENTERED, NOON_MS - DAY_MS, IDENTITY)


def test_an_id_that_goes_leaves_everything_and_names_who_goes_on() -> None:
    changes = gone("0a", standing(at("b", "a", stage="aware")), ADA.profile_id, NOON_MS + HOUR_MS)
    assert told(changes) == [(EXITED, "a"), (EXITED, "b"), (STAGE, "aware>")]
    assert {(one.profile_id, one.successor_id, one.cause) for one in changes} == {("0a", ADA.profile_id, IDENTITY)}


def test_a_customer_is_looked_at_again_when_time_may_change_something() -> None:
    assert standing(at(due_ms=NOON_MS + DAY_MS)).due_ms == NOON_MS + DAY_MS


def test_time_judges_nobody_more_than_once_a_minute() -> None:
    assert standing(at(due_ms=NOON_MS + 1)).due_ms == NOON_MS + MIN_DELAY_MS


def test_a_later_time_to_look_again_is_not_written_until_the_former_has_come() -> None:
    former = standing(at("lapsed", due_ms=NOON_MS + DAY_MS))
    later = at("lapsed", due_ms=NOON_MS + 2 * DAY_MS)
    assert judged(later, former) == Judged(None)
    renewed = judged(later, former, renew=True)
    assert renewed.standing is not None
    assert (renewed.standing.due_ms, renewed.changes) == (NOON_MS + 2 * DAY_MS, ())


def test_an_earlier_time_to_look_again_is_written_at_once() -> None:
    former = standing(at("lapsed", due_ms=NOON_MS + DAY_MS))
    found = judged(at("lapsed", due_ms=NOON_MS + HOUR_MS), former)
    assert found.standing is not None
    assert (found.standing.due_ms, found.standing.audiences["lapsed"]) == (NOON_MS + HOUR_MS, NOON_MS)


PLACES = st.builds(
    lambda audiences, stage, due: Place(audiences, stage, due and NOON_MS + due),
    st.frozensets(st.sampled_from("abcd"), max_size=4),
    st.sampled_from(["", "aware", "buying"]),
    st.integers(0, DAY_MS),
)


def replayed(changes: Sequence[Change]) -> tuple[set[str], str]:
    """Where the changes say that a customer stands; each fits the one before."""
    audiences: set[str] = set()
    stage = ""
    for one in changes:
        if one.kind == ENTERED:
            assert one.audience not in audiences
            audiences.add(one.audience)
        elif one.kind == EXITED:
            audiences.remove(one.audience)
        else:
            assert one.from_stage == stage != one.to_stage
            stage = one.to_stage
    return audiences, stage


@settings(deadline=None)
@given(st.lists(st.tuples(PLACES, st.booleans()), max_size=12))
def test_the_changes_of_a_customer_in_their_order_are_its_standing(history: list[tuple[Place, bool]]) -> None:
    held: Standing | None = None
    changes: list[Change] = []
    for hour, (place, renew) in enumerate(history):
        found = judged(place, held, now_ms=NOON_MS + hour * HOUR_MS, renew=renew)
        changes += found.changes
        if found.standing is not None:
            held = None if is_empty(found.standing) else found.standing
        assert replayed(changes) == (set(place.audiences), place.stage)
        assert (set(held.audiences) if held else set(), held.stage if held else "") == replayed(changes)
        if place.due_ms and held:
            assert 0 < held.due_ms <= max(place.due_ms, NOON_MS + hour * HOUR_MS + MIN_DELAY_MS)


@settings(deadline=None)
@given(PLACES, PLACES, PLACES, st.booleans())
def test_two_who_become_one_leave_one_behind_that_has_left_everything(
    one: Place, other: Place, both: Place, known: bool
) -> None:
    held = judged(one).standing if known else None
    brought = judged(other).standing or Standing()
    left = gone("0b", brought, ADA.profile_id, NOON_MS)
    assert replayed([*judged(other).changes, *left]) == (set(), "")
    found = judged(both, held, [brought])
    assert found.standing is not None
    before = judged(one).changes if known else ()
    assert replayed([*before, *found.changes]) == (set(both.audiences), both.stage)
