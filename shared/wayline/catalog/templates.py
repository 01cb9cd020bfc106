"""Content with Liquid: compiled once per catalogue, rendered per customer.

Only strings are templates, not keys. A string stays a string, also when it is nothing but one `{{ expression }}`. What
a customer put into a trait is text: it is written out, and never read as a template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from google.protobuf.message import Message
from liquid import BoundTemplate

from wayline.catalog.sandbox import TemplateError, parse
from wayline.catalog.schema import Schema
from wayline.catalog.template_run import Budget, View, facts_of, render

_MARKUP = ("{{", "{%")
_LONGEST_LOCALE = 35
_Facts: TypeAlias = Mapping[str, object]
_Part: TypeAlias = "Callable[[_Facts, Budget], Any]"
_Path: TypeAlias = "tuple[str | int, ...]"


class RenderError(ValueError):
    """A content could not be rendered for this customer. The words have no value of the customer's in them."""


@dataclass(frozen=True, slots=True)
class _Body:
    """One JSON object; `part` renders it, None when nothing in it is a template."""

    static: Mapping[str, Any]
    part: _Part | None


@dataclass(frozen=True, slots=True)
class Content:
    """A treatment's content in all its variants."""

    _default: _Body
    _variants: Mapping[str, _Body]
    _schema: Schema

    def render(self, profile: Message, context: Message, now: datetime, locale: str = "") -> dict[str, Any]:
        """The content for one customer.

        Args:
            profile: the schema's `Traits`; an empty one without consent.
            context: the schema's `Context`.
            now: the moment of the decision; dates are written in its time zone.
            locale: of BCP 47. 'de-AT' takes the variant 'de-AT', else 'de', else the content itself.

        Returns:
            JSON. Parts without a template are the catalogue's own: do not change them.

        Raises:
            RenderError: a template failed or hit a limit.
        """
        body = self._body(locale) if self._variants else self._default
        if body.part is None:
            return dict(body.static)
        schema = self._schema
        facts = facts_of(View(profile, schema.trait_types), View(context, schema.context_types), now)
        rendered: dict[str, Any] = body.part(facts, Budget())
        return rendered

    def _body(self, locale: str) -> _Body:
        wanted = locale[:_LONGEST_LOCALE].lower().replace("_", "-")
        while wanted:
            if body := self._variants.get(wanted):
                return body
            wanted = wanted.rpartition("-")[0]
        return self._default


def compile_content(
    content: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]], schema: Schema
) -> Content | None:
    """Prepare a treatment's content.

    Args:
        content: JSON whose strings may be Liquid.
        variants: by locale, in the place of `content`.
        schema: of the same catalogue.

    Returns:
        None when there is nothing to choose and nothing to render, so that the content can be encoded once.

    Raises:
        TemplateError: a template does not parse. `wayline.catalog.template_check` finds that, and more, beforehand.
    """
    default = _Body(content, _compile(content, ()))
    if default.part is None and not variants:
        return None
    bodies = {locale.lower(): _Body(variant, _compile(variant, ())) for locale, variant in variants.items()}
    return Content(default, bodies, schema)


def is_template(text: str) -> bool:
    """Whether a string has Liquid markup."""
    return any(mark in text for mark in _MARKUP)


def place(path: _Path) -> str:
    """A path within content as people write it: items[0].title."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _compile(value: Any, path: _Path) -> _Part | None:
    """What renders the value; None when it stays as it is."""
    if isinstance(value, str):
        return _text(parse(value), path) if is_template(value) else None
    if isinstance(value, Mapping):
        return _object(value, path)
    return _list(value, path) if isinstance(value, list | tuple) else None


def _text(template: BoundTemplate, path: _Path) -> _Part:
    def text(facts: _Facts, budget: Budget) -> str:
        try:
            return render(template, facts, budget)
        except TemplateError as error:
            line = f", line {error.line}" if error.line > 1 else ""
            raise RenderError(f"{place(path)}{line}: {error}") from None

    return text


def _object(value: Mapping[str, Any], path: _Path) -> _Part | None:
    parts = {key: part for key, item in value.items() if (part := _compile(item, (*path, key)))}
    if not parts:
        return None
    return lambda facts, budget: {**value, **{key: part(facts, budget) for key, part in parts.items()}}


def _list(value: Sequence[Any], path: _Path) -> _Part | None:
    parts = [_compile(item, (*path, position)) for position, item in enumerate(value)]
    if not any(parts):
        return None
    pairs = list(zip(value, parts, strict=True))
    return lambda facts, budget: [part(facts, budget) if part else item for item, part in pairs]
