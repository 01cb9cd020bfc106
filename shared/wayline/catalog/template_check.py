"""What is wrong with content that has Liquid in it, said when the catalogue is checked rather than to a customer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from inspect import signature
from itertools import chain
from typing import Any, Literal

from liquid import BoundTemplate
from liquid.builtin.expressions import BooleanExpression, FilteredExpression, Path
from liquid.builtin.expressions.arguments import KeywordArgument
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.logical import LogicalAndExpression, LogicalOrExpression
from liquid.expression import Expression

from wayline.catalog.sandbox import (
    ENVIRONMENT,
    TemplateError,
    expressions_of,
    line_of,
    nodes_of,
    parse,
)
from wayline.catalog.schema import WEIGHTS, Schema
from wayline.catalog.source import Path as Place
from wayline.catalog.spelling import did_you_mean
from wayline.catalog.template_run import Budget, View, facts_of, render
from wayline.catalog.templates import is_template

_SOME_TIME = datetime(2026, 1, 1, 12, tzinfo=UTC)
_WORDS = {"string": "text", "number": "a number", "integer": "a number", WEIGHTS: "an affinity"}
_SECTIONS = {"profile": "trait", "context": "context field"}
_Found = Iterator[tuple[int, str]]


def problems(content: Mapping[str, Any], schema: Schema | None = None) -> Iterator[tuple[Place, str]]:
    """Everything that is wrong with the templates in a content.

    Args:
        content: JSON.
        schema: of the same catalogue. Without it, names of traits and context fields are not checked.

    Yields:
        The path within the content, and words for a marketer, with the line when the text has several.
    """
    for place, text in _strings(content, ()):
        for line, message in sorted(set(_problems(text, schema))):
            yield place, message + (f" (line {line})" if line > 1 else "")


def treatment_problems(
    content: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]], schema: Schema | None = None
) -> Iterator[tuple[Place, str]]:
    """Everything that is wrong with a treatment's content and variants. Paths are within the treatment."""
    for place, message in problems(content, schema):
        yield ("content", *place), message
    seen: dict[str, str] = {}
    for locale, variant in variants.items():
        first = seen.setdefault(locale.lower(), locale)
        if first != locale:
            yield ("variants", locale), f"'{locale}' and '{first}' are the same locale"
        for place, message in problems(variant, schema):
            yield ("variants", locale, *place), message


def fields_read(
    content: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[Place, list[tuple[Literal["profile", "context"], str]]]]:
    """Traits and context fields that templates read, with the path within the treatment; nothing of broken ones."""
    contents: list[tuple[Place, Mapping[str, Any]]] = [(("content",), content)]
    contents += [(("variants", locale), one) for locale, one in variants.items()]
    for within, one in contents:
        for place, text in _strings(one, within):
            with suppress(TemplateError):  # `problems` says what is wrong with it
                uses = parse(text).analyze(include_partials=False).globals.values()
                yield place, [field for use in chain(*uses) if (field := _field(use.segments)) is not None]


def _field(segments: list[Any]) -> tuple[Literal["profile", "context"], str] | None:
    match segments:
        case ["profile", str(name), *_]:
            return "profile", name
        case ["context", str(name), *_]:
            return "context", name
    return None


