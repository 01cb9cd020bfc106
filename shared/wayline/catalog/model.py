"""The catalogue as data: issue > group > action > treatment, placements, channels, context; traits have a module.

Everything is frozen, and an unknown field is refused. What needs the whole catalogue at hand (a treatment's placement
exists, a rule compiles) is checked in `wayline.catalog.check`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from wayline.catalog.arbitration import Arbitration, Exploration, Floors, explored
from wayline.catalog.audiences import MAX_AUDIENCES, Audience, audience_traits
from wayline.catalog.consent import NOTHING_SAID as NOTHING_SAID
from wayline.catalog.consent import Collection, Said, Standing, standing_of
from wayline.catalog.consent import Purpose as Purpose
from wayline.catalog.contact import Budget, ContactPolicy, Outcomes, QuietHours, Schedule
from wayline.catalog.experiments import Experiment, Holdout
from wayline.catalog.fields import (
    Default,
    Expression,
    Id,
    Labels,
    Model,
    Name,
    Share,
    Text,
    Weight,
    Zone,
    listed,
    ruled,
)
from wayline.catalog.identifiers import Identifiers
from wayline.catalog.lifecycle import LifecycleField
from wayline.catalog.tracking import TrackingPlan
from wayline.catalog.traits import AffinityTrait as AffinityTrait
from wayline.catalog.traits import AttributeTrait as AttributeTrait
from wayline.catalog.traits import CountTrait as CountTrait
from wayline.catalog.traits import DistinctTrait as DistinctTrait
from wayline.catalog.traits import MomentTrait as MomentTrait
from wayline.catalog.traits import SumTrait as SumTrait
from wayline.catalog.traits import TopTrait as TopTrait
from wayline.catalog.traits import Trait as Trait
from wayline.catalog.traits import ValueType

MAX_ACTIONS = 10_000
MAX_TRAITS = 500
MAX_EXPERIMENTS = 100
POLICIES = ("eligibility", "applicability", "suitability")
"""The engagement policies, in the order in which they are judged."""


class Rule(Model):
    """A condition in CEL, and the reason that people read."""

    rule: Expression
    because: Text = ""


Rules = Annotated[tuple[Annotated[Rule, BeforeValidator(ruled)], ...], BeforeValidator(listed), Field(max_length=50)]


class Policies(Model):
    """Engagement policy, inherited downwards: may we ever, does it make sense now, should we."""

    eligibility: Rules = ()
    applicability: Rules = ()
    suitability: Rules = ()


class ContextField(Model):
    """A fact that requests bring along."""

    type: ValueType = "string"
    default: Default | None = None
    labels: Labels = ()


class Property(Model):
    """A property of events, or an attribute of identify events, wherever it comes."""

    labels: Labels = ()


class Channel(Model):
    """A way to reach a customer. Without consent for `purpose`, nothing goes out on it."""

    purpose: Name | None = None
    direction: Literal["inbound", "outbound"] = Field(
        "inbound", description="outbound: we turn to the customer (e-mail, push); inbound: the customer came to us."
    )
    quiet_hours: QuietHours | None = None


class Placement(Model):
    """A place that is filled with treatments of different actions."""

    channel: Id
    slots: int = Field(1, ge=1, le=50)
    fallback: dict[str, JsonValue] | None = None
    exploration: Annotated[Exploration, BeforeValidator(explored)] = Exploration()
    silence: Weight = Field(0.0, description="Rather nothing than an action whose priority is below.")
    diversity: Share = Field(
        0.0, description="By how much each action of a group that is there already lowers the priority of the next."
    )


Locale = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]


class Treatment(Policies):
    """How an action looks in some placements. The content may be any JSON object."""

    id: Id
    placements: tuple[Id, ...] = Field(min_length=1, max_length=100)
    content: dict[str, JsonValue] = Field(default_factory=dict, description="Any JSON; its strings may be Liquid.")
    variants: dict[Locale, dict[str, JsonValue]] = Field(
        default_factory=dict, max_length=100, description="By locale, in the place of `content`: 'de-AT', 'de'."
    )


class Propensity(Model):
    """Where the chance to accept comes from: a registered model, and a base rate for when there is none."""

    model: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")] | None = None
    base: float = Field(0.05, ge=0, le=1)
    evidence: float = Field(
        100.0, gt=0, le=1e9, description="How many responses the chance rests on, where the model does not say so."
    )


def _propensity(value: Any) -> Any:
    return {"base": value} if isinstance(value, int | float) else value


_ContextWeight = Annotated[
    Expression | Weight,
    Field(description="How well it fits the request: a number, or CEL that gives one. Those of all levels multiply."),
]


class Action(Policies):
    """Something that can be done for a customer."""

    id: Id
    title: Text = ""
    value: Weight = 1.0
    lever: Weight = 1.0
    context_weight: _ContextWeight = 1.0
    propensity: Annotated[Propensity, BeforeValidator(_propensity)] = Propensity()
    attributes: dict[Name, Default] = Field(
        default_factory=dict, max_length=50, description="Facts that rules read as action.NAME."
    )
    priority: int = Field(0, ge=0, le=1_000, description="A higher one comes first, whatever the scores say.")
    force: Expression | bool = Field(
        False, description="When this holds, the action comes before all others, if its policies let it."
    )
    floors: Floors = Floors()
    budget: Budget | None = None
    schedule: Schedule | None = None
    contact: ContactPolicy = ContactPolicy()
    control: Share = Field(0.0, description="The share of customers who never get it, to measure it against.")
    treatments: tuple[Treatment, ...] = Field(min_length=1, max_length=100)


class Group(Policies):
    """Actions that serve one purpose."""

    id: Id
    lever: Weight = 1.0
    context_weight: _ContextWeight = 1.0
    most: int | None = Field(None, ge=1, le=50, description="At most so many of it in one response.")
    schedule: Schedule | None = None
    contact: ContactPolicy = ContactPolicy()
    actions: tuple[Action, ...] = ()


class Issue(Policies):
    """A business issue: sales, retention, service."""

    id: Id
    lever: Weight = 1.0
    context_weight: _ContextWeight = 1.0
    schedule: Schedule | None = None
    contact: ContactPolicy = ContactPolicy()
    groups: tuple[Group, ...] = ()


class Catalog(Model):
    """All of it."""

    name: Id = "catalog"
    traits: dict[Name, Trait] = Field(default_factory=dict, max_length=MAX_TRAITS)
    audiences: dict[Name, Annotated[Audience, BeforeValidator(ruled)]] = Field(
        default_factory=dict, max_length=MAX_AUDIENCES
    )
    lifecycle: LifecycleField = None
    identifiers: Identifiers = Field(default_factory=dict, description="Kinds of identifier, and their limits.")
    context: dict[Name, ContextField] = Field(default_factory=dict, max_length=100)
    properties: dict[Annotated[str, Field(min_length=1, max_length=128)], Property] = Field(
        default_factory=dict, max_length=1_000, description="What traits made of these may be used for: see labels."
    )
    purposes: dict[Name, Purpose] = Field(default_factory=dict, max_length=50)
    collection: Collection | None = Field(None, description="What may be stored. Not given: every event.")
    personalisation: Name | None = Field(
        None, description="The purpose without which the profile is not used for decisions."
    )
    channels: dict[Id, Channel] = Field(default_factory=dict, max_length=50)
    placements: dict[Id, Placement] = Field(default_factory=dict, max_length=500)
    arbitration: Arbitration = Arbitration()
    timezone: Zone = "UTC"
    contact: ContactPolicy = ContactPolicy()
    outcomes: Outcomes = Outcomes()
    holdout: Holdout | None = None
    experiments: tuple[Experiment, ...] = Field((), max_length=MAX_EXPERIMENTS)
    personalise_only: Annotated[tuple[Id, ...] | None, BeforeValidator(listed)] = Field(
        None, max_length=500, description="Test one area first: elsewhere the profile is not used. None: everywhere."
    )
    tracking_plan: TrackingPlan | None = Field(None, description="What events hold. None: anything within the limits.")
    issues: tuple[Issue, ...] = Field((), max_length=500)

    @model_validator(mode="after")
    def _limit_actions(self) -> Catalog:
        count = sum(1 for _ in self.actions())
        if count > MAX_ACTIONS:
            raise ValueError(f"expected at most {MAX_ACTIONS} actions, got {count}")
        return self

    def standing(self, purpose: str | None, said: Said) -> Standing:
        """How a customer stands on a purpose; None needs no consent."""
        return standing_of(purpose, None if purpose is None else self.purposes.get(purpose), said)

    def allows(self, purpose: str | None, said: Said = NOTHING_SAID) -> bool:
        """Whether data may be used for a purpose: see `wayline.catalog.consent.standing_of`."""
        return self.standing(purpose, said).allowed

    def effective_traits(self) -> dict[str, Trait]:
        """All that rules know as profile.NAME: the declared traits, one for each audience, and the lifecycle's."""
        brought = self.lifecycle.traits() if self.lifecycle else {}
        return {**self.traits, **audience_traits(self.audiences), **brought}

    def actions(self) -> Iterator[tuple[Issue, Group, Action]]:
        """Every action with where it belongs, in the order of the files."""
        for issue in self.issues:
            for group in issue.groups:
                for action in group.actions:
                    yield issue, group, action
