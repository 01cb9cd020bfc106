"""What a marketer may rely on: when something may be chosen, by whose clock, and what the explanation says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.support.decisions import a_catalog, an_action

from wayline.catalog.contact import Schedule, at_clock
from wayline.catalog.model import Catalog
from wayline_decision.core.schedule import SchedulePlan, compile_schedule
from wayline_decision.core.timetable import zone_named

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo")
NIGHT: dict[str, Any] = {"from": "22:00", "to": "08:00"}
OFFICE: dict[str, Any] = {"days": ["mon", "tue", "wed", "thu", "fri"], "hours": {"from": "09:00", "to": "17:00"}}


def at(text: str, zone: str = "UTC") -> datetime:
    """'2026-11-23 09:00' by the clock of a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def compiled(catalog: Catalog) -> SchedulePlan:
    """With one row for each action, in the catalogue's order."""
    return compile_schedule(catalog, [action.id for _, _, action in catalog.actions()])


def one_action(zone: str = "UTC", **schedule: Any) -> SchedulePlan:
    """A plan with one action, which has this schedule."""
    return compiled(a_catalog([an_action("a", schedule=schedule)], timezone=zone))


def is_open(plan: SchedulePlan, now: datetime, zone: str = "") -> bool:
    return not plan.judge(now, zone).blocked


def quiet_nights(**hours: Any) -> SchedulePlan:
    """A plan in which e-mail is quiet at night."""
    return compiled(
        a_catalog(
            [an_action("a")],
            timezone="Europe/Berlin",
            channels={"web": {}, "mail": {"quiet_hours": NIGHT | hours}},
            purposes={},
            personalisation=None,
        )
    )


# Campaigns that start and end


def test_a_campaign_is_chosen_from_its_start_to_before_its_end() -> None:
    plan = one_action(starts="2026-12-01T00:00", ends="2026-12-24T18:00", timezone="Europe/Berlin")
    assert not is_open(plan, at("2026-11-30 23:59", "Europe/Berlin"))
    assert is_open(plan, at("2026-12-01 00:00", "Europe/Berlin"))
    assert is_open(plan, at("2026-12-24 17:59", "Europe/Berlin"))
    assert not is_open(plan, at("2026-12-24 18:00", "Europe/Berlin"))


def test_a_start_with_an_offset_means_what_it_says_whatever_the_zone() -> None:
    plan = one_action(starts="2026-12-01T00:00+09:00", timezone="America/New_York")
    assert not is_open(plan, at("2026-11-30 14:59"))
    assert is_open(plan, at("2026-11-30 15:00"))


def test_without_a_zone_of_its_own_a_schedule_goes_by_the_catalogues() -> None:
    plan = one_action("Asia/Kolkata", starts="2026-12-01T00:00")
    assert not is_open(plan, at("2026-11-30 18:29"))
    assert is_open(plan, at("2026-11-30 18:30"))


def test_the_schedules_of_issue_group_and_action_must_all_hold() -> None:
    groups = [
        {
            "id": "g",
            "schedule": {"hours": {"from": "08:00", "to": "20:00"}},
            "actions": [an_action("a"), an_action("b")],
        },
        {"id": "h", "actions": [an_action("c")]},
    ]
    catalog = a_catalog([], issues=[{"id": "i", "schedule": {"days": ["mon", "tue"]}, "groups": groups}])
    data = catalog.model_dump(by_alias=True)
    data["issues"][0]["groups"][0]["actions"][1]["schedule"] = {"ends": "2026-11-24T00:00"}
    plan = compiled(Catalog.model_validate(data))
    assert plan.judge(at("2026-11-23 12:00"), "").blocked == 0b000  # a Monday
    assert plan.judge(at("2026-11-23 21:00"), "").blocked == 0b011
    assert plan.judge(at("2026-11-24 12:00"), "").blocked == 0b010
    assert plan.judge(at("2026-11-25 12:00"), "").blocked == 0b111


def test_every_treatment_of_an_action_keeps_to_its_schedule() -> None:
    catalog = a_catalog([an_action("a", schedule={"days": ["sun"]}), an_action("b")])
    plan = compile_schedule(catalog, ["a", "a", "b", "a"])
    assert plan.judge(at("2026-11-23 12:00"), "").blocked == 0b1011


# Days and hours


