"""Traits that are rules compile, do not go round in circles, and say the same of a customer of whom nothing is known
as without a profile: that is their default, which decisions see when there is no consent.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError
from typing import Any

from cel_expr_python import cel

from wayline.catalog.audience_checks import written_at
from wayline.catalog.facts import literal
from wayline.catalog.findings import Finding
from wayline.catalog.model import Catalog
from wayline.catalog.rule_checks import in_rule
from wayline.catalog.rules import RuleError
from wayline.catalog.schema import Schema
from wayline.catalog.source import Path
from wayline.catalog.trait_rules import TraitCompiler, levels_of, usable
from wayline.catalog.traits import RuleTrait


def uncompilable_traits(catalog: Catalog, schema: Schema) -> Iterator[Finding]:
    """Every rule among the traits that cannot be used."""
    compiler = TraitCompiler(schema)
    unknown = schema.traits()
    for name, trait in catalog.traits.items():
        if isinstance(trait, RuleTrait):
            path: Path = ("traits", name, "rule")
            try:
                result = compiler.compile(trait).eval(compiler.activation(unknown))
            except RuleError as error:
                yield in_rule(path, trait.rule, error)
                continue
            value = usable(None if result.type() == cel.Type.ERROR else result.value(), trait.type)
            if value is not None and value != getattr(unknown, name):
                yield Finding(path if trait.default is None else ("traits", name, "default"), _other_default(value))
    yield from _circles(catalog)


def _other_default(value: Any) -> str:
    return f"of a customer of whom nothing is known the rule gives {literal(value)}; write default: {literal(value)}"


def _circles(catalog: Catalog) -> Iterator[Finding]:
    traits = catalog.effective_traits()
    try:
        levels_of(traits)
    except CycleError as error:
        # Each is read by the one that follows, and the last is the first again.
        circle = error.args[1][:0:-1]
        start = circle.index(next(name for name in [*catalog.traits, *traits] if name in circle))
        ordered = [*circle[start:], *circle[:start]]
        way = " > ".join([*ordered, ordered[0]])
        message = f"'{ordered[0]}' reads itself" + (f": {way}" if len(ordered) > 1 else "")
        yield Finding((*written_at(catalog, ordered[0]), "rule"), f"{message}; a trait can only be made of others")
