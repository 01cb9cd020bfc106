"""Schedules and quiet hours: which rows the clock blocks, on which channels it is quiet, until when, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from wayline.catalog.model import Catalog
from wayline_decision.core.timetable import Moment, Timetable, compile_week, in_words, milliseconds, zone_named

_CUSTOMER = "customer"
_MOST_ZONES = 1_024
"""The world has some 600 names of zones; what a customer's events call one may be any text."""


class _Local(NamedTuple):
    """A timetable and whose clock it goes by: a zone's, or 'customer'."""

    place: str
    timetable: Timetable


class _Judged(NamedTuple):
    """A timetable, and the moment at which it was looked at."""

    timetable: Timetable
    moment: Moment


@dataclass(frozen=True, slots=True)
class ScheduleVerdict:
    """What the clock says for the customers of one zone. It holds from `since_ms` to before `until_ms`."""

    blocked: int
    """The rows that may not be chosen, as a bit set."""
    quiet: frozenset[str]
    """The channels on which nothing goes out."""
    since_ms: int
    """When it was judged, since 1970."""
    until_ms: int
    """From when it may differ, since 1970; 0: it never will."""
    blocks: tuple[tuple[int, _Judged], ...]
    """What blocks, with its rows as a bit set, in the catalogue's order."""
    quiet_by: Mapping[str, _Judged]
    """The quiet hours by channel, where they hold."""

    def why(self, row: int) -> tuple[str, str] | None:
        """Why the clock blocks a row, and what would have to change. None: it does not."""
        for rows, judged in self.blocks:
            if rows >> row & 1:
                return _reason(judged), _change(judged)
        return None

    def why_quiet(self, channel: str) -> tuple[str, str] | None:
        """Why nothing goes out on a channel, and what would have to change. None: something may."""
        judged = self.quiet_by.get(channel)
        if judged is None:
            return None
        timetable, moment = judged
        end = timetable.next_time(moment, is_open=False)
        change = f"it would have to be {end.shown()} or later" if end else "its quiet hours would have to be other ones"
        return f"quiet hours, {timetable.week.words} {moment.zone.key}", change


class SchedulePlan:
    """Every distinct schedule once, with its rows; and what was judged last, by zone.

    Any number of threads may judge: a verdict is replaced, never changed.
    """

    def __init__(self, zone: ZoneInfo, schedules: Mapping[_Local, int], quiet: Mapping[str, _Local]) -> None:
        """Judge `schedules`, with the rows of each as a bit set, and `quiet` hours by channel.

        `zone` is for customers of whom none is known.
        """
        self._zone = zone
        self._schedules = schedules
        self._quiet = quiet
        self._by_customer = any(local.place == _CUSTOMER for local in (*schedules, *quiet.values()))
        self._held: dict[str, ScheduleVerdict] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing depends on the clock."""
        return not self._schedules and not self._quiet

    def judge(self, now: datetime, customer_zone: str) -> ScheduleVerdict:
        """What may be chosen now for a customer in `customer_zone`.

        Args:
            now: with an offset.
            customer_zone: an IANA name; empty, or not known to this machine: the catalogue's.
        """
        place = customer_zone if self._by_customer else ""
        now_ms = milliseconds(now)
        held = self._held.get(place)
        # A replay asks about the past: a verdict says nothing of the time before it.
        if held is not None and held.since_ms <= now_ms and (now_ms < held.until_ms or not held.until_ms):
            return held
        verdict = self._judge(now, place)
        if len(self._held) >= _MOST_ZONES:
            self._held = {}
        self._held[place] = verdict
        return verdict

    def _judge(self, now: datetime, customer_zone: str) -> ScheduleVerdict:
        moments: dict[str, Moment] = {}
        changes: list[int] = []

        def looked_at(local: _Local) -> _Judged:
            if local.place not in moments:
                name = customer_zone if local.place == _CUSTOMER else local.place
                moments[local.place] = Moment.of(now, zone_named(name) or self._zone)
            judged = _Judged(local.timetable, moments[local.place])
            change_ms = local.timetable.next_change_ms(judged.moment)
            if change_ms is not None:
                changes.append(change_ms)
            return judged

        schedules = [(rows, looked_at(local)) for local, rows in self._schedules.items()]
        quiet = {channel: looked_at(local) for channel, local in self._quiet.items()}
        blocks = tuple((rows, one) for rows, one in schedules if not one.timetable.is_open(one.moment))
        blocked = 0
        for rows, _ in blocks:
            blocked |= rows
        quiet_by = {channel: one for channel, one in quiet.items() if one.timetable.is_open(one.moment)}
        return ScheduleVerdict(
            blocked, frozenset(quiet_by), milliseconds(now), min(changes, default=0), blocks, quiet_by
        )


def compile_schedule(catalog: Catalog, action_of_row: Sequence[str]) -> SchedulePlan:
    """The schedules of issues, groups and actions, and the quiet hours of channels.

    Args:
        catalog: has passed `wayline.catalog.check`.
        action_of_row: [T] the id of each row's action.
    """
    rows_of: defaultdict[str, int] = defaultdict(int)
    for row, action_id in enumerate(action_of_row):
        rows_of[action_id] |= 1 << row
    schedules: defaultdict[_Local, int] = defaultdict(int)
    for action_id, local in _schedules(catalog):
        schedules[local] |= rows_of[action_id]
    quiet = {
        name: _Local(
            channel.quiet_hours.timezone or catalog.timezone, Timetable(compile_week((), (channel.quiet_hours,)))
        )
        for name, channel in catalog.channels.items()
        if channel.quiet_hours
    }
    return SchedulePlan(ZoneInfo(catalog.timezone), dict(schedules), quiet)


def _schedules(catalog: Catalog) -> Iterator[tuple[str, _Local]]:
    """Each schedule that an action is under, from the top."""
    for levels in catalog.actions():
        for level in levels:
            declared = level.schedule
            if declared is not None:
                timetable = Timetable(compile_week(declared.days, declared.hours), declared.starts, declared.ends)
                yield levels[2].id, _Local(declared.timezone or catalog.timezone, timetable)


def _reason(judged: _Judged) -> str:
    timetable, moment = judged
    if timetable.starts is not None and timetable.is_early(moment):
        return f"not before {in_words(timetable.starts, moment.zone)}"
    if timetable.ends is not None and timetable.is_over(moment):
        return f"only before {in_words(timetable.ends, moment.zone)}"
    return f"only {timetable.week.words} {moment.zone.key}"


def _change(judged: _Judged) -> str:
    timetable, moment = judged
    if timetable.is_over(moment):
        return "'ends' of its schedule would have to be later"
    first = timetable.next_time(moment, is_open=True)
    return f"it would have to be {first.shown()} or later" if first else "its schedule would have to be another one"
