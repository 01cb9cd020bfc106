"""Stages without rules: why experiments, the clock, budgets, contact policy, maturity or a floor dropped a row."""

from __future__ import annotations

import numpy as np

from wayline_decision.core.decision import Decision, Filled
from wayline_decision.core.maturity import lot_numbers, share_of
from wayline_decision.core.plan import Plan, Stage


def why_barred(plan: Plan, decision: Decision, filled: Filled, at: int, stage: Stage) -> tuple[str, str]:
    """Why a row was dropped at a stage that `Filled.barred` has it at, and what would have to change."""
    channel = filled.placement.channel
    why: tuple[str, str] | None = None
    match stage:
        case Stage.EXPERIMENT:
            group = "holdout" if decision.assignment.held_out else "action's control group"
            change = f"the {group} would have to be smaller, or drawn with another salt"
            why = decision.assignment.because(at), change
        case Stage.SCHEDULE if decision.schedule is not None:
            why = decision.schedule.why_quiet(channel) or decision.schedule.why(at)
        case Stage.BUDGET:
            why = plan.budgets.why(plan.rows[at].action_id, decision.now)
        case Stage.CONTACT if decision.contact is not None:
            why = decision.contact.why(at, channel)
        case Stage.MATURITY:
            why = _unreached(plan, decision, at)
        case Stage.FLOOR:
            why = _too_low(plan, filled, at)
    assert why is not None, f"nothing at the stage {stage.name} drops row {at}"
    return why


def _unreached(plan: Plan, decision: Decision, at: int) -> tuple[str, str]:
    """The share that an action reaches grows with its positives: this customer's number says from how many on."""
    action, maturity = plan.rows[at].action, plan.arbitration.maturity
    assert maturity is not None
    positives = decision.models.positives[action]
    share = share_of(np.array([positives]), maturity).item()
    number = lot_numbers(decision.question.lot, plan.salts[action : action + 1]).item()
    wanted = int((number - maturity.start) / (1.0 - maturity.start) * maturity.positives) + 1
    return (
        f"new: with {positives:.6g} positive responses it reaches {share:.1%} of customers, and not yet this one",
        f"it reaches this customer from {wanted:,} positive responses on",
    )


def _too_low(plan: Plan, filled: Filled, at: int) -> tuple[str, str]:
    standing = filled.standing.usual or filled.standing
    action = plan.rows[at].action
    propensity, priority = standing.propensity.item(action), standing.row_priority.item(at)
    if plan.floors is not None:
        least_propensity, least_priority = plan.floors[0].item(action), plan.floors[1].item(action)
        if propensity < least_propensity:
            reason = f"its propensity {propensity:.6g} is below the floor"
            return reason, f"a propensity of at least {least_propensity:.6g}"
        if priority < least_priority:
            return f"its priority {priority:.6g} is below the floor", f"a priority of at least {least_priority:.6g}"
    reason = f"rather silence: its priority {priority:.6g} is below the placement's"
    return reason, f"a priority of at least {filled.placement.silence:.6g}"
