"""What only shows in the catalogue as a whole: references lead somewhere, ids are unique, every rule compiles.

Each distinct expression is compiled once, and evaluated once for a customer of whom nothing is known: a rule that
cannot be answered then would silently count as not met for every newcomer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from wayline.catalog.advice import did_you_mean
from wayline.catalog.model import AffinityTrait, Catalog, ContextField, Policies, Rule, TopTrait, Trait
from wayline.catalog.rules import RuleCompiler, RuleError
from wayline.catalog.schema import Schema, SchemaError, build_schema, default_of
from wayline.catalog.source import Path

MAX_CONTENT_BYTES = 64 << 10
MAX_CONTENT_DEPTH = 16
MAX_DISTINCT_RULES = 2_000
MAX_TREATMENTS = 50_000
MAX_WHOLE_NUMBER = 2**53
CONDITION = ("BOOL",)
NUMBER = ("DOUBLE", "INT")
_POLICIES = ("eligibility", "applicability", "suitability")
_SOME_TIME = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at `path` of the catalogue.

    `within` is the line and column, from 1, in the text at `path`; `at_key` says that the name is wrong, not its value;
    `first` leads to the other place that is meant, when something is there twice.
    """

    path: Path
    message: str
    within: tuple[int, int] | None = None
    at_key: bool = False
    first: Path | None = None


@dataclass(slots=True)
class _Seen:
    """Ids and where each was first used."""

    what: str
    places: dict[str, Path] = field(default_factory=dict)

    def add(self, name: str, path: Path) -> Iterator[Finding]:
        first = self.places.setdefault(name, path)
        if first is not path:
            yield Finding((*path, "id"), f"{self.what} '{name}' is there twice", first=(*first, "id"))


def check(catalog: Catalog) -> list[Finding]:
    """Everything that is wrong, in no particular order; empty when the catalogue can serve."""
    fields = [*_fields("traits", catalog.traits), *_fields("context", catalog.context)]
    # Without a schema there is nothing that rules could be compiled against.
    return [*fields, *_declarations(catalog), *_hierarchy(catalog), *([] if fields else _rules(catalog))]


def expressions(catalog: Catalog) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """Every rule and context weight: where it is, the CEL, and the types that it may give."""
    for path, policies in _policies(catalog):
        for kind in _POLICIES:
            rules: Sequence[Rule] = getattr(policies, kind)
            for position, rule in enumerate(rules):
                yield (*path, kind, position, "rule"), rule.rule, CONDITION
        weight = getattr(policies, "context_weight", None)
        if isinstance(weight, str):
            yield (*path, "context_weight"), weight, NUMBER


def _policies(catalog: Catalog) -> Iterator[tuple[Path, Policies]]:
    for i, issue in enumerate(catalog.issues):
        yield ("issues", i), issue
        for g, group in enumerate(issue.groups):
            yield ("issues", i, "groups", g), group
            for a, action in enumerate(group.actions):
                at: Path = ("issues", i, "groups", g, "actions", a)
                yield at, action
                for t, treatment in enumerate(action.treatments):
                    yield (*at, "treatments", t), treatment


def _fields(section: str, declared: Mapping[str, Trait | ContextField]) -> Iterator[Finding]:
    """What protobuf would not take as a field: names that differ by underscores only, defaults out of range."""
    seen: dict[str, str] = {}
    for name, one in declared.items():
        first = seen.setdefault(_json_name(name), name)
        if first != name:
            message = f"'{name}' differs from '{first}' by its underscores only; choose another name"
            yield Finding((section, name), message, at_key=True, first=(section, first))
        default = default_of(one)
        if isinstance(default, float) and not isfinite(default):
            yield Finding((section, name, "default"), "expected a finite number")
        elif isinstance(default, int) and abs(default) > MAX_WHOLE_NUMBER:
            yield Finding((section, name, "default"), f"expected a whole number of at most {MAX_WHOLE_NUMBER:,}")


def _json_name(name: str) -> str:
    """The name that protobuf gives a field in JSON, which has to be unique."""
    return re.sub("_+(.?)", lambda found: found[1].upper(), name)