def test_office_hours_are_those_of_the_shops_own_town() -> None:
    plan = one_action(**OFFICE, timezone="Europe/Paris")
    assert is_open(plan, at("2026-11-23 09:00", "Europe/Paris"))
    assert is_open(plan, at("2026-11-23 16:59", "Europe/Paris"))
    assert not is_open(plan, at("2026-11-23 17:00", "Europe/Paris"))
    assert not is_open(plan, at("2026-11-21 12:00", "Europe/Paris"))


def test_an_evening_that_starts_on_friday_goes_on_after_midnight() -> None:
    plan = one_action(days=["fri"], hours={"from": "22:00", "to": "02:00"})
    assert not is_open(plan, at("2026-11-27 01:00"))  # of Thursday's evening
    assert is_open(plan, at("2026-11-27 23:00"))
    assert is_open(plan, at("2026-11-28 01:59"))
    assert not is_open(plan, at("2026-11-28 02:00"))


def test_sundays_evening_goes_on_into_monday() -> None:
    plan = one_action(days=["sun"], hours={"from": "22:00", "to": "02:00"})
    assert is_open(plan, at("2026-11-30 01:00"))


def test_of_several_hours_any_will_do() -> None:
    plan = one_action(hours=[{"from": "07:00", "to": "09:00"}, {"from": "17:00", "to": "19:00"}])
    assert [is_open(plan, at(f"2026-11-23 {hour}:00")) for hour in ("06", "08", "12", "18", "20")] == [
        False, True, False, True, False,
    ]  # fmt: skip


def test_nine_o_clock_stays_nine_o_clock_when_the_clocks_change() -> None:
    plan = one_action(hours={"from": "09:00", "to": "10:00"}, timezone="Europe/Berlin")
    for day in ("2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25"):
        assert not is_open(plan, at(f"{day} 08:59", "Europe/Berlin"))
        assert is_open(plan, at(f"{day} 09:00", "Europe/Berlin"))
        assert not is_open(plan, at(f"{day} 10:00", "Europe/Berlin"))


def test_an_hour_that_the_clocks_repeat_counts_twice() -> None:
    plan = one_action(hours={"from": "02:00", "to": "02:30"}, timezone="Europe/Berlin")
    half_hours = [at("2026-10-24 23:45") + number * timedelta(minutes=30) for number in range(6)]
    assert [is_open(plan, now) for now in half_hours] == [False, True, False, True, False, False]


# The customer's own clock


def test_quiet_hours_are_those_of_the_customers_own_night() -> None:
    plan = quiet_nights()
    noon_in_berlin = at("2026-11-23 12:00", "Europe/Berlin")
    assert plan.judge(noon_in_berlin, "America/New_York").quiet == {"mail"}
    assert plan.judge(noon_in_berlin, "Europe/Paris").quiet == frozenset()


def test_quiet_hours_may_go_by_the_catalogues_clock_instead() -> None:
    plan = quiet_nights(timezone=None)
    assert plan.judge(at("2026-11-23 23:00", "Europe/Berlin"), "Asia/Kolkata").quiet == {"mail"}


def test_quiet_hours_block_the_channel_and_no_row() -> None:
    assert quiet_nights().judge(at("2026-11-23 23:00", "Europe/Berlin"), "").blocked == 0


def test_a_schedule_may_go_by_the_customers_clock() -> None:
    plan = one_action(hours={"from": "18:00", "to": "20:00"}, timezone="customer")
    now = at("2026-11-23 19:00", "Asia/Kolkata")
    assert is_open(plan, now, "Asia/Kolkata")
    assert not is_open(plan, now, "Europe/Berlin")


@given(st.text() | st.sampled_from(["", "Mars/Olympus", "../x", "Europe", "zone.tab", "a" * 9_999, "\0", "\ud800"]))
def test_a_zone_that_nobody_knows_counts_as_the_catalogues(zone: str) -> None:
    assume(zone_named(zone) is None)
    assert quiet_nights().judge(at("2026-11-23 23:30", "Europe/Berlin"), zone).quiet == {"mail"}


def test_any_number_of_zones_can_be_asked_for() -> None:
    plan, now = quiet_nights(), at("2026-11-23 23:30", "Europe/Berlin")
    for number in range(3_000):
        assert plan.judge(now, f"Nowhere/{number}").quiet == {"mail"}
    assert plan.judge(now, "Pacific/Honolulu").quiet == frozenset()


