"""What Liquid's parser and renderer say, in words that help whoever wrote the content. No value is quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable

from liquid.exceptions import (
    BlockNestingError,
    ContextDepthError,
    FilterArgumentError,
    FilterError,
    LiquidError,
    LiquidTypeError,
    LocalNamespaceLimitError,
    LoopIterationLimitError,
    OutputStreamLimitError,
    ResourceLimitError,
)

from wayline.catalog.spelling import did_you_mean

_OPERATORS = {
    "&": "write 'and' for &&",
    "||": "write 'or' for ||",
    "=": "compare with ==",
    "+": "write {{ a | plus: b }}",
    "-": "write {{ a | minus: b }}",
    "*": "write {{ a | times: b }}",
    "/": "write {{ a | divided_by: b }}",
    "%": "close with '}}', or write {{ a | modulo: b }}",
    "!": "write {% unless %}, or compare with !=",
    "?": "write {% if %} ... {% else %} ... {% endif %}",
    "if": "write {% if %} ... {% else %} ... {% endif %}",
    **dict.fromkeys("‘’“”„", 'use straight quotes: "..."'),
}
_LEFT_OUT = (
    "include",
    "render",
    "layout",
    "section",
    "tablerow",
    "increment",
    "decrement",
    "ifchanged",
    "echo",
    "liquid",
)
_WITHIN = {
    "else": "{% if %}, {% unless %}, {% case %} or {% for %}",
    "elsif": "{% if %} or {% unless %}",
    "when": "{% case %}",
}
_NOT_CLOSED = re.compile(r"expected tag end(\w+), found end of expression")
_LIMITS: tuple[tuple[type[LiquidError], str], ...] = (
    (LoopIterationLimitError, "its loops take more than {turns:,} turns"),
    (OutputStreamLimitError, "it gives more than {kib} KiB of text"),
    (LocalNamespaceLimitError, "it keeps too much in variables"),
    (ContextDepthError, "it is nested too deeply"),
    (ResourceLimitError, "it takes too many steps"),
)


def parse_error(error: LiquidError, tags: Iterable[str], nesting: int) -> str:
    """Why a text is no template.

    Args:
        error: of Liquid's parser.
        tags: the names of those that there are.
        nesting: how deep blocks may be.
    """
    message, token = str(error.message), error.token
    value = token.value if token and token.start_index >= 0 else ""
    if isinstance(error, BlockNestingError):
        return f"blocks are nested deeper than {nesting}"
    if message.startswith("unexpected liquid parsing error"):
        return "this cannot be read; an expression is too long or nested too deeply"
    if message.startswith("expected '}}'"):
        return "'{{' is not closed by '}}'"
    if message.startswith("missing tag name"):
        return "'{%' is not closed by '%}', or nothing is between them"
    if found := _NOT_CLOSED.search(message):
        return f"'{{% {found[1]} %}}' is not closed by '{{% end{found[1]} %}}'"
    if message == "unexpected tag 'end of expression'":
        return "'{% case %}' is not closed by '{% endcase %}'"
    if message == "comment tag was never closed":
        return "'{% comment %}' is not closed by '{% endcomment %}'"
    if token and token.kind == "doc":
        return "'{% doc %}' is not available in content"
    if message.startswith("unexpected tag"):
        return _unexpected_tag(value, tags)
    if "end of expression" in message.partition("found")[2] or message == "missing expression":
        return "something is missing at the end of an expression"
    if value in ("'", '"'):
        return "a quote that is opened here is not closed"
    if message.startswith("expected one of ('colon'"):
        return f"'{value}' is not expected here; write a colon"
    if advice := _OPERATORS.get(value):
        return f"'{value}' is not expected here; {advice}"
    return f"'{value}' is not expected here" if value and len(value) < 40 else "an expression cannot be read"


def _unexpected_tag(name: str, tags: Iterable[str]) -> str:
    if name in _LEFT_OUT:
        return f"'{{% {name} %}}' is not available in content"
    if name == "raw":
        return "'{% raw %}' is not closed by '{% endraw %}'"
    if name in _WITHIN:
        return f"'{{% {name} %}}' belongs within {_WITHIN[name]}"
    if name.startswith("end"):
        return f"'{{% {name} %}}' closes nothing that is open here, or an end before it is missing"
    known = sorted(set(tags) - {"#"})
    return f"there is no tag '{name}'" + (did_you_mean(name, known) or f" (there are: {', '.join(known)})")


def render_error(error: Exception, *, turns: int, kib: int) -> str:
    """Why a template failed, without the values at which it failed, which may be personal."""
    for kind, words in _LIMITS:
        if isinstance(error, kind):
            return words.format(turns=turns, kib=kib)
    if isinstance(error, LiquidError):
        message = str(error.message)
        if "divide by" in message:
            return "division by zero; ask first whether the divisor is greater than 0"
        if isinstance(error, LiquidTypeError) and "not supported between" in message:
            return "values of different kinds are compared"
        if isinstance(error, FilterError) and message.startswith("a "):
            return f"a filter gives {message}"
        if isinstance(error, FilterArgumentError | FilterError | LiquidTypeError):
            name = f" '{error.token.value}'" if error.token and error.token.kind == "word" else ""
            return f"the filter{name} cannot work with what it is given"
    return "a value cannot be worked with"
