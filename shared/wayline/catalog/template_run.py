"""One rendering: what a template may read, and how much it may use.

python-liquid multiplies the lengths of the loops that are open; here all turns of all loops are added up. All strings
of one content share one budget, so that many small templates do not get what one may not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import StringIO

from google.protobuf.message import Message
from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.exceptions import LiquidError, LoopIterationLimitError, OutputStreamLimitError, ResourceLimitError
from liquid.token import Token
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap

from wayline.catalog.sandbox import MAX_TURNS, TemplateError, line_of
from wayline.catalog.schema import WEIGHTS
from wayline.catalog.template_filters import Weights
from wayline.catalog.template_words import render_error

MAX_STEPS = 20_000
MAX_OUTPUT_BYTES = 64 << 10


class TooManySteps(ResourceLimitError):
    """More values were looked up and written than a decision has time for."""


@dataclass(slots=True)
class Budget:
    """What one rendering may still use, over all strings of a content."""

    turns: int = MAX_TURNS
    steps: int = MAX_STEPS
    output_bytes: int = MAX_OUTPUT_BYTES

    def step(self) -> None:
        """Take one of the steps."""
        self.steps -= 1
        if self.steps < 0:
            raise TooManySteps("too many steps", token=None)


class _Output(StringIO):
    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self._budget = budget

    def write(self, text: str) -> int:
        budget = self._budget
        budget.step()
        budget.output_bytes -= len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        if budget.output_bytes < 0:
            raise OutputStreamLimitError("too long", token=None)
        return super().write(text)


class _Context(RenderContext):
    __slots__ = ("_budget",)

    def __init__(self, template: BoundTemplate, facts: Mapping[str, object], budget: Budget) -> None:
        super().__init__(template, globals=facts)
        # Without Liquid's own last scope, which reads the clock.
        self.scope = ReadOnlyChainMap(self.locals, self.globals)
        self._budget = budget

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        self._budget.step()
        return super().get(path, token=token, default=default)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        self._budget.turns -= length
        if self._budget.turns < 0:
            raise LoopIterationLimitError("too many turns", token=None)

    def get_buffer(self, buf: object = None) -> StringIO:  # noqa: ARG002 - the budget is shared, not carried over
        return _Output(self._budget)


class View(Mapping[str, object]):
    """The facts of one message by their declared names. Nothing is read before it is asked for."""

    __slots__ = ("_message", "_types")

    def __init__(self, message: Message, types: Mapping[str, str]) -> None:
        """Wrap a message of the schema, without a copy; `types` has the declared names."""
        self._message = message
        self._types = types

    def __getitem__(self, name: str) -> object:
        """The value, which is the declared default when there is none."""
        type_name = self._types[name]
        fact = getattr(self._message, name)
        return Weights(fact) if type_name == WEIGHTS else fact

    def __iter__(self) -> Iterator[str]:
        """The declared names."""
        return iter(self._types)

    def __len__(self) -> int:
        """How many names are declared."""
        return len(self._types)

    def __str__(self) -> str:
        """Nothing: a whole profile is no text."""
        return ""


def facts_of(profile: View, context: View, now: datetime) -> Mapping[str, object]:
    """What templates may read."""
    return {"profile": profile, "context": context, "now": now}


def render(template: BoundTemplate, facts: Mapping[str, object], budget: Budget) -> str:
    """The template's text.

    Raises:
        TemplateError: it failed, or has used up the budget.
    """
    context = _Context(template, facts, budget)
    output = _Output(budget)
    node: Node | None = None
    try:
        for node in template.nodes:
            node.render(context, output)
    # Liquid's filters let through what Python raises on odd values (ValueError, OverflowError, decimal's own), and
    # the text of such an error may quote the customer.
    except Exception as error:
        place = error.token if isinstance(error, LiquidError) and error.token else node.token if node else None
        line = line_of(place.source, place.start_index) if place else 1
        raise TemplateError(render_error(error, turns=MAX_TURNS, kib=MAX_OUTPUT_BYTES >> 10), line) from None
    return output.getvalue()
