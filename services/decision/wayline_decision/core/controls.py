"""The control arms of experiments: what stands in the place of full arbitration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wayline.catalog.arbitration import Exploration
from wayline.catalog.experiments import Control
from wayline_decision.core.arbitrate import priorities
from wayline_decision.core.contest import GREEDY
from wayline_decision.core.known import Standing
from wayline_decision.core.noise import uniforms
from wayline_decision.core.plan import Floats, Plan

BY_LOT = Exploration(method="epsilon_greedy", epsilon=1.0)


class UnderControl(Standing):
    """How rows stand in a control arm."""

    __slots__ = ("plan",)

    plan: Plan
    """With this arm's factors of the priority."""


def priced_by(plan: Plan, standing: Standing) -> Plan:
    """The plan by which drawn propensities come to priorities: a control arm's, where rows stand as in one."""
    return standing.plan if isinstance(standing, UnderControl) else plan


def explored_in(control: Control | None, exploration: Exploration) -> Exploration:
    """How an arm explores a placement: as everybody does, but where propensities or slots are by lot already."""
    match control:
        case "random":
            return BY_LOT
        case "random_propensity":
            return GREEDY
        case _:
            return exploration


def under(control: Control | None, plan: Plan, standing: Standing, seed: int) -> Standing:
    """How rows stand for a customer in a control arm.

    random: all equal (see `explored_in`); propensity: by propensity alone; no_levers: without levers; eligibility: as
    they are (the caller leaves out applicability and suitability); random_propensity: with propensities drawn from 0
    to 1.
    """
    match control:
        case "random":
            return _with(plan, standing, standing.propensity, np.ones(len(plan.rows)))
        case "propensity":
            alone = _propensity_alone(plan)
            return _with(alone, standing, standing.propensity, standing.propensity[plan.action_of])
        case "no_levers":
            without = replace(plan, lever=np.ones(len(plan.actions)), worth=plan.value**plan.arbitration.value)
            return _with(without, standing, standing.propensity, _without_levers(plan, standing)[plan.action_of])
        case "random_propensity":
            drawn = np.array(uniforms(seed, len(plan.actions)))
            return _with(plan, standing, drawn, priorities(plan, drawn, standing.weights)[plan.action_of])
        case _:
            return standing


def _without_levers(plan: Plan, standing: Standing) -> Floats:
    if plan.formula is not None:
        return plan.formula(standing.propensity, standing.weights, plan.value, np.ones(len(plan.actions)))
    by = plan.arbitration
    product: Floats = standing.propensity**by.propensity * standing.weights**by.context * plan.value**by.value
    return product


def _propensity_alone(plan: Plan) -> Plan:
    exponents = {"propensity": 1.0, "context": 0.0, "value": 0.0, "lever": 0.0, "formula": None}
    by = plan.arbitration.model_copy(update=exponents)
    return replace(plan, arbitration=by, formula=None, worth=np.ones(len(plan.actions)))


def _with(plan: Plan, standing: Standing, propensity: Floats, row_priority: Floats) -> Standing:
    other = UnderControl(
        propensity=propensity,
        raw=standing.raw,
        evidence=standing.evidence,
        weights=standing.weights,
        row_priority=row_priority,
        sources=standing.sources,
        failures=standing.failures,
    )
    other.usual = standing
    other.plan = plan
    return other
