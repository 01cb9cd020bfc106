"""Why not: for every row of a placement that was not chosen, the stage and the rule that dropped it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wayline_decision.core.bitset import bits
from wayline_decision.core.decide import Decision, Filled
from wayline_decision.core.plan import Plan, Row, Stage


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that was not chosen. `rule` is empty where no rule decided; `change` is what would have to change."""

    row: int
    stage: Stage
    rule: str
    reason: str
    change: str = ""


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
        purpose = filled.denied_purpose
        return Dropped(
            at, Stage.CONSENT, "", f"no consent for {purpose}", f"the customer would have to allow {purpose}"
        )
    row = plan.rows[at]
    barred = {stage for stage, rows in filled.barred if rows >> at & 1}
    for stage in Stage:
        if stage in barred:
            return _barred(plan, decision, filled, at, stage)
        found = _unmet(plan, filled, row, at, stage) if _judged(decision, stage) else None
        if found is not None:
            return found
    if row.action in elsewhere:
        return Dropped(at, Stage.COMPANY, "", "the action is already in this response")
    if _kept_out(plan, decision, row):
        return Dropped(
            at,
            Stage.COMPANY,
            "",
            "it must not stand beside what was chosen (exclusion, most of its group, bundle or a shared cap)",
            "another choice for the slots before it",
        )
    return _outranked(plan, filled, at)


def _judged(decision: Decision, stage: Stage) -> bool:
    return decision.assignment.control != "eligibility" or stage is Stage.ELIGIBILITY


def _unmet(plan: Plan, filled: Filled, row: Row, at: int, stage: Stage) -> Dropped | None:
    for rule in row.rules:
        if rule.stage is stage and not filled.screened.met[rule.condition]:
            expression = plan.conditions[rule.condition]
            error = filled.screened.errors.get(rule.condition)
            if error:
                return Dropped(at, stage, expression, f"could not be evaluated: {error}")
            wanted = rule.because or expression
            return Dropped(at, stage, expression, f"not met: {wanted}", f"this would have to hold: {expression}")
    return None


def _barred(plan: Plan, decision: Decision, filled: Filled, at: int, stage: Stage) -> Dropped:
    action = plan.rows[at].action
    match stage:
        case Stage.EXPERIMENT:
            return Dropped(at, stage, "", decision.assignment.because(at), "another salt or share would draw lots anew")
        case Stage.SCHEDULE if decision.schedule is not None:
            why = decision.schedule.why_quiet(filled.placement.channel) or decision.schedule.why(at)
            return Dropped(at, stage, "", *why) if why else Dropped(at, stage, "", "not now")
        case Stage.BUDGET:
            return Dropped(at, stage, "", *plan.budgets.why(plan.rows[at].action_id, decision.now))
        case Stage.CONTACT if decision.contact is not None:
            refusal = decision.contact.why(at, filled.placement.channel)
            return Dropped(at, stage, "", *refusal) if refusal else Dropped(at, stage, "", "the contact policy")
        case Stage.MATURITY:
            maturity = plan.arbitration.maturity
            wanted = maturity.positives if maturity else 0
            return Dropped(
                at,
                stage,
                "",
                "new: it does not reach this customer yet",
                f"it reaches everybody from {wanted:,} positive responses on",
            )
        case _:
            return _too_low(plan, filled, at, action)


def _too_low(plan: Plan, filled: Filled, at: int, action: int) -> Dropped:
    standing, placement = filled.standing, filled.placement
    propensity, priority = standing.propensity.item(action), standing.row_priority.item(at)
    if plan.floors is not None:
        least_propensity, least_priority = plan.floors[0].item(action), plan.floors[1].item(action)
        if propensity < least_propensity:
            reason = f"its propensity {propensity:.6g} is below the floor"
            return Dropped(at, Stage.FLOOR, "", reason, f"a propensity of at least {least_propensity:.6g}")
        if priority < least_priority:
            reason = f"its priority {priority:.6g} is below the floor"
            return Dropped(at, Stage.FLOOR, "", reason, f"a priority of at least {least_priority:.6g}")
    reason = f"rather silence: its priority {priority:.6g} is below the placement's"
    return Dropped(at, Stage.FLOOR, "", reason, f"a priority of at least {placement.silence:.6g}")


def _kept_out(plan: Plan, decision: Decision, row: Row) -> bool:
    excludes = plan.company.excludes.get(row.action, 0)
    groups: dict[int, int] = {}
    for filled in decision.placements:
        for one in filled.chosen:
            if excludes >> one.row & 1:
                return True
            group = plan.company.group_of[plan.rows[one.row].action]
            groups[group] = groups.get(group, 0) + 1
    group = plan.company.group_of[row.action]
    return (
        groups.get(group, 0) >= plan.company.most.get(group, len(plan.rows) + 1) or row.action in plan.company.bundles
    )


def _outranked(plan: Plan, filled: Filled, at: int) -> Dropped:
    priority = filled.standing.row_priority.item(at)
    reason = f"others ranked higher; its priority was {priority:.6g}"
    if not filled.chosen:
        return Dropped(at, Stage.ARBITRATION, "", reason)
    least = min(filled.chosen, key=lambda one: one.priority)
    action = plan.rows[at].action
    propensity = filled.standing.propensity.item(action)
    change = f"a priority above {least.priority:.6g}, which {plan.rows[least.row].action_id} had"
    if 0 < priority <= least.priority and plan.formula is None and plan.arbitration.propensity:
        wanted = propensity * (least.priority / priority) ** (1 / plan.arbitration.propensity)
        if wanted < 1:
            change += f": with all else the same, a propensity above {wanted:.4g} instead of {propensity:.4g}"
    return Dropped(at, Stage.ARBITRATION, "", reason, change)
