"""A catalogue, compiled for deciding: arrays by action, bit sets by treatment, each distinct condition once.

A row is one treatment of one action. Rows are sorted by action and treatment id, so that a stable sort breaks ties the
same way whatever the order of the catalogue's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from wayline.catalog.arbitration import Arbitration
from wayline.catalog.model import Action, Catalog, Group, Issue, Placement, Rule, Treatment
from wayline.catalog.rules import RuleCompiler, RuleSet
from wayline.catalog.schema import Schema, build_schema
from wayline_decision.core.known import Known

_TRAIT = re.compile(r"\bprofile\s*\.\s*(\w+)")
_REQUEST = re.compile(r"\b(context|now)\b")
_NOT_CONTEXT = re.compile(r"\b(profile|now)\b")
_WHOLE_PROFILE = re.compile(r"\bprofile\b(?!\s*\.)")
_CONDITION = ("BOOL",)
_NUMBER = ("DOUBLE", "INT")
Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class Stage(IntEnum):
    """Where an action can be dropped, in the order in which it is judged. The names are those of the contract."""

    CONSENT = 1
    ELIGIBILITY = 2
    APPLICABILITY = 3
    SUITABILITY = 4
    ARBITRATION = 5


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
    rules: tuple[RowRule, ...]
    reasons: tuple[str, ...]
    """What every selection of this row can say: the reasons of the rules that it must have met."""


@dataclass(frozen=True, slots=True)
class PlacementPlan:
    """A placement with the rows that can fill it, as a bit set and as indices."""

    id: str
    rows: int
    purpose: str | None
    slots: int
    most_per_action: int
    fallback: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ActionPlan:
    """What is fixed about an action."""

    id: str
    model: str | None


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
    """[A] fixed context weights; 1 where an expression gives it."""
    arbitration: Arbitration
    conditions: tuple[str, ...]
    """Every distinct condition; first those on the profile alone, then those on the context alone."""
    keeps: tuple[int, ...]
    """By condition: the rows that do not need it, as a bit set."""
    lasting: RuleSet
    """The conditions on the profile alone."""
    situational: RuleSet
    """The conditions on the request's context alone, which come next."""
    momentary: RuleSet
    """All others."""
    lasting_weights: RuleSet
    """The context weights, divided in the same way."""
    momentary_weights: RuleSet
    weighted_actions: Indices
    """The actions whose context weight is an expression."""
    weight_of: Indices
    """For each of those, which expression."""
    nobody: Known
    """Of whom nothing is known, or may be used."""

    @property
    def models(self) -> frozenset[str]:
        """The names of the models that actions ask for."""
        return frozenset(action.model for action in self.actions if action.model)


def compile_plan(catalog: Catalog, revision: int) -> Plan:
    """Compile a catalogue that has passed `wayline.catalog.check`.

    Raises:
        SchemaError, RuleError: it has not.
    """
    schema = build_schema(catalog)
    placed = sorted(catalog.actions(), key=lambda one: one[2].id)
    conditions = _numbered(_conditions(placed))
    rows: list[Row] = []
    placement_rows = dict.fromkeys(catalog.placements, 0)
    for index, (issue, group, action) in enumerate(placed):
        for treatment in sorted(action.treatments, key=lambda one: one.id):
            for placement in treatment.placements:
                placement_rows[placement] |= 1 << len(rows)
            rows.append(_row(index, issue, group, action, treatment, conditions))
    actions = [action for _, _, action in placed]
    lever = np.array([issue.lever * group.lever * action.lever for issue, group, action in placed], np.float64)
    value = np.array([action.value for action in actions], np.float64)
    weights = _numbered(one.context_weight for one in actions if isinstance(one.context_weight, str))
    facts = build_schema(_only_what_is_read(catalog, [*conditions, *weights]))
    rule_compiler = RuleCompiler(facts)
    exponents = catalog.arbitration
    return Plan(
        revision=revision,
        catalog=catalog,
        schema=schema,
        compiler=RuleCompiler(schema),
        facts=facts.traits,
        rule_compiler=rule_compiler,
        rows=tuple(rows),
        actions=tuple(ActionPlan(action.id, action.propensity.model) for action in actions),
        placements={
            name: _placement(catalog, name, placement, placement_rows[name], rows)
            for name, placement in catalog.placements.items()
        },
        action_of=np.array([row.action for row in rows], np.intp),
        base_propensity=np.array([action.propensity.base for action in actions], np.float64),
        value=value,
        lever=lever,
        worth=value**exponents.value * lever**exponents.lever,
        context_weight=np.array(
            [1.0 if isinstance(action.context_weight, str) else action.context_weight for action in actions], np.float64
        ),
        arbitration=exponents,
        conditions=tuple(conditions),
        keeps=_keeps(rows, len(conditions)),
        lasting=_rule_set(rule_compiler, conditions, _Kind.LASTING, _CONDITION, on_error=False),
        situational=_rule_set(rule_compiler, conditions, _Kind.SITUATIONAL, _CONDITION, on_error=False),
        momentary=_rule_set(rule_compiler, conditions, _Kind.MOMENTARY, _CONDITION, on_error=False),
        lasting_weights=RuleSet(rule_compiler, [one for one in weights if _lasts(one)], _NUMBER, on_error=1.0),
        momentary_weights=RuleSet(rule_compiler, [one for one in weights if not _lasts(one)], _NUMBER, on_error=1.0),
        weighted_actions=np.array(
            [at for at, one in enumerate(actions) if isinstance(one.context_weight, str)], np.intp
        ),
        weight_of=np.array(
            [weights[one.context_weight] for one in actions if isinstance(one.context_weight, str)], np.intp
        ),
        nobody=Known(schema.traits(), facts.traits(), {}),
    )


