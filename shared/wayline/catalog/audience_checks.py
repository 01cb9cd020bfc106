"""Audiences and stages bear names that no trait has, their rules compile, and read one another in no circle."""

from __future__ import annotations

from collections.abc import Iterator

from wayline.catalog.findings import Finding, Seen
from wayline.catalog.lifecycle import STAGE, stage_trait
from wayline.catalog.model import Catalog
from wayline.catalog.rule_checks import in_rule
from wayline.catalog.rules import RuleError
from wayline.catalog.schema import Schema
from wayline.catalog.source import Path
from wayline.catalog.trait_rules import TraitCompiler
from wayline.catalog.traits import RuleTrait


def clashes(catalog: Catalog) -> Iterator[Finding]:
    """Names of audiences, and of what the lifecycle brings along, that are taken."""
    brought = catalog.lifecycle.traits() if catalog.lifecycle else {}
    for name in catalog.audiences:
        place: Path = ("audiences", name)
        if name in catalog.traits:
            message = f"there is a trait '{name}', and each audience is a trait of its name; choose another name"
            yield Finding(place, message, at_key=True, first=("traits", name))
        elif name in brought:
            yield Finding(place, f"the lifecycle brings along the trait '{name}'; choose another name", at_key=True)
    for name in brought:
        if name in catalog.traits:
            message = f"the lifecycle brings along a trait '{name}' of its own; choose another name"
            yield Finding(("traits", name), message, at_key=True)
    if catalog.lifecycle and catalog.lifecycle.stages:
        seen = Seen("the stage")
        for position, stage in enumerate(catalog.lifecycle.stages):
            yield from seen.add(stage.id, ("lifecycle", "stages", position))


def uncompilable_audiences(catalog: Catalog, schema: Schema) -> Iterator[Finding]:
    """Every rule of an audience or stage that cannot be used."""
    compiler = TraitCompiler(schema)
    rules: list[tuple[Path, str]] = [(("audiences", name, "rule"), one.rule) for name, one in catalog.audiences.items()]
    if catalog.lifecycle and catalog.lifecycle.stages:
        rules += [
            (("lifecycle", "stages", position, "rule"), stage.rule)
            for position, stage in enumerate(catalog.lifecycle.stages)
        ]
    found = [
        in_rule(path, text, error)
        for path, text in rules
        if (error := _error_of(compiler, RuleTrait(kind="rule", rule=text)))
    ]
    yield from found
    if catalog.lifecycle and not found and (error := _error_of(compiler, stage_trait(catalog.lifecycle.judged()))):
        yield Finding(("lifecycle", "stages"), f"the stages are more than CEL takes together: {error}")


def _error_of(compiler: TraitCompiler, trait: RuleTrait) -> RuleError | None:
    try:
        compiler.compile(trait)
    except RuleError as error:
        return error
    return None


def written_at(catalog: Catalog, name: str) -> Path:
    """Where a trait is written that may be an audience's, or the lifecycle's."""
    if name in catalog.traits:
        return ("traits", name)
    if name in catalog.audiences:
        return ("audiences", name)
    return ("lifecycle", "stages") if name == STAGE else ("lifecycle",)
