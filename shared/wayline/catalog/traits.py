"""Traits: what is known of a customer, made of events or of other traits, and how it is declared."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wayline.catalog.fields import Default, DurationSeconds, EventNames, Expression, Labels, Model, Name, Weight

ValueType = Literal["string", "number", "integer", "boolean"]
UNIT_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
_NEVER_DAYS = 36_500


class LabelledTrait(Model):
    """What all traits have in common. A trait also has the labels of all that it is made of."""

    labels: Labels = ()


class AttributeTrait(LabelledTrait):
    """What identify events said."""

    kind: Literal["attribute"]
    attribute: str = Field("", max_length=128, description="The trait's name in identify events, if it differs.")
    type: ValueType = "string"
    default: Default | None = None


class EventTrait(LabelledTrait):
    """What all traits that are made of events have in common."""

    event: EventNames = Field(description="Names of track events; 'page' and 'screen' stand for every page and screen.")
    where: dict[str, Default] = Field(
        default_factory=dict, max_length=10, description="Only events whose properties have these values."
    )


class CountTrait(EventTrait):
    """How many events, ever or within a rolling window."""

    kind: Literal["count"]
    window: DurationSeconds | None = None


class _PropertyTrait(EventTrait):
    property: str = Field(min_length=1, max_length=128)


class SumTrait(_PropertyTrait):
    """The sum of a numeric property, ever or within a rolling window."""

    kind: Literal["sum"]
    window: DurationSeconds | None = None


class AverageTrait(_PropertyTrait):
    """The mean of a numeric property, ever or within a rolling window."""

    kind: Literal["average"]
    window: DurationSeconds | None = None
    default: Default | None = None


class ExtremeTrait(_PropertyTrait):
    """The smallest or greatest value of a numeric property, ever or within a rolling window."""

    kind: Literal["min", "max"]
    window: DurationSeconds | None = None
    default: Default | None = None


class MomentTrait(_PropertyTrait):
    """The first or last value of a property, by the time of the event."""

    kind: Literal["first", "last"]
    type: ValueType = "string"
    default: Default | None = None


class DistinctTrait(_PropertyTrait):
    """How many different values of a property, ever or within a rolling window; at most 1,000 are told apart."""

    kind: Literal["distinct"]
    window: DurationSeconds | None = None


class FrequentTrait(_PropertyTrait):
    """The value of a property that came most often, ever or within a rolling window; of equals the smaller text."""

    kind: Literal["most_frequent"]
    window: DurationSeconds | None = None
    default: Default | None = None


class AffinityTrait(_PropertyTrait):
    """A weight per value of a property. Each event adds its weight; weights halve every `half_life`."""

    kind: Literal["affinity"]
    half_life: DurationSeconds
    weights: dict[str, Weight] = Field(default_factory=dict, max_length=50, description="By event name; otherwise 1.")


class RecencyTrait(EventTrait):
    """How long ago the last event was, in whole units. It grows by itself."""

    kind: Literal["recency"]
    unit: Literal["seconds", "minutes", "hours", "days"] = "days"
    default: Default | None = Field(None, description="When there was none; not given: a hundred years.")

    @property
    def never(self) -> Default:
        """What it says while there was no event: by default so long ago that 'within the last' never holds."""
        return _NEVER_DAYS * 86_400 // UNIT_SECONDS[self.unit] if self.default is None else self.default


class TopTrait(LabelledTrait):
    """The value with the greatest weight in an affinity; empty when none reaches `min_weight`."""

    kind: Literal["top"]
    of: Name
    min_weight: Weight = 0.5


class RatioTrait(LabelledTrait):
    """One total divided by another: `of` for each `per`. `default` where the divisor is 0."""

    kind: Literal["ratio"]
    of: Name
    per: Name
    default: Default | None = None


class RuleTrait(LabelledTrait):
    """CEL over other traits. `default` where it fails, and for a customer of whom nothing is known."""

    kind: Literal["rule"]
    rule: Expression
    type: ValueType = "boolean"
    default: Default | None = None


Trait = Annotated[
    AttributeTrait
    | CountTrait
    | SumTrait
    | AverageTrait
    | ExtremeTrait
    | MomentTrait
    | DistinctTrait
    | FrequentTrait
    | AffinityTrait
    | RecencyTrait
    | TopTrait
    | RatioTrait
    | RuleTrait,
    Field(discriminator="kind"),
]
TotalTrait = CountTrait | SumTrait | DistinctTrait
"""What a ratio can be made of: without evidence these are 0."""
