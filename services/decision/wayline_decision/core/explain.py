"""Why not: for every row of a placement that was not chosen, the stage and the rule that dropped it.

And what would have to change: the nearest thing by which the row would pass that stage. It may be dropped by a later
one then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wayline_decision.core.barred import why_barred
from wayline_decision.core.beside import Beside
from wayline_decision.core.bitset import bits
from wayline_decision.core.decision import Decision, Filled
from wayline_decision.core.dropped import Dropped
from wayline_decision.core.outranked import outranked
from wayline_decision.core.plan import Plan, Stage
from wayline_decision.core.unmet import Unmet


def dropped(plan: Plan, decision: Decision, filled: Filled) -> Iterator[Dropped]:
    """Every row of the placement that was not chosen, by action and treatment id."""
    chosen = {one.row for one in filled.chosen}
    why = _Why(plan, decision, filled)
    for at in bits(filled.placement.rows):
        if at not in chosen:
            yield why.dropped(at)


class _Why:
    """One placement of a decision, looked at afterwards."""

    def __init__(self, plan: Plan, decision: Decision, filled: Filled) -> None:
        self._plan = plan
        self._decision = decision
        self._filled = filled
        self._unmet = Unmet(plan, decision, filled)
        self._beside = Beside(plan, decision, filled)

    def dropped(self, at: int) -> Dropped:
        plan, filled = self._plan, self._filled
        if filled.denied is not None:
            return self._drop(at, Stage.CONSENT, filled.denied.reason, filled.denied.change)
        return (
            self._by_itself(at)
            or self._not_whole(at)
            or self._drop(at, Stage.ARBITRATION, *outranked(plan, self._decision, filled, at))
        )

    def _by_itself(self, at: int) -> Dropped | None:
        """Whatever the rest of its bundle."""
        filled = self._filled
        forced = filled.contest is not None and filled.contest.forced >> at & 1
        barred = {stage for stage, rows in filled.barred if rows >> at & 1 and not (forced and stage is Stage.FLOOR)}
        for stage in Stage:
            if stage in barred:
                return self._drop(at, stage, *why_barred(self._plan, self._decision, filled, at, stage))
            found = self._unmet.dropped(at, stage)
            if found is not None:
                return found
        return self._not_rendered(at) or self._beside.dropped(at)

    def _drop(self, at: int, stage: Stage, reason: str, change: str) -> Dropped:
        return Dropped(at, stage, "", reason, change)

    def _not_rendered(self, at: int) -> Dropped | None:
        if not self._filled.unrendered >> at & 1:
            return None
        plan, failures = self._plan, self._decision.failures
        row = plan.rows[at]
        name = f"content:{row.action_id}/{row.treatment_id} "
        failure = next((one.removeprefix(name) for one in failures if one.startswith(name)), None)
        for other in () if failure else plan.company.bundles.get(row.action, ()):
            member = plan.actions[other].id
            if any(one.startswith(f"content:{member}/") for one in failures):
                reason = f"it won a slot, but its bundle would not be whole without {member}, whose content failed"
                return self._drop(at, Stage.ARBITRATION, reason, f"the template of {member}")
        return self._drop(
            at, Stage.ARBITRATION, f"it won a slot, but its content {failure or 'failed'}", "its template"
        )

    def _not_whole(self, at: int) -> Dropped | None:
        """By the rest of its bundle."""
        plan, filled = self._plan, self._filled
        action = plan.rows[at].action
        others = plan.company.bundles.get(action)
        if others is None or filled.contest is None:
            return None
        company, left = self._beside.company(), self._beside.left
        among = filled.contest.open & ~company.shut
        partners = company.partners(action, among, left)
        if partners is not None:
            return self._capped_beside(at, partners)
        if len(others) >= left:
            reason = f"its bundle needs {len(others) + 1} slots, of which {left} were left"
            return self._drop(at, Stage.COMPANY, reason, "more slots, or an earlier one for it")
        missing = [other for other in others if not among & plan.company.rows_of(other)] or others
        reasons, changes = zip(*(self._missing(other) for other in missing), strict=True)
        reason = f"its bundle would not be whole without {' and without '.join(reasons)}"
        return self._drop(at, Stage.COMPANY, reason, "; and ".join(changes))

    def _capped_beside(self, at: int, partners: Sequence[int]) -> Dropped | None:
        """By a shared cap that its bundle would break, one after the other."""
        for place, row in enumerate(partners):
            refusal = self._beside.refusal(row, [at, *partners[:place]])
            if refusal is not None:
                name = self._plan.rows[row].action_id
                reason = f"its bundle would not be whole without {name}, which is dropped at the stage contact"
                reason += f": {refusal.reason}, which this response and the rest of the bundle use up"
                return self._drop(
                    at, Stage.COMPANY, reason, "a higher limit, a smaller bundle, or fewer choices before it"
                )
        return None

    def _missing(self, action: int) -> tuple[str, str]:
        """A member of a bundle that cannot go out: its name with why, and what would have to change for it."""
        plan, placement = self._plan, self._filled.placement
        name, rows = plan.actions[action].id, placement.rows & plan.company.rows_of(action)
        why: Dropped | None = None  # of several treatments, the one that came furthest
        for row in bits(rows):
            found = self._by_itself(row)
            if found is None:
                return name, f"{name} would have to pass as well"
            if why is None or found.stage > why.stage:
                why = found
        if why is None:
            return f"{name}, which has no treatment for {placement.id}", f"{name} would need a treatment for it"
        return f"{name}, which is dropped at the stage {why.stage.name.lower()}: {why.reason}", f"{name}: {why.change}"
