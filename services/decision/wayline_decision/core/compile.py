"""From a catalogue to a plan."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wayline.catalog.arbitration import Floors
from wayline.catalog.facts import for_action, mentions_action
from wayline.catalog.formula import compile_formula
from wayline.catalog.labels import labelled_context
from wayline.catalog.model import POLICIES, Action, Catalog, Group, Issue, Placement, Rule, Treatment
from wayline.catalog.rules import RuleCompiler, RuleSet
from wayline.catalog.schema import Schema, build_schema
from wayline.catalog.templates import compile_content
from wayline_decision.core.bitset import bits, rows_where
from wayline_decision.core.budget import compile_budgets
from wayline_decision.core.company import CompanyPlan, compile_company
from wayline_decision.core.contact import compile_contact
from wayline_decision.core.experiments import compile_experiments
from wayline_decision.core.known import Clock, Known
from wayline_decision.core.maturity import action_salts
from wayline_decision.core.plan import ActionPlan, PlacementPlan, Plan, Row, RowRule, Stage
from wayline_decision.core.schedule import compile_schedule

_TRAIT = re.compile(r"\bprofile\s*\.\s*(\w+)")
_PROFILE, _CONTEXT, _NOW = (re.compile(rf"\b{word}\b") for word in ("profile", "context", "now"))
_WHOLE_PROFILE = re.compile(r"\bprofile\b(?!\s*\.)")
_CONDITION = ("BOOL",)
_NUMBER = ("DOUBLE", "INT")
Placed = tuple[Issue, Group, Action]
_LEVELS = 3
Array = NDArray[np.float64]


def compile_plan(catalog: Catalog, revision: int) -> Plan:
    """Compile a catalogue that has passed `wayline.catalog.check`.

    Raises:
        SchemaError, RuleError: it has not.
    """
    schema = build_schema(catalog)
    placed = sorted(catalog.actions(), key=lambda one: one[2].id)
    forces = {
        at: _text(action.force, one) for at, one in enumerate(placed) if isinstance((action := one[2]).force, str)
    }
    conditions = _numbered([*_conditions(placed), *forces.values()])
    groups = {id(group): at for at, group in enumerate({id(group): group for _, group, _ in placed}.values())}
    rows: list[Row] = []
    placement_rows = {name: bytearray() for name in catalog.placements}
    for index, one in enumerate(placed):
        for treatment in sorted(one[2].treatments, key=lambda each: each.id):
            for placement in treatment.placements:
                _set_bit(placement_rows[placement], len(rows))
            rows.append(_row(index, one, treatment, conditions, schema))
    actions = [action for _, _, action in placed]
    action_of_row = [row.action_id for row in rows]
    lever = np.array([issue.lever * group.lever * action.lever for issue, group, action in placed], np.float64)
    value = np.array([action.value for action in actions], np.float64)
    weight_texts = [_weight_texts(placed, level) for level in range(_LEVELS)]
    weights = _numbered([text for texts in weight_texts for text in texts.values()])
    facts = build_schema(_only_what_is_read(catalog, [*conditions, *weights]))
    rule_compiler = RuleCompiler(facts)
    exponents = catalog.arbitration
    counts = [len(action.treatments) for action in actions]
    company = compile_company(catalog, placed, counts)
    tier_of = np.array([action.priority for action in actions], np.int64)
    return Plan(
        revision=revision,
        catalog=catalog,
        schema=schema,
        compiler=RuleCompiler(schema),
        facts=facts.traits,
        rule_compiler=rule_compiler,
        rows=tuple(rows),
        actions=tuple(ActionPlan(action.id, action.propensity.model, groups[id(group)]) for _, group, action in placed),
        placements={
            name: _placement(catalog, name, placement, int.from_bytes(placement_rows[name], "little"), rows)
            for name, placement in catalog.placements.items()
        },
        action_of=np.array([row.action for row in rows], np.intp),
        base_propensity=np.array([action.propensity.base for action in actions], np.float64),
        value=value,
        lever=lever,
        worth=value**exponents.value * lever**exponents.lever,
        context_weight=np.array([_constant_weight(one) for one in placed], np.float64),
        evidence=np.array([action.propensity.evidence for action in actions], np.float64),
        floors=_floors(exponents.floors, actions),
        salts=action_salts([action.id for action in actions]),
        tier_of=tier_of,
        tiers=_tiers(tier_of, counts),
        always_forced=_rows_of(company, [at for at, action in enumerate(actions) if action.force is True]),
        forced_by=_forced_by(company, {at: conditions[text] for at, text in forces.items()}),
        arbitration=exponents,
        formula=compile_formula(exponents.formula) if exponents.formula else None,
        group_of=np.array(company.group_of, np.intp),
        company=company,
        contact=compile_contact(catalog, action_of_row),
        schedule=compile_schedule(catalog, action_of_row),
        budgets=compile_budgets(catalog, action_of_row),
        experiments=compile_experiments(catalog, action_of_row),
        dynamic=any(row.template for row in rows),
        conditions=tuple(conditions),
        keeps=_keeps(rows, len(conditions), set(Stage)),
        keeps_eligible=_keeps(rows, len(conditions), {Stage.ELIGIBILITY}),
        lasting=_rule_set(rule_compiler, conditions, _Kind.LASTING, _CONDITION, on_error=False),
        situational=_rule_set(rule_compiler, conditions, _Kind.SITUATIONAL, _CONDITION, on_error=False),
        temporal=_rule_set(rule_compiler, conditions, _Kind.TEMPORAL, _CONDITION, on_error=False),
        momentary=_rule_set(rule_compiler, conditions, _Kind.MOMENTARY, _CONDITION, on_error=False),
        lasting_weights=RuleSet(rule_compiler, [one for one in weights if _lasts(one)], _NUMBER, on_error=1.0),
        momentary_weights=RuleSet(rule_compiler, [one for one in weights if not _lasts(one)], _NUMBER, on_error=1.0),
        weighted=tuple(
            (np.array(list(texts), np.intp), np.array([weights[text] for text in texts.values()], np.intp))
            for texts in weight_texts
            if texts
        ),
        clock=Clock(),
        nobody=Known(schema.traits(), facts.traits()),
        labelled_context=labelled_context(catalog),
    )


def _only_what_is_read(catalog: Catalog, texts: Sequence[str]) -> Catalog:
    """The catalogue with the traits that some rule names. A rule on the profile as a whole may mean any."""
    if any(_WHOLE_PROFILE.search(text) for text in texts):
        return catalog
    read = {name for text in texts for name in _TRAIT.findall(text)}
    traits = {name: one for name, one in catalog.effective_traits().items() if name in read}
    return catalog.model_copy(update={"traits": traits, "audiences": {}, "lifecycle": None})


def _text(text: str, one: Placed) -> str:
    """An expression, with what it says of the action put in: actions with the same facts share it."""
    text = text.strip()
    return for_action(text, *one) if mentions_action(text) else text


def _constant_weight(one: Placed) -> float:
    """The product of the context weights of all levels that are numbers."""
    return prod(level.context_weight for level in one if not isinstance(level.context_weight, str))


def _weight_texts(placed: Sequence[Placed], level: int) -> dict[int, str]:
    """The context weights of one level (0 the issue's, 2 the action's) that are expressions, by action."""
    found: dict[int, str] = {}
    for at, one in enumerate(placed):
        weight = one[level].context_weight
        if isinstance(weight, str):
            found[at] = _text(weight, one)
    return found


def _row(index: int, one: Placed, treatment: Treatment, conditions: Mapping[str, int], schema: Schema) -> Row:
    action = one[2]
    staged: list[tuple[Stage, Rule]] = []
    for name in POLICIES:
        stage = Stage[name.upper()]
        staged += [(stage, rule) for level in (*one, treatment) for rule in getattr(level, name)]
    return Row(
        action=index,
        action_id=action.id,
        treatment_id=treatment.id,
        content=treatment.content,
        template=compile_content(treatment.content, treatment.variants, schema),
        rules=tuple(RowRule(conditions[_text(rule.rule, one)], stage, rule.because) for stage, rule in staged),
        reasons=tuple(dict.fromkeys(rule.because for _, rule in staged if rule.because)),
    )


def _placement(catalog: Catalog, name: str, placement: Placement, mask: int, rows: Sequence[Row]) -> PlacementPlan:
    per_action: dict[int, int] = {}
    for at in bits(mask):
        per_action[rows[at].action] = per_action.get(rows[at].action, 0) + 1
    channel = catalog.channels[placement.channel]
    return PlacementPlan(
        id=name,
        rows=mask,
        channel=placement.channel,
        outbound=channel.direction == "outbound",
        purpose=channel.purpose,
        slots=placement.slots,
        most_per_action=max(per_action.values(), default=1),
        fallback=placement.fallback,
        exploration=placement.exploration,
        silence=placement.silence,
        diversity=placement.diversity,
        personal=catalog.personalise_only is None or name in catalog.personalise_only,
    )


def _floors(common: Floors, actions: Sequence[Action]) -> tuple[Array, Array] | None:
    propensity = np.array([max(common.propensity, action.floors.propensity) for action in actions], np.float64)
    priority = np.array([max(common.priority, action.floors.priority) for action in actions], np.float64)
    return (propensity, priority) if propensity.any() or priority.any() else None


def _tiers(tier_of: NDArray[np.int64], counts: Sequence[int]) -> tuple[int, ...]:
    by_row = np.repeat(tier_of, counts)
    return tuple(rows_where(by_row == tier) for tier in sorted(set(tier_of.tolist()), reverse=True))


def _rows_of(company: CompanyPlan, actions: Iterable[int]) -> int:
    mask = 0
    for action in actions:
        mask |= company.rows_of(action)
    return mask


def _forced_by(company: CompanyPlan, condition_of: Mapping[int, int]) -> dict[int, int]:
    forced: dict[int, int] = {}
    for action, condition in condition_of.items():
        forced[condition] = forced.get(condition, 0) | company.rows_of(action)
    return forced


def _set_bit(mask: bytearray, at: int) -> None:
    if len(mask) <= at >> 3:
        mask.extend(bytes((at >> 3) + 1 - len(mask)))
    mask[at >> 3] |= 1 << (at & 7)


def _conditions(placed: Sequence[Placed]) -> Iterator[str]:
    for one in placed:
        for level in (*one, *one[2].treatments):
            for name in POLICIES:
                yield from (_text(rule.rule, one) for rule in getattr(level, name))


class _Kind(IntEnum):
    """What an expression depends on: the profile alone, the context alone, the time alone, or more."""

    LASTING = 0
    SITUATIONAL = 1
    TEMPORAL = 2
    MOMENTARY = 3


def _kind(text: str) -> _Kind:
    profile, context, now = (word.search(text) is not None for word in (_PROFILE, _CONTEXT, _NOW))
    if not context and not now:
        return _Kind.LASTING
    if context and not profile and not now:
        return _Kind.SITUATIONAL
    return _Kind.TEMPORAL if now and not profile and not context else _Kind.MOMENTARY


def _lasts(text: str) -> bool:
    return _kind(text) is _Kind.LASTING


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    """Each distinct expression with a number, in the order of their kinds."""
    return {text: number for number, text in enumerate(sorted(dict.fromkeys(texts), key=_kind))}


def _rule_set(
    compiler: RuleCompiler, texts: Iterable[str], kind: _Kind, expected: Sequence[str], *, on_error: Any
) -> RuleSet:
    return RuleSet(compiler, [text for text in texts if _kind(text) is kind], expected, on_error=on_error)


def _keeps(rows: Sequence[Row], conditions: int, stages: Container[Stage]) -> tuple[int, ...]:
    size = (len(rows) + 7) // 8
    keeps = [bytearray(b"\xff" * size) for _ in range(conditions)]
    for at, row in enumerate(rows):
        for rule in row.rules:
            if rule.stage in stages:
                keeps[rule.condition][at >> 3] &= ~(1 << (at & 7))
    everything = (1 << len(rows)) - 1
    return tuple(int.from_bytes(keep, "little") & everything for keep in keeps)