def _strings(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        if is_template(value):
            yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(item, (*place, key))
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _strings(item, (*place, position))


def _problems(text: str, schema: Schema | None) -> _Found:
    try:
        template = parse(text)
    except TemplateError as error:
        yield error.line, str(error)
        return
    found = list(_filters(template))
    if schema:
        found += [*_names(template, schema), *_taken(template), *_conditions(template, schema)]
    yield from ((line_of(text, index), message) for index, message in found)
    if schema and not found:
        yield from _trial(template, schema)


def _filters(template: BoundTemplate) -> _Found:
    """Filters that there are not, or that are given too much or too little."""
    for expression in _expressions(template):
        for one in (expression.filters or ()) if isinstance(expression, FilteredExpression) else ():
            function = ENVIRONMENT.filters.get(one.name)
            if function is None:
                known = sorted(ENVIRONMENT.filters)
                hint = did_you_mean(one.name, known) or f" (there are: {', '.join(known)})"
                yield one.token.start_index, f"there is no filter '{one.name}'{hint}"
            elif not _fits(one):
                yield one.token.start_index, f"the filter '{one.name}' is given too many values, or too few"


def _fits(one: Filter) -> bool:
    named = tuple(argument.name for argument in one.args if isinstance(argument, KeywordArgument))
    return _takes(one.name, len(one.args) - len(named), named)


@lru_cache(maxsize=1_000)
def _takes(name: str, positional: int, named: tuple[str, ...]) -> bool:
    """Whether a filter takes so many values; what the engine itself hands over is not for templates."""
    declared = signature(ENVIRONMENT.filters[name])
    of_the_engine = {own: None for own in ("context", "environment") if own in declared.parameters}
    try:
        declared.bind(None, *[None] * positional, **dict.fromkeys(named), **of_the_engine)
    except TypeError:
        return False
    return True


def _names(template: BoundTemplate, schema: Schema) -> _Found:
    """Variables that nobody declares or assigns."""
    for uses in template.analyze(include_partials=False).globals.values():
        for use in uses:
            if message := _unknown(use.segments, schema):
                yield use.span.index, message


def _taken(template: BoundTemplate) -> _Found:
    """Variables of the template's own that would hide what there is."""
    for node, _ in nodes_of(template):
        for own in (*node.template_scope(), *node.block_scope()):
            if own in (*_SECTIONS, "now"):
                yield own.token.start_index, f"'{own}' is there already; choose another name"


def _unknown(segments: list[Any], schema: Schema) -> str | None:
    root, *names = segments
    if not isinstance(root, str):
        return "the name of a variable has to be written out, as in profile.NAME"
    if root == "now":
        return "write now | date: '%d.%m.%Y'" if names else None
    if root not in _SECTIONS:
        return _unknown_root(root, schema)
    types = schema.trait_types if root == "profile" else schema.context_types
    if not names:
        return f"'{root}' has to be followed by a name, as in {root}.{next(iter(types), 'name')}"
    name, *rest = names
    if not isinstance(name, str):
        return f"the name behind '{root}' has to be written out, as in {root}.{next(iter(types), 'name')}"
    if name not in types:
        known = sorted(types)
        hint = did_you_mean(name, known) or f" (there are: {', '.join(known[:20]) or 'none'})"
        return f"there is no {_SECTIONS[root]} '{name}'{hint}"
    return None if _has(types[name], rest) else f"{root}.{name} is {_kind(types[name])} and has no parts of that name"


def _unknown_root(root: str, schema: Schema) -> str:
    if root == "forloop":
        return "'forloop' is there within {% for %} only"
    for section, types in (("profile", schema.trait_types), ("context", schema.context_types)):
        if root in types:
            return f"there is no '{root}'; did you mean '{section}.{root}'?"
    known = [*_SECTIONS, "now"]
    return f"there is no '{root}'" + (did_you_mean(root, known) or "; content knows profile, context and now")


def _has(type_name: str, names: list[Any]) -> bool:
    """Whether a value of this type has what follows its name."""
    if type_name == WEIGHTS:
        return len(names) < 2 or (names[0] == "first" and names[1:] in ([0], [1]))
    return not names or (type_name == "string" and names == ["size"])


def _conditions(template: BoundTemplate, schema: Schema) -> _Found:
    """To Liquid only false is not true: an empty text and 0 are. So such a condition always holds."""
    for expression in _expressions(template):
        if not isinstance(expression, BooleanExpression):
            continue
        for operand in _operands(expression.expression):
            if isinstance(operand, Path) and (kind := _type(operand, schema)) in _WORDS:
                compare = {"string": '!= ""', WEIGHTS: ".size > 0"}.get(kind, "> 0")
                right = f"{operand}{'' if kind == WEIGHTS else ' '}{compare}"
                yield operand.token.start_index, f"{operand} is {_kind(kind)}, which always holds; write {right}"


def _type(path: Path, schema: Schema) -> str:
    match path.path:
        case ["profile", str(name), *rest]:
            kind = schema.trait_types.get(name, "")
        case ["context", str(name), *rest]:
            kind = schema.context_types.get(name, "")
        case _:
            return ""
    if not rest:
        return kind
    # A weight or a length; the first of an affinity is none when there is none.
    return "" if rest[0] == "first" else "number"


def _operands(expression: Expression) -> Iterator[Expression]:
    if isinstance(expression, LogicalAndExpression | LogicalOrExpression):
        yield from _operands(expression.left)
        yield from _operands(expression.right)
    else:
        yield expression


def _trial(template: BoundTemplate, schema: Schema) -> _Found:
    """Render it once for a customer of whom nothing is known, as rules are tried."""
    profile = View(schema.traits(), schema.trait_types)
    context = View(schema.context(), schema.context_types)
    try:
        render(template, facts_of(profile, context, _SOME_TIME), Budget())
    except TemplateError as error:
        yield error.line, f"fails for a customer and a request of which nothing is known: {error}"


def _expressions(template: BoundTemplate) -> Iterator[Expression]:
    for node, _ in nodes_of(template):
        for expression in node.expressions():
            yield from expressions_of(expression)


def _kind(type_name: str) -> str:
    return _WORDS.get(type_name, "true or false")
