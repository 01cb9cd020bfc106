"""A catalogue, compiled for deciding: arrays by action, bit sets by treatment, each distinct condition once.

A row is one treatment of one action. Rows are sorted by action and treatment id, so that a stable sort breaks ties the
same way whatever the order of the catalogue's files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from wayline.catalog.arbitration import Arbitration, Exploration
from wayline.catalog.formula import Formula
from wayline.catalog.model import Catalog
from wayline.catalog.rules import RuleCompiler, RuleSet
from wayline.catalog.schema import Schema
from wayline.catalog.templates import Content
from wayline_decision.core.budget import BudgetPlan
from wayline_decision.core.company import CompanyPlan
from wayline_decision.core.contact import ContactPlan
from wayline_decision.core.experiments import ExperimentPlan
from wayline_decision.core.known import Clock, Known
from wayline_decision.core.schedule import SchedulePlan

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class Stage(IntEnum):
    """Where an action can be dropped, in the order in which it is judged. The names are those of the contract."""

    CONSENT = 1
    EXPERIMENT = 2
    SCHEDULE = 3
    ELIGIBILITY = 4
    APPLICABILITY = 5
    SUITABILITY = 6
    BUDGET = 7
    CONTACT = 8
    MATURITY = 9
    FLOOR = 10
    COMPANY = 11
    ARBITRATION = 12


@dataclass(frozen=True, slots=True)
class RowRule:
    """A condition that a row must meet."""

    condition: int
    stage: Stage
    because: str


@dataclass(frozen=True, slots=True)
class Row:
    """One treatment of one action."""

    action: int
    action_id: str
    treatment_id: str
    content: Mapping[str, Any]
    template: Content | None
    """What renders the content; None: it is the same for everybody."""
    rules: tuple[RowRule, ...]
    reasons: tuple[str, ...]
    """What every selection of this row can say: the reasons of the rules that it must have met."""


@dataclass(frozen=True, slots=True)
class PlacementPlan:
    """A placement with the rows that can fill it, as a bit set and as indices."""

    id: str
    rows: int
    channel: str
    outbound: bool
    purpose: str | None
    slots: int
    most_per_action: int
    fallback: Mapping[str, Any] | None
    exploration: Exploration
    silence: float
    diversity: float
    personal: bool
    """Whether the profile may be used here: see `Catalog.personalise_only`."""


@dataclass(frozen=True, slots=True)
class ActionPlan:
    """What is fixed about an action."""

    id: str
    model: str | None
    group: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled catalogue. `rows[i]` is bit i of every bit set; `A` actions, `T` rows."""

    revision: int
    catalog: Catalog
    schema: Schema
    compiler: RuleCompiler
    """For models: all traits."""
    facts: type[Message]
    """The traits that rules read, and no others: CEL copies the whole message for every customer. It reads the bytes of
    `schema.traits`, since a field's number depends on its name and type only.
    """
    rule_compiler: RuleCompiler
    """For rules: those traits."""
    rows: tuple[Row, ...]
    actions: tuple[ActionPlan, ...]
    placements: Mapping[str, PlacementPlan]
    action_of: Indices
    """[T] row to action."""
    base_propensity: Floats
    """[A] the catalogue's own chance to accept."""
    value: Floats
    """[A]"""
    lever: Floats
    """[A] the product of the levers of issue, group and action."""
    worth: Floats
    """[A] value^w3 * lever^w4, which no request changes."""
    context_weight: Floats
    """[A] the product of the context weights of issue, group and action that are numbers."""
    evidence: Floats
    """[A] how many responses the base propensity rests on."""
    floors: tuple[Floats, Floats] | None
    """[A] the least propensity and the least priority; None: there are none."""
    salts: NDArray[np.uint64]
    """[A] by which a new action's first customers are drawn."""
    tier_of: NDArray[np.int64]
    """[A] the catalogue's priorities: a higher one comes first, whatever the scores."""
    tiers: tuple[int, ...]
    """The rows of each of those, the highest first, as bit sets."""
    always_forced: int
    """Rows of actions that are forced whatever the customer, as a bit set."""
    forced_by: Mapping[int, int]
    """Condition to the rows that it forces."""
    arbitration: Arbitration
    formula: Formula | None
    """In the place of the product."""
    group_of: Indices
    """[A] action to group."""
    company: CompanyPlan
    contact: ContactPlan
    schedule: SchedulePlan
    budgets: BudgetPlan
    experiments: ExperimentPlan
    dynamic: bool
    """Some content is a template."""
    conditions: tuple[str, ...]
    """Every distinct condition; first those on the profile alone, then those on the context alone."""
    keeps: tuple[int, ...]
    """By condition: the rows that do not need it, as a bit set."""
    keeps_eligible: tuple[int, ...]
    """The same, of eligibility alone."""
    lasting: RuleSet
    """The conditions on the profile alone."""
    situational: RuleSet
    """The conditions on the request's context alone, which come next."""
    temporal: RuleSet
    """The conditions on the time alone, which come next."""
    momentary: RuleSet
    """All others."""
    lasting_weights: RuleSet
    """The context weights, divided in the same way."""
    momentary_weights: RuleSet
    weighted: tuple[tuple[Indices, Indices], ...]
    """By level, where one has expressions as context weights: for which actions they are, and which expressions."""
    clock: Clock
    nobody: Known
    """Of whom nothing is known, or may be used."""
    labelled_context: tuple[str, ...]
    """Context fields that are not used either without consent for personalisation."""

    @property
    def everything(self) -> int:
        """All rows, as a bit set."""
        return (1 << len(self.rows)) - 1

    @property
    def models(self) -> frozenset[str]:
        """The names of the models that actions ask for."""
        return frozenset(action.model for action in self.actions if action.model)
