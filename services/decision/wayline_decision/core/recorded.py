"""The propensities that a record keeps: those of the candidates, before smoothing, as little-endian float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from wayline_decision.core.bitset import indices_of
from wayline_decision.core.known import Standing
from wayline_decision.core.plan import Floats, Plan
from wayline_decision.core.score import Models, Scored
from wayline_decision.core.standing import standing_by
from wayline_decision.core.subject import Subject


def recorded(plan: Plan, standing: Standing, candidates: int) -> bytes:
    """By action id, of the actions of a bit set of rows; empty: no model scored, or there are none."""
    if not standing.sources or not candidates:
        return b""
    if standing.recorded is None or standing.recorded[0] != candidates:
        standing.recorded = (candidates, standing.raw[_actions(plan, candidates)].astype("<f4").tobytes())
    return standing.recorded[1]


def as_recorded(
    plan: Plan, models: Models, subject: Subject, standing: Standing, candidates: int, kept: bytes
) -> Standing:
    """The standing by a record's propensities, which are those of the candidates.

    A record rounds to float32: what rounds to the same is the same, and has all its bits.
    """
    raw: Floats = standing.raw.copy()
    actions, given = _actions(plan, candidates), np.frombuffer(kept, "<f4")
    if len(actions) != len(given):
        return standing  # other candidates than then: whoever compares will see it
    raw[actions] = np.where(raw[actions].astype(np.float32) == given, raw[actions], given)
    return standing_by(plan, models, subject, Scored(raw[np.newaxis], standing.sources, standing.failures))


def _actions(plan: Plan, rows: int) -> Any:
    actions = plan.action_of[indices_of(rows, len(plan.rows))]
    return actions[np.diff(actions, prepend=-1) > 0]  # they ascend, as rows do
