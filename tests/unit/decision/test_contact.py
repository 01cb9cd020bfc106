"""How often a customer may be met: caps, pauses, by the customer's own calendar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.decisions import NOW, a_catalog, an_action

from wayline.catalog.contact import Cap, Suppression
from wayline.catalog.model import Catalog
from wayline_decision.core.contact import ContactPlan, Met, Refusal, Verdict, compile_contact, promised

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LEVELS = ("catalog", "sales", "sales/shoes", "sales/bags", "service/shoes", "boots", "tote", "repair")
"""Where a policy can stand in `a_shop`."""
CHANNELS = ("web", "mail", "app")
ZONES = ("", "UTC", "Europe/Paris", "America/Santiago", "Pacific/Kiritimati", "Mars/Olympus")


def a_shop(**contact: Any) -> Catalog:
    """Four actions in two issues, with contact policies by level: 'sandals' and 'boots' are both of sales/shoes."""

    def action(name: str) -> dict[str, Any]:
        return an_action(name, contact=contact.get(name, {}))

    def group(issue: str, name: str, *actions: str) -> dict[str, Any]:
        return {
            "id": name,
            "contact": contact.get(f"{issue}/{name}", {}),
            "actions": [action(one) for one in actions],
        }

    return a_catalog(
        [],
        contact=contact.get("catalog", {}),
        timezone=contact.get("timezone", "UTC"),
        issues=[
            {
                "id": "sales",
                "contact": contact.get("sales", {}),
                "groups": [group("sales", "shoes", "boots", "sandals"), group("sales", "bags", "tote")],
            },
            {"id": "service", "groups": [group("service", "shoes", "repair")]},
        ],
    )


ROWS = ("boots", "boots", "repair", "sandals", "tote")
"""Boots have two treatments."""
EVERYTHING = {"boots", "repair", "sandals", "tote"}


def ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def met(
    action: str, ago: timedelta = HOUR, *, outcome: str = "impression", channel: str = "web", now: datetime = NOW
) -> Met:
    return Met(outcome, action, channel, ms(now - ago), "d")


def at(text: str, action: str = "boots", *, outcome: str = "impression", channel: str = "web") -> Met:
    """A contact at a time that is given with its offset."""
    return Met(outcome, action, channel, ms(datetime.fromisoformat(text)), "d")


def a_cap(limit: int = 1, **fields: Any) -> dict[str, Any]:
    span = {} if "period" in fields else {"window": "7d"}
    return {"caps": {"limit": limit, **span, **fields}}


def a_pause(**fields: Any) -> dict[str, Any]:
    return {"suppressions": {"pause": "30d", **fields}}


def judged(
    catalog: Catalog, *contacts: Met, timezone: str = "", now: datetime = NOW, rows: Sequence[str] = ROWS
) -> Verdict:
    return compile_contact(catalog, rows).judge(contacts, timezone, now)


def refused(verdict: Verdict, channel: str = "web", rows: Sequence[str] = ROWS) -> set[str]:
    """The actions of which no row may go out; either all rows of an action may, or none."""
    mask = verdict.blocked(channel)
    assert mask < 1 << len(rows)
    found = {action for row, action in enumerate(rows) if mask >> row & 1}
    assert found.isdisjoint({action for row, action in enumerate(rows) if not mask >> row & 1})
    return found


def until(verdict: Verdict) -> datetime | None:
    return datetime.fromtimestamp(verdict.until_ms / 1_000, UTC) if verdict.until_ms else None


# Caps over rolling windows


def test_a_contact_an_hour_ago_uses_up_a_daily_cap() -> None:
    shop = a_shop(boots=a_cap(window="24h"))
    assert refused(judged(shop, met("boots"))) == {"boots"}
    assert refused(judged(shop)) == set()


def test_a_second_contact_is_fine_when_the_cap_allows_two() -> None:
    shop = a_shop(boots=a_cap(2))
    assert refused(judged(shop, met("boots"))) == set()
    assert refused(judged(shop, met("boots"), met("boots"))) == {"boots"}


def test_a_contact_stops_counting_when_it_is_as_old_as_the_window() -> None:
    shop = a_shop(boots=a_cap(window="24h"))
    assert refused(judged(shop, met("boots", DAY - timedelta(milliseconds=1)))) == {"boots"}
    assert refused(judged(shop, met("boots", DAY))) == set()


def test_the_verdict_says_until_when_it_holds() -> None:
    shop = a_shop(boots=a_cap(2, window="24h"), tote=a_cap(window="24h"))
    contacts = (met("boots", 3 * HOUR), met("boots", HOUR), met("boots", 2 * HOUR), met("tote", HOUR))
    # Of three, two have to leave the window: the limit is two, and a third may come when one is left.
    assert until(judged(shop, *contacts)) == NOW + DAY - 2 * HOUR
    assert until(judged(shop, met("boots", HOUR))) is None


def test_contacts_of_another_action_do_not_count_for_the_action() -> None:
    assert refused(judged(a_shop(boots=a_cap()), met("sandals"), met("tote"))) == set()


def test_only_the_outcomes_that_are_named_count() -> None:
    shop = a_shop(boots=a_cap(2, outcome=["click", "conversion"]))
    assert refused(judged(shop, met("boots"), met("boots", outcome="click"))) == set()
    both = (met("boots", outcome="click"), met("boots", outcome="conversion"))
    assert refused(judged(shop, *both)) == {"boots"}


def test_a_limit_of_nought_forbids_always() -> None:
    never = judged(a_shop(boots=a_cap(0)))
    assert refused(never) == refused(never, "mail") == {"boots"}
    assert never.until_ms == 0
    assert never.why(0, "web") == Refusal("no impressions of the action", "only another contact policy would allow it")
    assert refused(judged(a_shop(boots=a_cap(0)), met("boots"), met("tote"))) == {"boots"}


def test_a_limit_of_nought_on_a_channel_forbids_there_only() -> None:
    verdict = judged(a_shop(sales=a_cap(0, channels="mail")), met("boots"))
    assert refused(verdict, "mail") == {"boots", "sandals", "tote"}
    assert refused(verdict, "web") == set()


def test_a_contact_that_a_wrong_clock_puts_in_the_future_counts() -> None:
    shop = a_shop(boots=a_cap(window="24h"))
    verdict = judged(shop, met("boots", -HOUR))
    assert refused(verdict) == {"boots"}
    assert until(verdict) == NOW + DAY + HOUR


def test_contacts_may_come_in_any_order() -> None:
    shop = a_shop(boots=a_cap(2, window="24h"))
    late, early, old = met("boots", HOUR), met("boots", 3 * HOUR), met("boots", 3 * DAY)
    assert judged(shop, old, early, late) == judged(shop, late, old, early)


# Levels


def test_a_policy_of_a_group_holds_for_each_of_its_actions() -> None:
    shop = a_shop(**{"sales/shoes": a_cap()})
    assert refused(judged(shop, met("boots"))) == {"boots"}
    assert refused(judged(shop, met("boots"), met("sandals"), met("tote"))) == {"boots", "sandals"}


def test_policies_of_all_levels_hold_together() -> None:
    shop = a_shop(catalog=a_cap(3), sales=a_cap(2), boots=a_cap(1))
    actions = ("boots", "tote", "tote", "repair", "repair", "repair")
    assert refused(judged(shop, *map(met, actions))) == {"boots", "tote", "repair"}
    assert refused(judged(shop, *map(met, actions[:-1]))) == {"boots", "tote"}


def test_the_same_policy_at_two_levels_counts_once() -> None:
    shop = a_shop(catalog=a_cap(2), **{"sales/shoes": a_cap(2)})
    assert refused(judged(shop, met("boots"))) == set()
    assert refused(judged(shop, met("boots"), met("boots"))) == {"boots"}


def test_a_cap_per_group_counts_its_actions_together() -> None:
    shop = a_shop(catalog=a_cap(2, per="group"))
    assert refused(judged(shop, met("boots"), met("sandals"), met("tote"))) == {"boots", "sandals"}


def test_groups_of_the_same_name_in_two_issues_are_two_groups() -> None:
    assert refused(judged(a_shop(catalog=a_cap(per="group")), met("repair"))) == {"repair"}


def test_a_cap_per_issue_counts_its_groups_together() -> None:
    shop = a_shop(catalog=a_cap(2, per="issue"))
    assert refused(judged(shop, met("boots"), met("tote"), met("repair"))) == {"boots", "sandals", "tote"}


def test_a_cap_per_customer_limits_the_pressure_of_all() -> None:
    shop = a_shop(catalog=a_cap(3, per="customer"))
    assert refused(judged(shop, met("boots"), met("tote"))) == set()
    assert refused(judged(shop, met("boots"), met("tote"), met("repair", channel="mail"))) == EVERYTHING


def test_an_action_can_stand_back_when_the_customer_was_met_by_others() -> None:
    shop = a_shop(tote=a_cap(1, per="customer"), boots=a_cap(1, per="issue"), repair=a_cap(1, per="group"))
    assert refused(judged(shop, met("repair"))) == {"tote", "repair"}
    assert refused(judged(shop, met("sandals"))) == {"tote", "boots"}


def test_what_the_catalogue_no_longer_has_still_counts_for_the_customer() -> None:
    shop = a_shop(
        catalog={"caps": [{"limit": 1, "window": "7d", "per": per} for per in ("action", "group", "issue")]},
        tote=a_cap(1, per="customer"),
        repair=a_cap(1, per="channel"),
    )
    assert refused(judged(shop, met("discontinued"))) == {"tote", "repair"}
    assert refused(judged(shop, met("discontinued")), "mail") == {"tote"}


# Channels


def test_a_cap_per_channel_counts_each_channel_alone() -> None:
    shop = a_shop(catalog=a_cap(2, per="channel"))
    verdict = judged(shop, met("boots", channel="mail"), met("tote", channel="mail"), met("tote"))
    assert refused(verdict, "mail") == EVERYTHING
    assert refused(verdict, "web") == refused(verdict, "app") == set()


def test_a_cap_may_count_and_hold_on_some_channels_only() -> None:
    shop = a_shop(boots=a_cap(channels=["mail", "app"]))
    assert refused(judged(shop, met("boots")), "mail") == set()
    verdict = judged(shop, met("boots", channel="app"))
    assert [refused(verdict, channel) for channel in CHANNELS] == [set(), {"boots"}, {"boots"}]


def test_a_cap_per_channel_may_leave_channels_alone() -> None:
    shop = a_shop(boots=a_cap(per="channel", channels="mail"))
    verdict = judged(shop, met("boots"), met("tote", channel="mail"))
    assert refused(verdict, "mail") == {"boots"}
    assert refused(verdict, "web") == set()


def test_a_contact_whose_channel_is_not_known_counts_unless_channels_matter() -> None:
    unknown = met("boots", channel="")
    for per in ("action", "group", "issue", "customer"):
        assert "boots" in refused(judged(a_shop(catalog=a_cap(per=per)), unknown))
        assert refused(judged(a_shop(catalog=a_cap(per=per, channels="web")), unknown)) == set()
    nothing = judged(a_shop(catalog=a_cap(per="channel")), unknown)
    assert [refused(nothing), nothing.until_ms] == [set(), 0]


def test_what_is_refused_everywhere_is_refused_on_a_channel_with_limits_of_its_own() -> None:
    shop = a_shop(boots=a_cap(), tote=a_cap(channels="mail"))
    verdict = judged(shop, met("boots"), met("tote", channel="mail"))
    assert refused(verdict, "mail") == {"boots", "tote"}
    assert refused(verdict, "web") == {"boots"}


# Calendar periods


@pytest.mark.parametrize(
    ("period", "before", "begins", "ends"),
    [
        ("day", "2026-09-20T23:59:59.999Z", "2026-09-21T00:00:00Z", "2026-09-22"),
        ("week", "2026-09-20T23:59:59.999Z", "2026-09-21T00:00:00Z", "2026-09-28"),
        ("month", "2026-08-31T23:59:59.999Z", "2026-09-01T00:00:00Z", "2026-10-01"),
    ],
)
def test_a_period_begins_by_the_calendar(period: str, before: str, begins: str, ends: str) -> None:
    shop = a_shop(boots=a_cap(period=period))
    assert refused(judged(shop, at(before))) == set()
    verdict = judged(shop, at(begins))
    assert refused(verdict) == {"boots"}
    assert until(verdict) == datetime.fromisoformat(ends).replace(tzinfo=UTC)


def test_the_day_is_the_customers_not_ours() -> None:
    shop = a_shop(boots=a_cap(period="day"))
    late_in_tokyo = datetime(2026, 9, 21, 16, tzinfo=UTC)  # it is one o'clock at night of the 22nd there
    contact = met("boots", 2 * HOUR, now=late_in_tokyo)
    assert refused(judged(shop, contact, timezone="Asia/Tokyo", now=late_in_tokyo)) == set()
    assert refused(judged(shop, contact, timezone="Europe/Paris", now=late_in_tokyo)) == {"boots"}


@pytest.mark.parametrize("timezone", ["", "Mars/Olympus", "../etc", "Europe"])
def test_without_a_zone_that_we_know_it_is_the_catalogues_day(timezone: str) -> None:
    shop = a_shop(boots=a_cap(period="day"), timezone="Asia/Tokyo")
    assert until(judged(shop, met("boots"), timezone=timezone)) == datetime(2026, 9, 21, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "contact", "free"),
    [
        ("Europe/Paris", "2026-10-25T00:30+02:00", "2026-10-26T00:00+01:00"),  # a day of 25 hours
        ("Europe/Paris", "2026-03-29T00:30+01:00", "2026-03-30T00:00+02:00"),  # of 23
        ("Australia/Lord_Howe", "2026-10-04T01:00+10:30", "2026-10-05T00:00+11:00"),  # of 23 and a half
        ("America/Santiago", "2026-09-05T22:00-04:00", "2026-09-06T01:00-03:00"),  # its midnight does not exist
        ("America/Havana", "2026-10-31T23:00-04:00", "2026-11-01T00:00-04:00"),  # midnight comes twice
    ],
)
def test_the_day_ends_at_midnight_though_clocks_change(zone: str, contact: str, free: str) -> None:
    shop = a_shop(boots=a_cap(period="day"))
    then = datetime.fromisoformat(free)
    verdict = judged(shop, at(contact), timezone=zone, now=then - timedelta(milliseconds=1))
    assert refused(verdict) == {"boots"}
    assert until(verdict) == then
    assert refused(judged(shop, at(contact), timezone=zone, now=then)) == set()


def test_a_week_and_a_month_over_a_change_of_clocks() -> None:
    in_paris = ZoneInfo("Europe/Paris")
    now = datetime(2026, 10, 24, 12, tzinfo=in_paris)
    for period, ends in (("week", datetime(2026, 10, 26)), ("month", datetime(2026, 11, 1))):  # noqa: DTZ001
        verdict = judged(a_shop(boots=a_cap(period=period)), met("boots", now=now), timezone="Europe/Paris", now=now)
        assert until(verdict) == ends.replace(tzinfo=in_paris)


def test_december_ends_with_the_year() -> None:
    now = datetime(2026, 12, 31, 12, tzinfo=UTC)
    verdict = judged(a_shop(boots=a_cap(period="month")), met("boots", now=now), now=now)
    assert until(verdict) == datetime(2027, 1, 1, tzinfo=UTC)


# Suppression


def test_a_dismissal_pauses_the_action_for_a_month() -> None:
    shop = a_shop(catalog=a_pause())
    verdict = judged(shop, met("boots", outcome="dismissal"))
    assert refused(verdict) == refused(verdict, "mail") == {"boots"}
    assert until(verdict) == NOW - HOUR + 30 * DAY
    assert refused(judged(shop, met("boots", 30 * DAY, outcome="dismissal"))) == set()


def test_three_impressions_in_a_week_pause_the_group() -> None:
    shop = a_shop(catalog=a_pause(outcome="impression", after=3, window="7d", per="group", pause="14d"))
    two = (met("boots", 9 * DAY), met("sandals", 2 * DAY))
    assert refused(judged(shop, *two, met("tote"))) == set()
    assert refused(judged(shop, *two, met("boots", DAY))) == set()  # the first is too long ago
    assert refused(judged(shop, *two, met("boots", DAY), met("boots", HOUR))) == {"boots", "sandals"}


def test_a_pause_lasts_though_the_window_has_passed() -> None:
    shop = a_shop(catalog=a_pause(after=2, window="1d", pause="30d"))
    verdict = judged(shop, met("boots", 10 * DAY, outcome="dismissal"), met("boots", 11 * DAY, outcome="dismissal"))
    assert refused(verdict) == {"boots"}
    assert until(verdict) == NOW + 20 * DAY


def test_a_further_dismissal_prolongs_the_pause() -> None:
    shop = a_shop(catalog=a_pause())
    contacts = (met("boots", 5 * DAY, outcome="dismissal"), met("boots", 20 * DAY, outcome="dismissal"))
    assert until(judged(shop, *contacts)) == NOW + 25 * DAY


def test_a_lone_dismissal_after_the_pause_began_does_not_end_it() -> None:
    shop = a_shop(catalog=a_pause(after=2, window="1d", pause="30d"))
    pair = (met("boots", 10 * DAY, outcome="dismissal"), met("boots", 10 * DAY, outcome="dismissal"))
    assert until(judged(shop, *pair, met("boots", outcome="dismissal"))) == NOW + 20 * DAY


def test_a_dismissal_can_pause_the_whole_issue() -> None:
    assert refused(judged(a_shop(sales=a_pause(per="issue")), met("tote", outcome="dismissal"))) == {
        "boots",
        "sandals",
        "tote",
    }


# Words


def why(verdict: Verdict, action: str = "boots", channel: str = "web") -> Refusal:
    refusal = verdict.why(ROWS.index(action), channel)
    assert refusal is not None
    return refusal


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (a_cap(2, window="7d"), "at most 2 impressions of the action in 7 days"),
        (a_cap(1, window="36h", per="group"), "at most 1 impression of its group in 36 hours"),
        (a_cap(1, window="90m", per="issue"), "at most 1 impression of its issue in 90 minutes"),
        (a_cap(1, window="90s", per="customer"), "at most 1 impression in 90 seconds"),
        (a_cap(2, window="24h", per="channel"), "at most 2 impressions on web in 1 day"),
        (
            a_cap(2, period="week", channels=["web", "mail"]),
            "at most 2 impressions of the action on mail or web in a calendar week",
        ),
        (a_cap(2, outcome=["impression", "click"]), "at most 2 impressions or clicks of the action in 7 days"),
        (a_cap(1, because="once a week is enough"), "once a week is enough"),
        (a_pause(outcome="impression"), "paused for 30 days after 1 impression of the action"),
        (
            a_pause(outcome="impression", after=2, window="7d", per="group"),
            "paused for 30 days after 2 impressions of its group within 7 days",
        ),
        (a_pause(outcome="impression", because="they said no"), "they said no"),
    ],
)
def test_a_refusal_says_why(policy: Mapping[str, Any], reason: str) -> None:
    now = met("boots", timedelta(0))
    assert why(judged(a_shop(boots=policy), now, now)).reason == reason


def test_a_refusal_says_when_it_ends_by_the_customers_clock() -> None:
    shop = a_shop(boots=a_cap(window="24h"))
    contact = met("boots", timedelta(minutes=30))
    assert why(judged(shop, contact)).change == "free again on 2026-09-22 11:30 UTC"
    assert why(judged(shop, contact, timezone="Europe/Paris")).change == (
        "free again on 2026-09-22 13:30 by Europe/Paris"
    )


def test_at_the_minute_that_a_refusal_names_it_is_over() -> None:
    shop = a_shop(boots=a_cap(window="24h"))
    verdict = judged(shop, met("boots", timedelta(seconds=59, milliseconds=999)))
    assert why(verdict).change == "free again on 2026-09-22 12:00 UTC"
    assert why(judged(shop, met("boots", timedelta(seconds=-1)))).change == "free again on 2026-09-22 12:01 UTC"


def test_of_several_refusals_the_longest_is_told() -> None:
    shop = a_shop(
        boots={"caps": [a_cap(window="2d")["caps"], a_cap(window="9d")["caps"], a_cap(window="4d")["caps"]]},
        sandals={"caps": [a_cap(window="9d")["caps"], a_cap(0, because="sold out")["caps"]]},
    )
    verdict = judged(shop, met("boots"), met("sandals"))
    assert why(verdict).reason == "at most 1 impression of the action in 9 days"
    assert until(verdict) == NOW - HOUR + 2 * DAY
    assert why(verdict, "sandals").reason == "sold out"


def test_who_may_go_out_needs_no_reason() -> None:
    verdict = judged(a_shop(boots=a_cap(channels="web")), met("boots"))
    assert verdict.why(ROWS.index("boots"), "mail") is None
    assert verdict.why(ROWS.index("tote"), "web") is None


# The plan


def planned(**contact: Any) -> ContactPlan:
    return compile_contact(a_shop(**contact), ROWS)


def test_a_catalogue_without_limits_needs_no_judging() -> None:
    assert planned().empty
    assert not planned(tote=a_cap()).empty
    assert not planned(sales=a_pause()).empty
    assert planned().judge([met("boots")], "", NOW).blocked("web") == 0


def test_a_limit_where_there_is_no_action_limits_nothing() -> None:
    bare = a_catalog([], contact=a_cap(per="customer"))
    assert compile_contact(bare, ()).empty
    assert compile_contact(bare, ()).judge([met("boots")], "", NOW).blocked("web") == 0


def test_the_plan_says_whether_decisions_count() -> None:
    assert planned(tote=a_cap()).counted_on == frozenset()
    assert planned(tote=a_cap(outcome=["click", "decision"])).counted_on is None
    assert planned(tote=a_cap(outcome="decision", channels=["email"])).counted_on == {"email"}
    assert planned(sales=a_pause(outcome="decision")).counted_on is None


def test_the_plan_says_whether_one_choice_may_use_up_what_another_needs() -> None:
    assert not planned(catalog=a_cap(), sales=a_cap(outcome="click", per="issue")).pooled
    for per in ("group", "issue", "channel", "customer"):
        assert planned(tote=a_cap(per=per)).pooled


def test_what_was_just_chosen_for_one_slot_is_judged_for_the_next() -> None:
    plan = planned(catalog=a_cap(1, outcome="decision", per="customer"))
    assert refused(plan.judge((), "", NOW)) == set()
    assert refused(plan.judge(promised(met("boots", timedelta(0))), "", NOW)) == EVERYTHING


def test_ten_thousand_actions_with_policies_of_their_own() -> None:
    actions = [
        an_action(f"a{n:05}", contact=a_cap(1 + n % 7, because=f"rule {n}", channels=("web", "mail")[n % 2]))
        for n in range(10_000)
    ]
    rows = [f"a{n // 2:05}" for n in range(20_000)]
    plan = compile_contact(a_catalog(actions, contact=a_cap(3, per="group")), rows)
    verdict = plan.judge([met("a07000"), met("a00009", channel="mail")], "", NOW)
    assert verdict.blocked("web") == 0b11 << 14_000
    assert verdict.blocked("mail") == 0
    assert verdict.why(14_001, "web") == Refusal("rule 7000", "free again on 2026-09-28 11:00 UTC")
    crowd = [met(f"a{n:05}") for n in (1, 2, 3)]
    assert plan.judge(crowd, "", NOW).blocked("app") == (1 << 20_000) - 1


# Laws


spans = st.one_of(
    st.fixed_dictionaries({"window": st.sampled_from(["1m", "1h", "24h", "36h", "7d"])}),
    st.fixed_dictionaries({"period": st.sampled_from(["day", "week", "month"])}),
)
outcomes = st.lists(st.sampled_from(["decision", "impression", "click", "dismissal"]), min_size=1, max_size=2)
caps = st.builds(
    lambda span, fields: {**span, **fields},
    spans,
    st.fixed_dictionaries(
        {
            "limit": st.integers(0, 3),
            "per": st.sampled_from(["action", "group", "issue", "channel", "customer"]),
            "outcome": outcomes,
            "channels": st.lists(st.sampled_from(CHANNELS), max_size=2),
        }
    ),
)
suppressions = st.fixed_dictionaries(
    {
        "outcome": outcomes,
        "after": st.integers(1, 3),
        "window": st.sampled_from(["1m", "1h", "24h"]),
        "pause": st.sampled_from(["1m", "12h", "7d"]),
        "per": st.sampled_from(["action", "group", "issue"]),
    }
)
policies = st.fixed_dictionaries(
    {"caps": st.lists(caps, max_size=2), "suppressions": st.lists(suppressions, max_size=1)}
)
shops = st.dictionaries(st.sampled_from(LEVELS), policies, max_size=4).map(lambda contact: a_shop(**contact))
moments = st.one_of(
    st.integers(-10 * 1_440, 1_440).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(-90_000, 90_000).map(lambda some: timedelta(milliseconds=some)),
)
contacts_ = st.lists(
    st.builds(
        lambda outcome, action, channel, when: Met(outcome, action, channel, ms(NOW + when), ""),
        st.sampled_from(["decision", "impression", "click", "dismissal"]),
        st.sampled_from([*ROWS, "discontinued"]),
        st.sampled_from([*CHANNELS, ""]),
        moments,
    ),
    max_size=15,
)


def standing(catalog: Catalog) -> dict[str, tuple[str, tuple[str, str]]]:
    return {action.id: (issue.id, (issue.id, group.id)) for issue, group, action in catalog.actions()}


def above(catalog: Catalog, wanted: str) -> Iterator[Cap | Suppression]:
    for issue, group, action in catalog.actions():
        if action.id == wanted:
            for level in (catalog, issue, group, action):
                yield from level.contact.caps
                yield from level.contact.suppressions


def counted(
    catalog: Catalog, declared: Cap | Suppression, action: str, channel: str, contacts: Sequence[Met]
) -> list[int]:
    """When the outcomes happened that a declaration counts for an action on a channel; told by its definition."""
    place = standing(catalog)
    channels = declared.channels if isinstance(declared, Cap) else ()
    same: dict[str, Callable[[Met], bool]] = {
        "action": lambda one: one.action == action,
        "group": lambda one: one.action in place and place[one.action][1] == place[action][1],
        "issue": lambda one: one.action in place and place[one.action][0] == place[action][0],
        "channel": lambda one: one.channel == channel,
        "customer": lambda one: True,
    }
    return sorted(
        one.timestamp_ms
        for one in contacts
        if one.outcome in declared.outcome and same[declared.per](one) and (not channels or one.channel in channels)
    )


def period_of(at_ms: int, period: str, zone: ZoneInfo) -> tuple[int, ...]:
    day = datetime.fromtimestamp(at_ms / 1_000, zone).date()
    if period == "week":
        return day.isocalendar()[:2]
    return (day.year, day.month, day.day) if period == "day" else (day.year, day.month)


def used(cap: Cap, times: Sequence[int], now_ms: int, zone: ZoneInfo) -> int:
    if cap.window is not None:
        return sum(one > now_ms - cap.window * 1_000 for one in times)
    assert cap.period is not None
    current = period_of(now_ms, cap.period, zone)
    return sum(period_of(one, cap.period, zone) >= current for one in times)


def pauses(declared: Suppression, times: Sequence[int], now_ms: int) -> bool:
    return any(
        last - first <= declared.window * 1_000 and now_ms < last + declared.pause * 1_000
        for first, last in zip(times, times[declared.after - 1 :], strict=False)
    )


def refuses(
    catalog: Catalog, declared: Cap | Suppression, action: str, channel: str, contacts: Sequence[Met], zone: ZoneInfo
) -> bool:
    times = counted(catalog, declared, action, channel, contacts)
    if isinstance(declared, Suppression):
        return pauses(declared, times, ms(NOW))
    if declared.channels and channel not in declared.channels:
        return False
    return used(declared, times, ms(NOW), zone) >= declared.limit


def zone_of(timezone: str) -> ZoneInfo:
    return ZoneInfo("UTC" if timezone in ("", "Mars/Olympus") else timezone)


@settings(max_examples=300, deadline=None)
@given(shops, contacts_, st.sampled_from(ZONES))
def test_rows_are_refused_exactly_by_the_definition(catalog: Catalog, contacts: list[Met], timezone: str) -> None:
    verdict = judged(catalog, *contacts, timezone=timezone)
    for channel in CHANNELS:
        expected = {
            action
            for action in EVERYTHING
            if any(
                refuses(catalog, declared, action, channel, contacts, zone_of(timezone))
                for declared in above(catalog, action)
            )
        }
        assert refused(verdict, channel) == expected
        told = {action for row, action in enumerate(ROWS) if verdict.why(row, channel) is not None}
        assert told == expected


@settings(max_examples=200, deadline=None)
@given(shops, contacts_, st.sampled_from(ZONES), st.floats(0, 1, exclude_max=True))
def test_a_verdict_holds_until_the_time_that_it_names(
    catalog: Catalog, contacts: list[Met], timezone: str, part: float
) -> None:
    plan = compile_contact(catalog, ROWS)
    verdict = plan.judge(contacts, timezone, NOW)
    span_ms = (verdict.until_ms or ms(NOW + 1_000 * DAY)) - ms(NOW)
    assert span_ms > 0
    for later_ms in (int(part * span_ms), span_ms - 1):
        later = plan.judge(contacts, timezone, NOW + timedelta(milliseconds=later_ms))
        for channel in CHANNELS:
            assert later.blocked(channel) == verdict.blocked(channel)
        assert later.until_ms == verdict.until_ms


@settings(max_examples=150, deadline=None)
@given(
    shops,
    st.sampled_from(ZONES),
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 30_000, 60_000, 1_800_000, 7_200_000, 50_000_000]),
            st.sampled_from(ROWS),
            st.sampled_from(CHANNELS),
            st.sampled_from(["decision", "impression"]),
        ),
        max_size=40,
    ),
)
def test_no_cap_is_ever_exceeded(catalog: Catalog, timezone: str, steps: list[tuple[int, str, str, str]]) -> None:
    plan, zone, now, contacts = compile_contact(catalog, ROWS), zone_of(timezone), NOW, list[Met]()
    for passed_ms, action, channel, outcome in steps:
        now += timedelta(milliseconds=passed_ms)
        if plan.judge(contacts, timezone, now).blocked(channel) >> ROWS.index(action) & 1:
            continue
        contacts.append(Met(outcome, action, channel, ms(now), ""))
        for cap in above(catalog, action):
            if isinstance(cap, Cap) and outcome in cap.outcome and (not cap.channels or channel in cap.channels):
                times = counted(catalog, cap, action, channel, contacts)
                assert used(cap, times, ms(now), zone) <= cap.limit


@settings(max_examples=100, deadline=None)
@given(shops, contacts_, st.randoms(use_true_random=False))
def test_the_order_of_the_catalogue_does_not_matter(catalog: Catalog, contacts: list[Met], random: Any) -> None:
    def shuffled(some: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(random.sample(some, len(some)))

    other = catalog.model_copy(
        update={
            "issues": shuffled(
                [
                    issue.model_copy(
                        update={
                            "groups": shuffled(
                                [one.model_copy(update={"actions": shuffled(one.actions)}) for one in issue.groups]
                            )
                        }
                    )
                    for issue in catalog.issues
                ]
            )
        }
    )
    verdict, same = judged(catalog, *contacts), judged(other, *contacts)
    assert same.until_ms == verdict.until_ms
    for channel in CHANNELS:
        assert same.blocked(channel) == verdict.blocked(channel)
        for row in range(len(ROWS)):
            assert same.why(row, channel) == verdict.why(row, channel)
