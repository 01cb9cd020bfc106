"""By when a caller wants its answer, and how long may be waited for what goes into it."""

from __future__ import annotations

from math import inf

WORTH_ASKING_SECONDS = 0.001
"""With less time than that nobody is asked for anything: a call within the machine takes a third of it."""
MOST_FOR_TURN_SECONDS = 2.0
"""So long at most a decision waits for others, whatever its deadline: then something hangs."""
FAIR_SECONDS = 0.02
_SHARE_KEPT = 0.1
_KEPT_SECONDS = 0.02
_FOR_PROFILE_SECONDS = 0.05


class Deadline:
    """The deadline of one request. All times are seconds of one clock that does not go back."""

    __slots__ = ("_begun", "_remaining", "_typical", "waited_seconds")

    def __init__(self, begun: float, remaining_seconds: float | None, typical_seconds: float) -> None:
        """A request that came at `begun`.

        Args:
            begun: on the clock.
            remaining_seconds: until the caller gives up; None: it does not.
            typical_seconds: what a decision takes of late, once it is its turn.
        """
        self._begun = begun
        self._remaining = inf if remaining_seconds is None else remaining_seconds
        self._typical = typical_seconds
        self.waited_seconds = 0.0
        """For events, at the caller's wish."""

    def patience_for_events(self, now: float) -> float:
        """How long to wait for events: so that there is time to ask for the profile afterwards, in any case."""
        patience = self.patience(now)
        return patience if patience == inf else patience - min(_FOR_PROFILE_SECONDS, patience / 2)

    def patience(self, now: float) -> float:
        """How long to wait for the profile, once events were waited for; 0 or less: not at all.

        The rest is kept for deciding and for the way back: a tenth of what the caller gave, at least 20 ms or half of
        it, whichever is less, and at least three times what decisions take.
        """
        given = self._remaining
        if given == inf:
            return inf
        kept = max(min(_KEPT_SECONDS, given / 2), _SHARE_KEPT * given, 3 * self._typical)
        return given - kept - (now - self._begun)

    def patience_for_turn(self, now: float) -> float:
        """How long to wait for other decisions, from 0: until there is no time left to decide."""
        return max(0.0, min(MOST_FOR_TURN_SECONDS, self._begun + self._remaining - self._typical - now))

    def presses(self, now: float) -> bool:
        """Whether less time is left than decisions take."""
        return self._begun + self._remaining - now < self._typical

    def breached(self, now: float, budget_seconds: float) -> bool:
        """Whether an answer at this time is a breach: it took more than the budget, or it misses the deadline.

        A deadline of less than 20 ms is the caller's affair: it must not open the breaker for all others.
        """
        took = now - self._begun
        return took - self.waited_seconds > budget_seconds or (took > self._remaining >= FAIR_SECONDS)
