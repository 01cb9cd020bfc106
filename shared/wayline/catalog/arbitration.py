"""How actions compete: the formula, what tempers propensities, exploration, and what may stand side by side."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wayline.catalog.fields import Expression, Id, Model, Share, Weight


class Smoothing(Model):
    """A propensity with little evidence leans on the base rate: (n x p + k x base) / (n + k)."""

    evidence: float = Field(ge=0, le=1e6, description="k: responses at which model and base rate weigh the same.")


class Maturity(Model):
    """A new outbound action reaches a share of those it could, which grows with its positive responses.

    Those count that a model's manifest says, or else the evidence that the catalogue states for the action.
    """

    start: Share = 0.02
    positives: int = Field(200, ge=1, le=10**6, description="From so many on, everybody.")


class Floors(Model):
    """Below these an action is left out."""

    propensity: Share = 0.0
    priority: Weight = 0.0


class Bundle(Model):
    """Actions that go out together, or not at all."""

    id: Id
    actions: tuple[Id, ...] = Field(min_length=2, max_length=20)


class Exclusion(Model):
    """Of these actions, a response holds one at most."""

    id: Id
    actions: tuple[Id, ...] = Field(min_length=2, max_length=1_000)


class Exploration(Model):
    """How a placement tries what may turn out better. See docs/exploration.md for the formulas."""

    method: Literal["none", "thompson", "squarecb", "epsilon_greedy"] = "none"
    epsilon: Share = Field(0.1, description="epsilon_greedy: the share of slots that are filled by lot.")
    gamma: float = Field(100.0, gt=0, le=1e6, description="squarecb: the greater, the greedier.")


class Arbitration(Model):
    """Exponents of priority = propensity^w x context^w x value^w x lever^w. 0 leaves a factor out."""

    propensity: float = Field(1.0, ge=0, le=10)
    context: float = Field(1.0, ge=0, le=10)
    value: float = Field(1.0, ge=0, le=10)
    lever: float = Field(1.0, ge=0, le=10)
    formula: Expression | None = Field(
        None, description="In the place of the product: CEL over propensity, context, value and lever."
    )
    smoothing: Smoothing | None = None
    maturity: Maturity | None = None
    floors: Floors = Floors()
    bundles: tuple[Bundle, ...] = Field((), max_length=500)
    exclusions: tuple[Exclusion, ...] = Field((), max_length=500)


def explored(value: object) -> object:
    """A method may be given by its name."""
    return {"method": value} if isinstance(value, str) else value