def _declarations(catalog: Catalog) -> Iterator[Finding]:
    for name, trait in catalog.traits.items():
        if isinstance(trait, TopTrait) and not isinstance(catalog.traits.get(trait.of), AffinityTrait):
            affinities = [other for other, kind in catalog.traits.items() if isinstance(kind, AffinityTrait)]
            yield Finding(("traits", name, "of"), _unknown("affinity", trait.of, affinities))
        if isinstance(trait, AffinityTrait):
            for event in trait.weights.keys() - set(trait.event):
                message = _unknown("event of this trait", event, trait.event)
                yield Finding(("traits", name, "weights", event), message, at_key=True)
    for name, channel in catalog.channels.items():
        if channel.purpose is not None and channel.purpose not in catalog.purposes:
            yield Finding(("channels", name, "purpose"), _unknown("purpose", channel.purpose, catalog.purposes))
    if catalog.personalisation is not None and catalog.personalisation not in catalog.purposes:
        yield Finding(("personalisation",), _unknown("purpose", catalog.personalisation, catalog.purposes))
    for name, placement in catalog.placements.items():
        if placement.channel not in catalog.channels:
            yield Finding(("placements", name, "channel"), _unknown("channel", placement.channel, catalog.channels))
        yield from _content(("placements", name, "fallback"), placement.fallback)


def _hierarchy(catalog: Catalog) -> Iterator[Finding]:
    issues, actions, treatments = _Seen("the issue"), _Seen("the action"), 0
    for i, issue in enumerate(catalog.issues):
        yield from issues.add(issue.id, ("issues", i))
        groups = _Seen("the group")
        for g, group in enumerate(issue.groups):
            yield from groups.add(group.id, ("issues", i, "groups", g))
            for a, action in enumerate(group.actions):
                at: Path = ("issues", i, "groups", g, "actions", a)
                yield from actions.add(action.id, at)
                own = _Seen("the treatment")
                treatments += len(action.treatments)
                for t, treatment in enumerate(action.treatments):
                    place = (*at, "treatments", t)
                    yield from own.add(treatment.id, place)
                    yield from _content((*place, "content"), treatment.content)
                    for p, placement in enumerate(treatment.placements):
                        if placement not in catalog.placements:
                            message = _unknown("placement", placement, catalog.placements)
                            yield Finding((*place, "placements", p), message)
    if treatments > MAX_TREATMENTS:
        yield Finding(("issues",), f"expected at most {MAX_TREATMENTS:,} treatments, got {treatments:,}")


def _rules(catalog: Catalog) -> Iterator[Finding]:
    try:
        schema = build_schema(catalog)
    except SchemaError as error:
        yield Finding(error.path, str(error))
        return
    checker = _RuleChecker(schema)
    verdicts: dict[tuple[str, tuple[str, ...]], RuleError | None] = {}
    for path, text, expected in expressions(catalog):
        distinct = (text.strip(), expected)
        if distinct not in verdicts:
            if len(verdicts) == MAX_DISTINCT_RULES:
                yield Finding(
                    path, f"this is the {MAX_DISTINCT_RULES + 1:,}th different rule; at most {MAX_DISTINCT_RULES:,}"
                )
                return
            verdicts[distinct] = checker.verdict(text, expected)
        wrong = verdicts[distinct]
        if wrong is not None:
            place = f" at column {wrong.column}" if wrong.column is not None and wrong.line == 1 else ""
            yield Finding(
                path,
                f"{wrong} (in '{' '.join(text.split())}'{place})",
                within=(wrong.line, wrong.column) if wrong.column is not None else None,
            )


class _RuleChecker:
    def __init__(self, schema: Schema) -> None:
        self._compiler = RuleCompiler(schema)
        self._unknown_customer = self._compiler.activation(schema.traits(), schema.context(), _SOME_TIME)

    def verdict(self, text: str, expected: Sequence[str]) -> RuleError | None:
        """Why the rule cannot be used; None when it can."""
        try:
            compiled = self._compiler.compile(text, expected)
        except RuleError as error:
            return error
        result = compiled.eval(self._unknown_customer)
        if result.type().name() == "ERROR":
            return RuleError(
                f"fails for a customer and a request of which nothing is known: {_why(str(result.value()))}"
            )
        return None


def _why(error: str) -> str:
    if "Key not found" in error:
        return 'there is no such value yet; write [?"red"].orValue(0.0) for ["red"]'
    if "by zero" in error:
        return "division by zero; ask first whether the divisor is greater than 0"
    return error.partition(": ")[2] or error


def _content(path: Path, content: Any) -> Iterator[Finding]:
    try:
        size = len(json.dumps(content, ensure_ascii=False, allow_nan=False).encode())
    except ValueError:
        yield Finding(path, "numbers in content have to be finite; .inf and .nan cannot be sent")
        return
    if size > MAX_CONTENT_BYTES:
        yield Finding(path, f"expected content of at most {MAX_CONTENT_BYTES >> 10} KiB as JSON, got {size >> 10} KiB")
    depth = _depth(content)
    if depth > MAX_CONTENT_DEPTH:
        yield Finding(path, f"expected content of at most {MAX_CONTENT_DEPTH} levels, got {depth}")


def _depth(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list | tuple):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    return f"there is no {what} '{name}'" + (
        did_you_mean(name, names) or f" (there are: {', '.join(names[:20]) or 'none'})"
    )
