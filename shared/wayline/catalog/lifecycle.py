"""The journey stage: a list of stages, each with a rule, of which the first that holds is the customer's.

It is a trait like any other, `profile.stage`. A customer for whom no rule holds, or of whom nothing may be used, is
'unknown'. The default lifecycle is made of traits over the e-commerce events of the Segment spec, and brings them
along.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from wayline.catalog.fields import EventNames, Expression, Model, Name, Text
from wayline.catalog.traits import CountTrait, RecencyTrait, RuleTrait, Trait

STAGE = "stage"
"""The name of the trait."""
UNKNOWN = "unknown"
MAX_STAGES = 20
_DAY_SECONDS = 86_400


class Stage(Model):
    """A stage of the journey. `rule` reads the profile."""

    id: Name
    rule: Expression
    because: Text = ""


class Lifecycle(Model):
    """The stages, or the events and figures of the default ones."""

    stages: tuple[Stage, ...] | None = Field(
        None, min_length=1, max_length=MAX_STAGES, description="In the place of the default ones; the first that holds."
    )
    visits: EventNames = Field(("page", "screen"), description="Events of a visit; the other events count as well.")
    views: EventNames = Field(("Product Viewed",), description="Looking at something that could be bought.")
    carts: EventNames = Field(("Product Added", "Checkout Started"), description="Being about to buy.")
    orders: EventNames = Field(("Order Completed",), description="Having bought.")
    considering_views: int = Field(3, ge=1, le=1_000, description="So many views within 14 days: considering.")
    loyal_orders: int = Field(3, ge=1, le=1_000, description="So many orders within 365 days: loyal.")
    at_risk_days: int = Field(60, ge=1, le=3_650, description="A customer without a visit for so long: at risk.")
    lost_days: int = Field(180, ge=1, le=3_650, description="Anybody without a visit for so long: lost.")

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Lifecycle:
        if self.stages is not None and (others := sorted(self.model_fields_set - {"stages"})):
            raise ValueError(f"'{others[0]}' belongs to the default stages; give either it or stages")
        if self.lost_days <= self.at_risk_days:
            raise ValueError("expected lost_days to be more than at_risk_days")
        return self

    def judged(self) -> tuple[Stage, ...]:
        """The stages, in the order in which they are judged."""
        return self._default_stages() if self.stages is None else self.stages

    def traits(self) -> dict[str, Trait]:
        """The stage, and what the default stages are made of."""
        return {**(self._evidence() if self.stages is None else {}), STAGE: stage_trait(self.judged())}

    def _evidence(self) -> dict[str, Trait]:
        visits = tuple(dict.fromkeys((*self.visits, *self.views, *self.carts, *self.orders)))
        return {
            "lifecycle_days_away": RecencyTrait(kind="recency", event=visits, default=-1),  # -1: was never here
            "lifecycle_views": CountTrait(kind="count", event=self.views, window=14 * _DAY_SECONDS),
            "lifecycle_carts": CountTrait(kind="count", event=self.carts, window=7 * _DAY_SECONDS),
            "lifecycle_orders": CountTrait(kind="count", event=self.orders),
            "lifecycle_orders_365d": CountTrait(kind="count", event=self.orders, window=365 * _DAY_SECONDS),
        }

    def _default_stages(self) -> tuple[Stage, ...]:
        rules = {
            "lost": f"profile.lifecycle_days_away >= {self.lost_days}",
            "at_risk": f"profile.lifecycle_orders > 0 && profile.lifecycle_days_away >= {self.at_risk_days}",
            "loyal": f"profile.lifecycle_orders_365d >= {self.loyal_orders}",
            "customer": "profile.lifecycle_orders > 0",
            "buying": "profile.lifecycle_carts > 0",
            "considering": f"profile.lifecycle_views >= {self.considering_views}",
            "aware": "profile.lifecycle_days_away >= 0",
        }
        return tuple(Stage(id=name, rule=rule) for name, rule in rules.items())


def stage_trait(stages: tuple[Stage, ...]) -> RuleTrait:
    """The stage as one rule: nested conditions."""
    # A new line before each bracket that closes, since the last thing in a rule may be a comment.
    text = "".join(f'({stage.rule}\n) ? "{stage.id}" : ' for stage in stages) + f'"{UNKNOWN}"'
    # Not validated: the limit of a rule's length holds for each of its parts.
    return RuleTrait.model_construct(kind="rule", rule=text, type="string", default=UNKNOWN)


def _lifecycle(value: Any) -> Any:
    """'default' stands for all that is not said."""
    if isinstance(value, str) and value != "default":
        raise ValueError("expected 'default', or stages, or the events and figures of the default stages")
    return {} if value == "default" else value


LifecycleField = Annotated[Lifecycle | None, BeforeValidator(_lifecycle)]