def _only_what_is_read(catalog: Catalog, texts: Sequence[str]) -> Catalog:
    """The catalogue with the traits that some rule names. A rule on the profile as a whole may mean any."""
    if any(_WHOLE_PROFILE.search(text) for text in texts):
        return catalog
    read = {name for text in texts for name in _TRAIT.findall(text)}
    return catalog.model_copy(update={"traits": {name: one for name, one in catalog.traits.items() if name in read}})


def _row(
    index: int, issue: Issue, group: Group, action: Action, treatment: Treatment, conditions: Mapping[str, int]
) -> Row:
    levels = (issue, group, action, treatment)
    staged: list[tuple[Stage, Rule]] = []
    for stage, name in (
        (Stage.ELIGIBILITY, "eligibility"),
        (Stage.APPLICABILITY, "applicability"),
        (Stage.SUITABILITY, "suitability"),
    ):
        staged += [(stage, rule) for level in levels for rule in getattr(level, name)]
    return Row(
        action=index,
        action_id=action.id,
        treatment_id=treatment.id,
        content=treatment.content,
        rules=tuple(RowRule(conditions[rule.rule.strip()], stage, rule.because) for stage, rule in staged),
        reasons=tuple(dict.fromkeys(rule.because for _, rule in staged if rule.because)),
    )


def _placement(catalog: Catalog, name: str, placement: Placement, mask: int, rows: Sequence[Row]) -> PlacementPlan:
    per_action: dict[int, int] = {}
    for at in bits(mask):
        per_action[rows[at].action] = per_action.get(rows[at].action, 0) + 1
    return PlacementPlan(
        id=name,
        rows=mask,
        purpose=catalog.channels[placement.channel].purpose,
        slots=placement.slots,
        most_per_action=max(per_action.values(), default=1),
        fallback=placement.fallback,
    )


def _conditions(placed: Sequence[tuple[Issue, Group, Action]]) -> Iterator[str]:
    for issue, group, action in placed:
        for level in (issue, group, action, *action.treatments):
            for rules in (level.eligibility, level.applicability, level.suitability):
                yield from (rule.rule.strip() for rule in rules)


class _Kind(IntEnum):
    """What an expression depends on: the profile alone, the context alone, or more."""

    LASTING = 0
    SITUATIONAL = 1
    MOMENTARY = 2


def _kind(text: str) -> _Kind:
    if not _REQUEST.search(text):
        return _Kind.LASTING
    return _Kind.MOMENTARY if _NOT_CONTEXT.search(text) else _Kind.SITUATIONAL


def _lasts(text: str) -> bool:
    return _kind(text) is _Kind.LASTING


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    """Each distinct expression with a number, in the order of their kinds."""
    return {text: number for number, text in enumerate(sorted(dict.fromkeys(texts), key=_kind))}


def _rule_set(
    compiler: RuleCompiler, texts: Iterable[str], kind: _Kind, expected: Sequence[str], *, on_error: Any
) -> RuleSet:
    return RuleSet(compiler, [text for text in texts if _kind(text) is kind], expected, on_error=on_error)


def _keeps(rows: Sequence[Row], conditions: int) -> tuple[int, ...]:
    needing = [0] * conditions
    for at, row in enumerate(rows):
        for rule in row.rules:
            needing[rule.condition] |= 1 << at
    everything = (1 << len(rows)) - 1
    return tuple(everything & ~mask for mask in needing)


def bits(mask: int) -> list[int]:
    """The positions of the bits that are set, ascending."""
    found: list[int] = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found
