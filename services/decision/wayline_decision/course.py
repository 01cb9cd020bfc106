"""The placements of a recorded request, slot by slot: with what chance all came out as they did, then and now.

What a slot holds is no candidate for those after it, be it of the same placement or of a later one. So what was seen
there was seen given all before, and counts as often as the other policy would have come by the same way (Precup, Sutton
and Singh, 'Eligibility traces for off-policy policy evaluation', 2000: per-decision importance sampling).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import NamedTuple

from wayline.v1 import decision_pb2
from wayline_decision.core.changes import Pick
from wayline_decision.core.decision import Decision, Filled
from wayline_decision.core.evidence import SILENCE
from wayline_decision.core.odds import first_slot_distribution
from wayline_decision.core.plan import Plan
from wayline_decision.core.ranking import ranking_chance, slots_given

MOST_SLOTS = 10
"""Of a placement that are valued. Those after them come out alike too rarely to say anything."""
Recorded = decision_pb2.RecordedSelection


class Weighed(NamedTuple):
    """A slot, as recorded and under the other policy."""

    action: str
    chances: tuple[float, float] | None
    """Of it and of all before, then and now; None: one of them is not known."""
    target: Mapping[str, float]
    """Action to its chance under the other policy, given what is before, times the weight of that."""


class Course:
    """One request on its way."""

    def __init__(self, plan: Plan, decision: Decision, rows: Mapping[Pick, int]) -> None:
        """Begin before the first placement.

        Args:
            plan: of the other policy.
            decision: what it decides.
            rows: the plan's rows by action and treatment.
        """
        self._plan = plan
        self._rows = rows
        self._seed = decision.question.seed
        self._by_lot = decision.assignment.control == "random_propensity"
        self._then: float | None = 1.0
        self._now = 1.0
        self._held: list[int] = []
        self._begun = False

    def first(
        self,
        filled: Filled | None,
        was: Sequence[Recorded],
        slots: Sequence[float | None],
        target: Mapping[str, float],
    ) -> tuple[float, float] | None:
        """Of all before and the first slot, as recorded and under the other policy; None: one of them is not known."""
        chance = slots[0] if slots else 1.0
        if chance is None or self._then is None or (self._begun and self._by_lot):
            return None
        action = was[0].action if was else SILENCE
        if self._begun and self._now:
            target = self._given(filled)
        return self._then * chance, self._now * target.get(action, 0.0)

    def later(
        self, filled: Filled | None, was: Sequence[Recorded], slots: Sequence[float | None], empty: float | None
    ) -> Iterator[tuple[int, Weighed]]:
        """The slots of the placement after its first, as far as one of the two policies has them, with their numbers.

        Args:
            filled: the placement under the other policy; None: its catalogue lacks it.
            was: what it held.
            slots: the chance of each; None: not known.
            empty: the chance with which all others stayed empty.
        """
        contest = filled.contest if filled else None
        last = min(MOST_SLOTS, max(len(was), contest.slots if contest else 0))
        if last < 2:
            return
        given = self._slots_given(filled, [one.action for one in was])
        untold = self._by_lot or (filled is not None and filled.unrendered)
        then, now = self._then, self._now
        for at in range(last):
            action = was[at].action if at < len(was) else SILENCE
            chance = slots[at] if at < len(slots) else empty
            found = next(given, None) if now else None
            shares = {} if found is None else found or {SILENCE: 1.0}
            target = {one: share * now / then for one, share in shares.items()} if then else {}
            now *= shares.get(action, 0.0)
            then = None if chance is None or then is None else then * chance
            if at:
                yield at + 1, Weighed(action, None if then is None or untold else (then, now), target)

    def _slots_given(self, filled: Filled | None, actions: Sequence[str]) -> Iterator[Mapping[str, float]]:
        """For each slot, the chances of who stands in it, given that those before it hold `actions`."""
        if filled is None:
            return repeat({})
        if not self._begun and all(one.selection_probability == 1.0 for one in filled.choices):
            # Certain, and nothing stands before it: either it goes as it went, or there is no chance of it at all.
            rows = self._plan.rows
            return chain(({rows[one.row].action_id: 1.0} for one in filled.choices), repeat({}))
        return slots_given(self._plan, filled.standing, filled.contest, self._held, actions, self._seed)

    def go_on(self, filled: Filled | None, was: Sequence[Recorded], slots: Sequence[float | None]) -> None:
        """To the next placement."""
        self._begun = True
        for chance in slots:
            self._then = None if chance is None or self._then is None else self._then * chance
        rows = [self._rows.get(pick, -1) for pick in picks_of(was)]
        if filled is None or -1 in rows:
            self._now *= not rows
        elif self._now and not self._by_lot:
            contest = filled.contest
            self._now *= ranking_chance(self._plan, filled.standing, contest, self._held, rows, self._seed)
        self._held += rows

    def _given(self, filled: Filled | None) -> Mapping[str, float]:
        if filled is None or filled.contest is None:
            return {SILENCE: 1.0}
        return by_action(self._plan, filled, self._held, self._seed)


def by_action(plan: Plan, filled: Filled, before: Sequence[int], seed: int) -> Mapping[str, float]:
    """Action to the chance that it comes first in a placement for which somebody competes."""
    assert filled.contest is not None
    rows = first_slot_distribution(plan, filled.standing, filled.contest, before, seed)
    return {plan.rows[row].action_id: chance for row, chance in rows.items()} or {SILENCE: 1.0}


def picks_of(selections: Sequence[Recorded]) -> list[Pick]:
    """What a placement held, the best first."""
    return [(one.action, one.treatment) for one in selections]
