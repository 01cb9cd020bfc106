"""What only shows in the catalogue as a whole: names lead somewhere, every rule, formula and template compiles."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any

from wayline.catalog import experiment_checks
from wayline.catalog.audience_checks import clashes, uncompilable_audiences, written_at
from wayline.catalog.facts import BUILT_IN
from wayline.catalog.fields import Default
from wayline.catalog.findings import Finding
from wayline.catalog.identifiers import read_twice
from wayline.catalog.label_checks import unlawful
from wayline.catalog.model import Action, Catalog, ContextField, Treatment
from wayline.catalog.references import dangling
from wayline.catalog.rule_checks import levels, uncompilable_formulas, uncompilable_rules
from wayline.catalog.schema import Schema, SchemaError, build_schema, default_of
from wayline.catalog.source import Path
from wayline.catalog.template_check import treatment_problems
from wayline.catalog.tracking_checks import unusable_schemas
from wayline.catalog.trait_checks import uncompilable_traits
from wayline.catalog.traits import Trait

MAX_CONTENT_BYTES = 64 << 10
MAX_CONTENT_DEPTH = 16
MAX_WHOLE_NUMBER = 2**53


def check(catalog: Catalog) -> list[Finding]:
    """Everything that is wrong, in no particular order; empty when the catalogue can serve."""
    traits = catalog.effective_traits()
    found = [
        *clashes(catalog),
        *_fields(traits, lambda name: written_at(catalog, name)),
        *_fields(catalog.context, lambda name: ("context", name)),
        *_facts(catalog),
    ]
    schema: Schema | None = None
    if not found:  # otherwise there is nothing that rules could be compiled against
        try:
            schema = build_schema(catalog)
        except SchemaError as error:
            found.append(Finding(error.path, str(error)))
    return [
        *found,
        *dangling(catalog),
        *_contents(catalog, schema),
        *(Finding(path, message) for path, message in experiment_checks.problems(catalog)),
        *unusable_schemas(catalog),
        *read_twice(catalog),
        *unlawful(catalog),
        *uncompilable_formulas(catalog),
        *(uncompilable_traits(catalog, schema) if schema else ()),
        *(uncompilable_audiences(catalog, schema) if schema else ()),
        *(uncompilable_rules(catalog, schema) if schema else ()),
    ]


def _fields(declared: Mapping[str, Trait | ContextField], place: Callable[[str], Path]) -> Iterator[Finding]:
    """What protobuf would not take as a field: names that differ by underscores only, defaults out of range."""
    seen: dict[str, str] = {}
    for name, one in declared.items():
        first = seen.setdefault(_json_name(name), name)
        if first != name:
            message = f"'{name}' differs from '{first}' by its underscores only; choose another name"
            yield Finding(place(name), message, at_key=True, first=place(first))
        default = default_of(one)
        if default is not None:
            yield from _out_of_range((*place(name), "default"), default)


def _json_name(name: str) -> str:
    """The name that protobuf gives a field in JSON, which has to be unique."""
    return re.sub("_+(.?)", lambda found: found[1].upper(), name)


def _out_of_range(path: Path, value: Default) -> Iterator[Finding]:
    if isinstance(value, float) and not isfinite(value):
        yield Finding(path, "expected a finite number")
    elif isinstance(value, int) and abs(value) > MAX_WHOLE_NUMBER:
        yield Finding(path, f"expected a whole number of at most {MAX_WHOLE_NUMBER:,}")


def _facts(catalog: Catalog) -> Iterator[Finding]:
    for path, action in ((path, one) for path, one in levels(catalog) if isinstance(one, Action)):
        for name, value in action.attributes.items():
            if name in BUILT_IN:
                message = f"every action has '{name}' already: action.{name}; choose another name"
                yield Finding((*path, "attributes", name), message, at_key=True)
            yield from _out_of_range((*path, "attributes", name), value)


def _contents(catalog: Catalog, schema: Schema | None) -> Iterator[Finding]:
    for name, placement in catalog.placements.items():
        yield from _content(("placements", name, "fallback"), placement.fallback)
    for path, treatment in levels(catalog):
        if isinstance(treatment, Treatment):
            yield from _content((*path, "content"), treatment.content)
            for locale, variant in treatment.variants.items():
                yield from _content((*path, "variants", locale), variant)
            for place, message in treatment_problems(treatment.content, treatment.variants, schema):
                yield Finding((*path, *place), message)


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
