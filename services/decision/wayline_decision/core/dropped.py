"""A row that was not chosen, as explanations tell it."""

from __future__ import annotations

from dataclasses import dataclass

from wayline_decision.core.plan import Stage


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that was not chosen. `rule` is empty where no rule decided; `change` is what would have to change."""

    row: int
    stage: Stage
    rule: str
    reason: str
    change: str = ""