# For how long a verdict holds


def test_without_a_schedule_nothing_ever_changes() -> None:
    plan = compiled(a_catalog([an_action("a")]))
    verdict = plan.judge(at("2026-11-23 12:00"), "Europe/Berlin")
    assert (plan.empty, verdict.blocked, verdict.quiet, verdict.until_ms) == (True, 0, frozenset(), 0)


def test_a_campaign_that_is_over_stays_over() -> None:
    plan = one_action(ends="2026-01-01T00:00", hours={"from": "09:00", "to": "17:00"})
    assert plan.judge(at("2026-11-23 12:00"), "").until_ms == 0


def test_a_verdict_holds_until_the_first_thing_that_changes() -> None:
    now = at("2026-11-23 12:00")
    assert one_action(**OFFICE).judge(now, "").until_ms == at("2026-11-23 17:00").timestamp() * 1_000
    assert one_action(starts="2027-01-01T00:00", **OFFICE).judge(now, "").until_ms == (
        at("2027-01-01 00:00").timestamp() * 1_000
    )
    assert one_action(ends="2026-11-23T13:00", **OFFICE).judge(now, "").until_ms == (
        at("2026-11-23 13:00").timestamp() * 1_000
    )


def test_a_verdict_is_not_made_anew_while_it_holds() -> None:
    plan = one_action(**OFFICE)
    first = plan.judge(at("2026-11-23 12:00"), "Europe/Berlin")
    assert plan.judge(at("2026-11-23 16:59"), "Asia/Kolkata") is first


def test_a_question_about_the_past_is_not_answered_with_what_holds_now() -> None:
    plan = one_action(**OFFICE)
    assert is_open(plan, at("2026-11-23 12:00"))
    assert not is_open(plan, at("2026-11-23 08:00"))


def by_the_wall(schedule: Schedule, now: datetime, zone: str) -> bool:
    """The meaning of a schedule, as plainly as it can be said."""
    place = ZoneInfo(schedule.timezone or zone)
    local = now.astimezone(place)
    for bound, sign in ((schedule.starts, 1), (schedule.ends, -1)):
        if bound and (
            (now.timestamp() - (bound if bound.tzinfo else bound.replace(tzinfo=place)).timestamp()) * sign < 0
        ):
            return False
    today, yesterday = (
        not schedule.days or DAYS[number] in schedule.days for number in (local.weekday(), (local.weekday() - 1) % 7)
    )
    if not schedule.hours:
        return today
    for one in schedule.hours:
        start, end, clock = at_clock(one.start), at_clock(one.end), local.time()
        if start < end and today and start <= clock < end:
            return True
        if start > end and ((today and clock >= start) or (yesterday and clock < end)):
            return True
    return False


def around(*texts: str) -> st.SearchStrategy[datetime]:
    """Within two days of one of these times."""
    seconds = st.integers(-172_800, 172_800)
    return st.builds(lambda text, off: at(text) + timedelta(seconds=off), st.sampled_from(texts), seconds)


clocks = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from([0, 1, 30, 59]))
hours = st.builds(lambda start, end: {"from": start, "to": end}, clocks, clocks).filter(
    lambda one: one["from"] != one["to"]
)
schedules = st.fixed_dictionaries(
    {"days": st.lists(st.sampled_from(DAYS), max_size=4, unique=True), "hours": st.lists(hours, max_size=3)},
    optional={
        "starts": around("2026-03-28").map(lambda start: start.replace(tzinfo=None).isoformat()),
        "ends": around("2026-10-28").map(lambda end: end.isoformat()),
        "timezone": st.sampled_from(ZONES),
    },
)
moments = around("2026-06-01", "2026-03-29", "2026-10-25", "2026-03-08 06:00", "2026-11-01", "2026-04-04", "2026-10-03")


@given(schedules, st.sampled_from(ZONES), moments)
def test_a_schedule_means_what_the_clock_on_the_wall_shows(schedule: Any, zone: str, now: datetime) -> None:
    expected = by_the_wall(Schedule.model_validate(schedule), now, zone)
    assert is_open(one_action(zone, **schedule), now) == expected


