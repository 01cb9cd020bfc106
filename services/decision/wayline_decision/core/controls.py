"""The control arms of experiments: what stands in the place of full arbitration."""

from __future__ import annotations

import numpy as np

from wayline.catalog.arbitration import Exploration
from wayline.catalog.experiments import Control
from wayline_decision.core.arbitrate import priorities
from wayline_decision.core.known import Standing
from wayline_decision.core.noise import uniforms
from wayline_decision.core.plan import Floats, Plan

BY_LOT = Exploration(method="epsilon_greedy", epsilon=1.0)


def under(control: Control | None, plan: Plan, standing: Standing, seed: int) -> Standing:
    """How rows stand for a customer in a control arm.

    random: all equal (the caller draws by lot); propensity: by propensity alone; no_levers: without levers;
    eligibility: as they are (the caller leaves out applicability and suitability); random_propensity: with propensities
    drawn from 0 to 1.
    """
    match control:
        case "random":
            return _with(standing, standing.propensity, np.ones(len(plan.rows)))
        case "propensity":
            return _with(standing, standing.propensity, standing.propensity[plan.action_of])
        case "no_levers":
            return _with(standing, standing.propensity, _without_levers(plan, standing)[plan.action_of])
        case "random_propensity":
            drawn = np.array(uniforms(seed, len(plan.actions)))
            return _with(standing, drawn, priorities(plan, drawn, standing.weights)[plan.action_of])
        case _:
            return standing


def _without_levers(plan: Plan, standing: Standing) -> Floats:
    if plan.formula is not None:
        return plan.formula(standing.propensity, standing.weights, plan.value, np.ones(len(plan.actions)))
    by = plan.arbitration
    product: Floats = standing.propensity**by.propensity * standing.weights**by.context * plan.value**by.value
    return product


def _with(standing: Standing, propensity: Floats, row_priority: Floats) -> Standing:
    other = Standing(
        propensity=propensity,
        raw=standing.raw,
        evidence=standing.evidence,
        weights=standing.weights,
        row_priority=row_priority,
        sources=standing.sources,
        failures=standing.failures,
    )
    other.usual = standing
    return other
