"""Why not: for every row of a placement that was not chosen, the stage and the rule that dropped it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wayline_decision.core.decide import Decision, Filled
from wayline_decision.core.plan import Plan, Stage, bits


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that was not chosen. `rule` is empty where no rule decided."""

    row: int
    stage: Stage
    rule: str
    reason: str


def dropped(plan: Plan, decision: Decision, filled: Filled) -> Iterator[Dropped]:
    """Every row of the placement that was not chosen, by action and treatment id."""
    chosen = {one.row for one in filled.chosen}
    # A stand-in for 'used by an earlier placement': an action never appears twice in one response.
    elsewhere = {plan.rows[one.row].action for other in decision.placements for one in other.chosen}
    for at in bits(filled.placement.rows):
        if at not in chosen:
            yield _why(plan, decision, filled, at, elsewhere)


def _why(plan: Plan, decision: Decision, filled: Filled, at: int, elsewhere: set[int]) -> Dropped:
    if filled.denied_purpose:
        return Dropped(at, Stage.CONSENT, "", f"no consent for {filled.denied_purpose}")
    row = plan.rows[at]
    for rule in row.rules:
        if not decision.screened.met[rule.condition]:
            expression = plan.conditions[rule.condition]
            error = decision.screened.errors.get(rule.condition)
            if error:
                return Dropped(at, rule.stage, expression, f"could not be evaluated: {error}")
            return Dropped(at, rule.stage, expression, f"not met: {rule.because or expression}")
    if row.action in elsewhere:
        return Dropped(at, Stage.ARBITRATION, "", "the action is already in this response")
    return Dropped(at, Stage.ARBITRATION, "", f"others ranked higher; its priority was {decision.row_priority[at]:.6g}")