@given(schedules, st.sampled_from(ZONES), moments, st.lists(st.floats(0, 1), min_size=8, max_size=8))
@example({"days": [], "hours": [{"from": "02:00", "to": "02:30"}]}, "Europe/Berlin", at("2026-10-25 00:31"), [0.98])
def test_nothing_changes_before_the_verdict_says_that_it_may(
    schedule: Any, zone: str, now: datetime, shares: list[float]
) -> None:
    verdict = one_action(zone, **schedule).judge(now, "")
    left_ms = (verdict.until_ms or now.timestamp() * 1_000 + 30 * 86_400_000) - now.timestamp() * 1_000
    assert left_ms > 0
    for share in shares:
        later = now + timedelta(milliseconds=int(share * (left_ms - 1)))
        assert is_open(one_action(zone, **schedule), later) == (not verdict.blocked)


@given(schedules, st.sampled_from(ZONES), moments)
def test_following_the_verdicts_one_comes_to_the_end(schedule: Any, zone: str, now: datetime) -> None:
    plan = one_action(zone, **schedule)
    for _ in range(20):
        verdict = plan.judge(now, "")
        if not verdict.until_ms:
            return
        later = datetime.fromtimestamp(verdict.until_ms / 1_000, UTC)
        assert later > now
        now = later


# Why


def why(plan: SchedulePlan, now: datetime, zone: str = "") -> tuple[str, str] | None:
    return plan.judge(now, zone).why(0)


def test_what_is_open_needs_no_reason() -> None:
    assert why(one_action(**OFFICE), at("2026-11-23 12:00")) is None


def test_the_reason_says_when_a_campaign_starts_and_when_it_could_first_be_chosen() -> None:
    plan = one_action(starts="2026-12-05T00:00", **OFFICE, timezone="Europe/Berlin")  # a Saturday
    assert why(plan, at("2026-11-23 12:00")) == (
        "not before 2026-12-05 00:00 Europe/Berlin",
        "it would have to be 2026-12-07 09:00 Europe/Berlin or later",
    )


def test_the_reason_says_that_a_campaign_is_over() -> None:
    plan = one_action(ends="2026-01-31T00:00+01:00")
    assert why(plan, at("2026-11-23 12:00")) == (
        "only before 2026-01-31 00:00+01:00",
        "'ends' of its schedule would have to be later",
    )


def test_the_reason_says_the_hours_and_the_next_time_that_they_begin() -> None:
    plan = one_action(**OFFICE, timezone="Europe/Paris")
    assert why(plan, at("2026-11-20 18:00")) == (
        "only mon to fri, 09:00 to 17:00 Europe/Paris",
        "it would have to be 2026-11-23 09:00 Europe/Paris or later",
    )


def test_the_reason_names_days_that_do_not_follow_each_other_one_by_one() -> None:
    plan = one_action(
        days=["sun", "wed", "mon"], hours=[{"from": "17:00", "to": "19:00"}, {"from": "07:00", "to": "09:00"}]
    )
    reason, _ = why(plan, at("2026-11-24 12:00")) or ("", "")
    assert reason == "only mon, wed and sun, 07:00 to 09:00 and 17:00 to 19:00 UTC"


def test_a_campaign_that_ends_before_its_hours_come_needs_another_schedule() -> None:
    plan = one_action(ends="2026-11-22T12:00", **OFFICE)
    assert why(plan, at("2026-11-21 12:00")) == (
        "only mon to fri, 09:00 to 17:00 UTC",
        "its schedule would have to be another one",
    )


def test_the_reason_for_silence_is_the_customers_night() -> None:
    verdict = quiet_nights().judge(at("2026-11-23 12:00"), "Asia/Tokyo")
    assert verdict.why_quiet("web") is None
    assert quiet_nights().judge(at("2026-11-23 15:00"), "Asia/Tokyo").why_quiet("mail") == (
        "quiet hours, 22:00 to 08:00 Asia/Tokyo",
        "it would have to be 2026-11-24 08:00 Asia/Tokyo or later",
    )


@given(st.sampled_from(["0001-01-01T00:00", "9999-12-31T23:59", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"]))
def test_a_schedule_from_or_to_the_end_of_time_harms_nobody(bound: str) -> None:
    for schedule in ({"starts": bound}, {"ends": bound}, {"starts": bound, **OFFICE}):
        for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
            plan = one_action(zone, **schedule)
            assert is_open(plan, at("2026-11-23 12:00")) == (why(plan, at("2026-11-23 12:00")) is None)
