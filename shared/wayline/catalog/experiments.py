"""Experiments: who is held out, and who gets which variant. Assignment is by a salted hash of the customer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from wayline.catalog.fields import Expression, Id, Model, Share, listed

Control = Literal["random", "propensity", "no_levers", "eligibility", "random_propensity"]


class Holdout(Model):
    """A share of all customers who get nothing but fallbacks: against them everything is measured."""

    share: Share
    salt: Id = "holdout"


class Arm(Model):
    """One variant. What is not given is as for everybody."""

    share: Share = Field(description="Of the experiment's customers. The shares of its arms add up to 1.")
    control: Control | None = Field(
        None,
        description="random: by lot; propensity: by propensity alone; no_levers: without levers; eligibility: without "
        "applicability and suitability; random_propensity: with propensities by lot.",
    )
    formula: Expression | None = Field(None, description="In the place of the catalogue's arbitration.")
    models: dict[str, str] = Field(
        default_factory=dict, max_length=50, description="A model to the registered model that takes its place."
    )
    catalog: int | None = Field(None, ge=1, description="The revision of the catalogue that decides.")


class Experiment(Model):
    """Experiments of one layer exclude each other; layers are independent."""

    id: Id
    layer: Id = "default"
    share: Share = Field(1.0, description="Of the layer's customers.")
    salt: Id | None = Field(None, description="None: the id. Another salt draws lots anew.")
    placements: Annotated[tuple[Id, ...], BeforeValidator(listed)] = Field(
        (), max_length=100, description="Only requests that ask for one of these take part. None: all requests."
    )
    arms: dict[Id, Arm] = Field(min_length=2, max_length=20)

    @model_validator(mode="after")
    def _shares_add_up(self) -> Experiment:
        total = sum(arm.share for arm in self.arms.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"expected shares of the arms that add up to 1, got {total:g}")
        return self
