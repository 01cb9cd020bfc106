"""Arbitration, as a row sees it that lost: who came first, and by which priority or propensity it would have won."""

from __future__ import annotations

from wayline_decision.core.decision import Decision, Filled
from wayline_decision.core.plan import Plan


def outranked(plan: Plan, decision: Decision, filled: Filled, at: int) -> tuple[str, str]:
    """Why a row that could have been chosen was not, and what would have to change.

    The last slot was the easiest to win: it is compared with who holds that. A row that came along with its bundle does
    not count.
    """
    priority = filled.standing.row_priority.item(at)
    reason = f"others ranked higher; its priority was {priority:.6g}"
    last = _last(plan, filled)
    if last is None or filled.contest is None:
        return reason, ""
    name, action = plan.rows[last].action_id, plan.rows[at].action
    if filled.contest.forced >> last & 1 and not filled.contest.forced >> at & 1:
        return f"others are forced; its priority was {priority:.6g}", f"to be forced as {name} is, or another slot"
    tier, last_tier = plan.tier_of.item(action), plan.tier_of.item(plan.rows[last].action)
    if tier < last_tier:
        return (
            f"others come first by the catalogue's priority; its own is {tier}",
            f"a catalogue priority of {last_tier}",
        )
    share = _variety(plan, filled, at)
    if share < 1.0:
        reason += f", and {priority:.6g} × {share:.3g} = {priority * share:.6g} for the sake of diversity"
    wanted = filled.standing.row_priority.item(last) * _variety(plan, filled, last) / share if share else 0.0
    if not share:
        return reason, "another group in the slots before"
    if priority > wanted:
        how = "by lot" if decision.assignment.control == "random" else "by exploration"
        return (
            f"the slots went to others {how}; its priority was {priority:.6g}",
            f"another draw: its priority is above the {wanted:.6g} of {name}",
        )
    change = f"a priority above {wanted:.6g}, " + (f"which {name} had" if share == 1.0 else f"by which {name} won")
    return reason, change + _in_propensity(plan, decision, filled, at, wanted)


def _in_propensity(plan: Plan, decision: Decision, filled: Filled, at: int, wanted: float) -> str:
    """The same as a propensity, where the priority is their product."""
    priority, exponent = filled.standing.row_priority.item(at), plan.arbitration.propensity
    if priority <= 0 or not exponent or plan.formula is not None or decision.assignment.control is not None:
        return ""
    now = filled.standing.propensity.item(plan.rows[at].action)
    then = now * (wanted / priority) ** (1 / exponent)
    if then < 1:
        return f": with all else the same, a propensity above {then:.4g} instead of {now:.4g}"
    return f": no propensity comes to that; {wanted / priority:.3g} times its value or levers would"


def _last(plan: Plan, filled: Filled) -> int | None:
    """The row that holds the last slot, bundles counted once."""
    seen: set[int] = set()
    last = None
    for choice in filled.choices:
        action = plan.rows[choice.row].action
        if seen.isdisjoint(plan.company.bundles.get(action, ())):
            last = choice.row
        seen.add(action)
    return last


def _variety(plan: Plan, filled: Filled, at: int) -> float:
    """By how much diversity lowered a row's priority when the last slot was filled."""
    group = plan.company.group_of[plan.rows[at].action]
    others = [one.row for one in filled.choices if one.row != at]
    # Of who lost, the last slot's holder does not count: it came at the same time.
    before = others if at in {one.row for one in filled.choices} else others[:-1]
    same = sum(plan.company.group_of[plan.rows[row].action] == group for row in before)
    return float((1.0 - filled.placement.diversity) ** same)
