"""The breaker: when most decisions come too late, none is tried for a while, so that callers have their answer at once.

A state machine without a clock of its own. Closed, every decision is tried. Open, none is. Half open, single ones are
tried: the first that is in time closes the breaker, one that is late opens it again.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

REFUSED = 0
"""The ticket of a decision that is not to be tried."""
_PARTS = 10
"""Of the window: what happened is forgotten after the window, or up to a tenth of it later."""


class Position(Enum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """When a breaker opens, and for how long."""

    least: int = 20
    """So many decisions in the window at least: fewer say nothing."""
    share: float = 0.5
    """It opens when so many of them were breaches, 0 to 1."""
    window_seconds: float = 10.0
    pause_seconds: float = 5.0
    """From opening to the first trial, and how long a trial is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of position, for the log."""

    position: Position
    decisions: int = 0
    """When it opened: those that opened it."""
    breaches: int = 0
    """Those of them that were too late."""


class Breaker:
    """Counts breaches, and says whether to try. Thread-safe. Times are seconds of any clock that does not go back.

    Who is admitted gets a ticket, and says with it how it went. Only tickets of the present position count: a decision
    that began before the breaker opened, and ends while it is half open, is no news.
    """

    def __init__(
        self, limits: BreakerLimits | None = None, *, report: Callable[[Change], None] = lambda _: None
    ) -> None:
        """Closed. `report` is told of each change of position, by the thread that brings it about; it must not wait."""
        self._limits = BreakerLimits() if limits is None else limits
        self._report = report
        self._lock = threading.Lock()
        self._position = Position.CLOSED
        self._ticket = REFUSED + 1
        self._until = 0.0
        """While it is open or half open: when the next trial may be made."""
        self._decisions = self._breaches = 0
        self._parts: deque[tuple[float, int, int]] = deque()
        """When each part of the window began, and what had been counted until then."""
        self._part_ends = -math.inf

    @property
    def position(self) -> Position:
        """Where it stands. An open one becomes half open with the first decision after the pause."""
        return self._position

    def admit(self, now: float) -> int:
        """A ticket to try a decision, or `REFUSED`."""
        position = self._position
        if position is Position.CLOSED:  # without the lock: one look needs none
            return self._ticket
        with self._lock:
            if self._position is Position.CLOSED:
                return self._ticket
            if now < self._until:
                return REFUSED
            # The pause is over; or the trial was not heard of for as long as that, and another one is made.
            self._try(now)
            return self._ticket

    def record(self, ticket: int, now: float, *, breached: bool) -> None:
        """Say how a decision went: `breached` when it took too long or missed its deadline."""
        with self._lock:
            if ticket != self._ticket or self._position is Position.OPEN:
                return
            if self._position is Position.CLOSED:
                if now >= self._part_ends:
                    self._begin_part(now)
                self._decisions += 1
                self._breaches += breached
                if self._breaches and self._opens():
                    self._open(now)
            elif breached:
                self._open(now)
            else:
                self._close()

    def _opens(self) -> bool:
        decisions, breaches = self._in_window()
        return decisions >= self._limits.least and breaches >= self._limits.share * decisions

    def _in_window(self) -> tuple[int, int]:
        _, decisions, breaches = self._parts[0]
        return self._decisions - decisions, self._breaches - breaches

    def _begin_part(self, now: float) -> None:
        while self._parts and self._parts[0][0] <= now - self._limits.window_seconds:
            self._parts.popleft()
        self._parts.append((now, self._decisions, self._breaches))
        self._part_ends = now + self._limits.window_seconds / _PARTS

    def _open(self, now: float) -> None:
        decisions, breaches = self._in_window() if self._position is Position.CLOSED else (1, 1)
        self._position, self._ticket = Position.OPEN, self._ticket + 1
        self._until = now + self._limits.pause_seconds
        self._report(Change(position=Position.OPEN, decisions=decisions, breaches=breaches))

    def _try(self, now: float) -> None:
        known = self._position is Position.HALF_OPEN
        self._position, self._ticket = Position.HALF_OPEN, self._ticket + 1
        self._until = now + self._limits.pause_seconds
        if not known:
            self._report(Change(position=Position.HALF_OPEN))

    def _close(self) -> None:
        self._position, self._ticket = Position.CLOSED, self._ticket + 1
        self._decisions = self._breaches = 0
        self._parts.clear()
        self._part_ends = -math.inf
        self._report(Change(position=Position.CLOSED))
