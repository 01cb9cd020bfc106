"""How a decision's scores came about, so that each can be worked out by hand: exponents or formula, and smoothing."""

from __future__ import annotations

from collections.abc import Iterator

from wayline.catalog.arbitration import Arbitration
from wayline.catalog.experiments import Control
from wayline.v1 import decision_pb2
from wayline_decision.anew import Anew


def priority_rule(anew: Anew) -> decision_pb2.PriorityRule | None:
    """By what priorities come from their factors; None: nothing was scored.

    A plan that an experiment's arm changed has that arm's formula; what a control arm does is said in exponents, too:
    see `wayline_decision.core.controls`.
    """
    if anew.fell_back is not None:
        return None
    control, formula = anew.decision.assignment.control, anew.plan.formula
    if formula is not None and control not in ("random", "propensity"):
        return decision_pb2.PriorityRule(formula=formula.text, control=control or "")
    return decision_pb2.PriorityRule(exponents=_exponents(anew.plan.arbitration, control), control=control or "")


def smoothing(anew: Anew) -> Iterator[decision_pb2.PropensitySmoothing]:
    """What smoothed each selection's propensity; nothing where propensities were drawn by lot."""
    plan, by = anew.plan, anew.plan.arbitration.smoothing
    if by is None or anew.fell_back is not None or anew.decision.assignment.control == "random_propensity":
        return
    for filled in anew.decision.placements:
        for one in filled.chosen:
            action = plan.rows[one.row].action
            yield decision_pb2.PropensitySmoothing(
                action=plan.actions[action].id,
                evidence=filled.standing.evidence.item(action),
                prior_evidence=by.evidence,
                base=plan.base_propensity.item(action),
            )


def _exponents(by: Arbitration, control: Control | None) -> decision_pb2.PriorityExponents:
    exponents = (by.propensity, by.context, by.value, by.lever)
    match control:
        case "random":
            exponents = (0.0, 0.0, 0.0, 0.0)
        case "propensity":
            exponents = (1.0, 0.0, 0.0, 0.0)
        case "no_levers":
            exponents = (*exponents[:3], 0.0)
    propensity, context, value, lever = exponents
    # All four are said, also those that are 0: in JSON, what is not said could be taken for 1.
    return decision_pb2.PriorityExponents(propensity=propensity, context=context, value=value, lever=lever)
