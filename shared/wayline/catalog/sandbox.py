"""Liquid without a way out: no files, no other templates, few tags, chosen filters, and limits on what a text may be.

Where python-liquid's own limits leave a gap, this module closes it: `reversed` unfolds a range before it is counted,
and a range can be searched or joined without any loop. What a rendering may use is limited in
`wayline.catalog.template_run`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from liquid import BoundTemplate, Environment, RenderContext
from liquid.ast import BlockNode, Node
from liquid.builtin.expressions import LoopExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags.for_tag import BreakNode, ContinueNode, ForNode, ForTag
from liquid.exceptions import LiquidError, LoopIterationLimitError
from liquid.expression import Expression
from liquid.token import Token

from wayline.catalog import template_filters
from wayline.catalog.template_words import parse_error

MAX_TEMPLATE_CHARACTERS = 20_000
MAX_NESTING = 20
MAX_EXPRESSION_DEPTH = 50
MAX_TURNS = 1_000
MAX_LOCAL_BYTES = 256 << 10
TAGS = ("#", "assign", "break", "capture", "case", "comment", "continue", "cycle", "for", "if", "unless")

_INNER = ("content", "output", "illegal")
# Liquid's lexer takes quadratic time over blanks behind an opening.
_BLANKS = re.compile(r"\{[{%]-?\s{200}")


class TemplateError(ValueError):
    """A text that is no template. `line` counts from 1; `str()` is for a marketer."""

    def __init__(self, message: str, line: int = 1) -> None:
        """Say what is wrong, and in which line of the text."""
        super().__init__(message)
        self.line = line


class _Loop(LoopExpression):
    """Refuses a range that is too long before anything walks it."""

    __slots__ = ()

    def _to_iter(self, obj: object, context: RenderContext) -> tuple[Iterator[Any], int]:
        if isinstance(obj, range) and obj[MAX_TURNS:]:
            raise LoopIterationLimitError("too many turns", token=self.token)
        return super()._to_iter(obj, context)


class _ForNode(ForNode):
    def __init__(
        self, token: Token, expression: LoopExpression, block: BlockNode, default: BlockNode | None = None
    ) -> None:
        loop = _Loop(
            expression.token,
            expression.identifier,
            expression.iterable,
            limit=expression.limit,
            offset=expression.offset,
            reversed_=expression.reversed,
            cols=expression.cols,
        )
        super().__init__(token, loop, block, default)


class _ForTag(ForTag):
    node_class = _ForNode


class _Environment(Environment):
    block_nesting_limit = MAX_NESTING
    context_depth_limit = MAX_NESTING + 2
    local_namespace_limit = MAX_LOCAL_BYTES

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.add_tag(_ForTag)
        self.tags = {name: tag for name, tag in self.tags.items() if name in TAGS or name in _INNER}
        template_filters.install(self)

    def error(self, exc: type[LiquidError] | LiquidError, msg: str | None = None, token: Token | None = None) -> None:
        """Raise. What goes wrong at the end of an expression knows no place, but the parser around it does."""
        if isinstance(exc, LiquidError) and exc.token and exc.token.start_index < 0 and token:
            exc.token = token
        super().error(exc, msg, token)


ENVIRONMENT = _Environment()


def parse(text: str) -> BoundTemplate:
    """A text as a template.

    Raises:
        TemplateError: it is none, or it could run without limits.
    """
    if len(text) > MAX_TEMPLATE_CHARACTERS:
        raise TemplateError(f"expected a template of at most {MAX_TEMPLATE_CHARACTERS:,} characters, got {len(text):,}")
    if blanks := _BLANKS.search(text):
        raise TemplateError("too many blanks after an opening", line_of(text, blanks.start()))
    try:
        template = ENVIRONMENT.from_string(text)
    except LiquidError as error:
        message = parse_error(error, TAGS, MAX_NESTING)
        raise TemplateError(message, line_of(text, error.token.start_index if error.token else -1)) from None
    for node, in_loop in nodes_of(template):
        if isinstance(node, BreakNode | ContinueNode) and not in_loop:
            raise TemplateError(f"'{node}' belongs within {{% for %}}", line_of(text, node.token.start_index))
        for expression in node.expressions():
            _limit(expression, text)
    return template


def _limit(expression: Expression, text: str) -> None:
    # Liquid's own limit is the interpreter's stack, of which a service has less left than a command.
    if _depth(expression) > MAX_EXPRESSION_DEPTH:
        message = f"expected at most {MAX_EXPRESSION_DEPTH} conditions or brackets in one expression"
        raise TemplateError(message, line_of(text, expression.token.start_index))
    for inner in expressions_of(expression):
        if isinstance(inner, RangeLiteral) and inner is not getattr(expression, "iterable", None):
            message = f"a range such as {inner} is only for loops: {{% for i in {inner} %}}"
            raise TemplateError(message, line_of(text, inner.token.start_index))


def _depth(expression: Expression) -> int:
    return 1 + max(map(_depth, expression.children()), default=0)


def nodes_of(template: BoundTemplate) -> Iterator[tuple[Node, bool]]:
    """Every node, and whether it is within a loop."""
    return _nodes(template.nodes, RenderContext(template), False)


def _nodes(nodes: Iterable[Node], context: RenderContext, in_loop: bool) -> Iterator[tuple[Node, bool]]:
    for node in nodes:
        yield node, in_loop
        yield from _nodes(node.children(context, include_partials=False), context, in_loop or isinstance(node, ForNode))


def expressions_of(expression: Expression) -> Iterator[Expression]:
    """An expression and all that are in it."""
    yield expression
    for inner in expression.children():
        yield from expressions_of(inner)


def line_of(text: str, index: int) -> int:
    """The line, from 1, of a place in a text; of its end when the place is not known."""
    return text.count("\n", 0, index if index >= 0 else len(text)) + 1
