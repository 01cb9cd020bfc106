"""The clock on the wall: moments in a zone, weeks of opening hours, and when either changes.

Days and hours are read off that clock: an hour that it skips in spring is not there, one that it repeats in autumn
counts twice. Hours over midnight belong to the day on which they start.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import get_args
from zoneinfo import ZoneInfo

import numpy as np

from wayline.catalog.contact import Day, Hours, at_clock

_DAYS: tuple[str, ...] = get_args(Day)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_MINUTE_MS = 60_000
_AHEAD = timedelta(days=1)
_MOST_STEPS = 64
"""More than a week has: it is open for at most 70 spells, of which the next is two steps away, or seven days."""
_LATEST_MS = (datetime(9_000, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND
"""After that the calendar of `datetime` ends, in some zone or other."""


def milliseconds(moment: datetime) -> int:
    """Since 1970; `moment` has an offset."""
    return (moment - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=1_024)
def zone_named(name: str) -> ZoneInfo | None:
    """A zone by its IANA name; None when this machine does not know it. Any text is taken.

    Kept, since to look in vain costs a search of the disk.
    """
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, as the clock of a zone shows it."""

    zone: ZoneInfo
    at_ms: int
    """Since 1970."""
    minute: int
    """Of the week, which begins on Monday."""
    minute_ms: int
    """When that minute began, since 1970."""
    even_until_ms: int
    """So far, at most a day ahead, the clock is not put forward or back."""

    @classmethod
    def of(cls, now: datetime, zone: ZoneInfo) -> Moment:
        """What the clock of `zone` shows at `now`, which has an offset."""
        utc = now.astimezone(UTC)
        local = utc.astimezone(zone)
        at_ms = milliseconds(utc)
        return cls(
            zone=zone,
            at_ms=at_ms,
            minute=local.weekday() * _DAY_MINUTES + local.hour * 60 + local.minute,
            minute_ms=at_ms - local.second * 1_000 - local.microsecond // 1_000,
            even_until_ms=_even_until_ms(utc, local.utcoffset(), zone),
        )

    def shown(self) -> str:
        """'2026-12-01 09:00 Europe/Paris'."""
        local = (_EPOCH + self.at_ms * _MILLISECOND).astimezone(self.zone)
        return f"{local:%Y-%m-%d %H:%M} {self.zone.key}"


def _even_until_ms(utc: datetime, offset: timedelta | None, zone: ZoneInfo) -> int:
    if (utc + _AHEAD).astimezone(zone).utcoffset() == offset:
        return milliseconds(utc + _AHEAD)
    before, after = int(utc.timestamp()), int((utc + _AHEAD).timestamp()) + 1
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after * 1_000


@dataclass(frozen=True, slots=True)
class Week:
    """Opening hours that come again every week."""

    edges: tuple[int, ...]
    """The minutes of the week at which it opens or closes, ascending; empty: always the same."""
    open_last: bool
    """Whether it is open in the last minute of the week."""
    words: str
    """'mon to fri, 09:00 to 17:00'; empty when it is always open."""

    def is_open(self, minute: int) -> bool:
        """In a minute of the week."""
        return self.open_last ^ bool(bisect_right(self.edges, minute) & 1)

    def minutes_left(self, minute: int) -> int | None:
        """Until it opens or closes next, from a minute of the week. None: it does not."""
        if not self.edges:
            return None
        at = bisect_right(self.edges, minute)
        return self.edges[at] - minute if at < len(self.edges) else self.edges[0] + _WEEK_MINUTES - minute


@lru_cache(maxsize=1_024)
def compile_week(days: tuple[str, ...], hours: tuple[Hours, ...]) -> Week:
    """The week of a schedule; no days are all days, no hours are all hours."""
    minutes = np.zeros(_WEEK_MINUTES, np.bool_)
    for day in days or _DAYS:
        midnight = _DAYS.index(day) * _DAY_MINUTES
        for start, length in [_spell(one) for one in hours] or [(0, _DAY_MINUTES)]:
            minutes[np.arange(midnight + start, midnight + start + length) % _WEEK_MINUTES] = True
    edges = np.flatnonzero(minutes != np.roll(minutes, 1))
    words = ", ".join(part for part in (_day_words(days), _hour_words(hours)) if part)
    return Week(tuple(edges.tolist()), bool(minutes[-1]), words)


def _spell(hours: Hours) -> tuple[int, int]:
    """From which minute of its day, for how many minutes."""
    start, end = (at_clock(text).hour * 60 + at_clock(text).minute for text in (hours.start, hours.end))
    return start, (end - start) % _DAY_MINUTES


def _day_words(days: Sequence[str]) -> str:
    """'mon to fri', 'mon, wed and sun'."""
    numbers = sorted({_DAYS.index(day) for day in days})
    names = [_DAYS[number] for number in numbers]
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{names[0]} to {names[-1]}"
    return _listed(names)


def _hour_words(hours: Sequence[Hours]) -> str:
    return _listed([f"{one.start} to {one.end}" for one in sorted(hours, key=lambda one: one.start)])


def _listed(words: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


@dataclass(frozen=True, slots=True)
class Timetable:
    """A week, from a start (inclusive) to an end (exclusive). Those without an offset are by the moment's zone."""

    week: Week
    starts: datetime | None = None
    ends: datetime | None = None

    def is_open(self, moment: Moment) -> bool:
        """Now."""
        return not self.is_early(moment) and not self.is_over(moment) and self.week.is_open(moment.minute)

    def is_early(self, moment: Moment) -> bool:
        """It has not started."""
        return self.starts is not None and moment.at_ms < _in_zone_ms(self.starts, moment.zone)

    def is_over(self, moment: Moment) -> bool:
        """It has ended."""
        return self.ends is not None and moment.at_ms >= _in_zone_ms(self.ends, moment.zone)

    def next_change_ms(self, moment: Moment) -> int | None:
        """Before this time it stays as it is; then it may differ. Since 1970; None: it will never differ."""
        if self.is_over(moment):
            return None
        if self.starts is not None and self.is_early(moment):
            return _in_zone_ms(self.starts, moment.zone)
        changes = [] if self.ends is None else [_in_zone_ms(self.ends, moment.zone)]
        minutes = self.week.minutes_left(moment.minute)
        if minutes is not None:
            # Where the clock is put forward or back, what it shows has to be looked up anew.
            changes.append(min(moment.minute_ms + minutes * _MINUTE_MS, moment.even_until_ms))
        return min(changes, default=None)

    def next_time(self, moment: Moment, *, is_open: bool) -> Moment | None:
        """The first moment from `moment` on at which it is open, or closed. None: there is none."""
        for _ in range(_MOST_STEPS):
            if self.is_open(moment) == is_open:
                return moment
            change_ms = self.next_change_ms(moment)
            if change_ms is None or change_ms > _LATEST_MS:
                return None
            moment = Moment.of(_EPOCH + change_ms * _MILLISECOND, moment.zone)
        return None


def in_words(moment: datetime, zone: ZoneInfo) -> str:
    """A declared time as it was declared; with the zone when it has no offset of its own."""
    shown = moment.isoformat(" ", "minutes")
    return shown if moment.tzinfo else f"{shown} {zone.key}"


def _in_zone_ms(moment: datetime, zone: ZoneInfo) -> int:
    """Since 1970. A time that the clock skips is as long after midnight as it would have been."""
    return milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=zone))
