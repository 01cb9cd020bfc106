"""The nearest change by which a rule would hold: which part of it fails, what it is now, what it would have to be.

A rule is taken apart where `||` and `&&` hold it together; each part is evaluated by CEL itself. Of parts that must all
hold, those that fail are named; of alternatives, each. What is no comparison is told as it is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from wayline.catalog.rules import RuleCompiler, RuleError, RuleSet

_TOKEN = re.compile(
    r"""//[^\n]*"""
    r"""|[rRbB]{0,2}(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|[A-Za-z_]\w*|&&|\|\||[<>=!]=|\.\?|\s+|.""",
    re.DOTALL,
)
_COMPARED = {
    "==": "{}",
    "!=": "anything but {}",
    ">=": "at least {}",
    ">": "more than {}",
    "<=": "at most {}",
    "<": "less than {}",
    "in": "in {}",
}
_TURNED = {"==": "==", "!=": "!=", ">=": "<=", ">": "<", "<=": ">=", "<": ">"}
_OPEN, _CLOSE = ("(", "[", "{"), (")", "]", "}")
_VARIES = re.compile(r"\b(profile|context|now)\b")
_OF_ACTION = re.compile(r"\baction\s*\.")
_MOST_PARTS = 8
"""Of one rule; a longer list helps nobody."""


class Written(NamedTuple):
    """A rule as people wrote it, for one action."""

    text: str
    """With the names of the action's facts: `action.margin > 1.0`."""
    for_action: Callable[[str], str]
    """Puts the values of the facts into a part of it, as CEL sees it."""


class Changes:
    """Says of rules what would have to change for one customer and request. Remembers what it has said."""

    def __init__(self, compiler: RuleCompiler, activation: Callable[[], Any]) -> None:
        """Evaluate parts of rules on an activation."""
        self._compiler = compiler
        self._activation = activation
        self._said: dict[tuple[str, str], str] = {}
        self._for_action: Callable[[str], str] | None = None

    def of(self, rule: str, written: Written | None = None) -> str:
        """What would have to change for a rule that does not hold, in words.

        Args:
            rule: CEL that compiles to true or false.
            written: the same with the names of the action's facts; None: it reads none.
        """
        text = written.text if written else rule
        said = self._said.get((rule, text))
        if said is None:
            self._for_action = written.for_action if written else None
            said = self._said[rule, text] = self._alternatives(text)
        return said

    def holds(self, rule: str) -> bool:
        """Whether a rule holds; one that cannot be evaluated does not."""
        self._for_action = None
        return self._value(rule) is True

    def _alternatives(self, text: str) -> str:
        text = _bare(text)
        if "?" in (sign for sign, _ in _top_level(text)):  # a ? b : c
            return _would_have_to_hold(text)
        ways = _split(text, "||")
        if len(ways) > _MOST_PARTS:
            return _would_have_to_hold(text)
        return "; or ".join(dict.fromkeys(self._together(way) for way in ways))

    def _together(self, text: str) -> str:
        parts = _split(text, "&&")
        if len(parts) == 1:
            bare = _bare(text)
            return self._alternatives(bare) if bare != text.strip() else self._single(bare)
        failing = [part for part in parts if self._value(part) is not True]
        if not 0 < len(failing) <= _MOST_PARTS:
            return _would_have_to_hold(text)
        return "; and ".join(self._alternatives(part) for part in failing)

    def _single(self, text: str) -> str:
        if not _VARIES.search(text) and not _OF_ACTION.search(text):
            return f"nothing: {_on_one_line(text)} holds for nobody"
        found = [(sign, at) for sign, at in _top_level(text) if sign in _COMPARED]
        if not found:
            return self._condition(text)
        if len(found) > 1:  # (a == b) == c
            return _would_have_to_hold(text)
        operator, at = found[0]
        left, right = text[:at].strip(), text[at + len(operator) :].strip()
        if not _VARIES.search(left) and (_VARIES.search(right) or not _OF_ACTION.search(left)):
            # What is the customer's or the request's comes first: it changes sooner than a fact of the action.
            if operator == "in":
                return self._condition(text)
            left, right, operator = right, left, _TURNED[operator]
        is_now = self._shown(left)
        if is_now is None:
            return _would_have_to_hold(text)
        wanted = right
        if _VARIES.search(right) or _OF_ACTION.search(right):
            other = self._shown(right)
            wanted = right if other is None else f"{right}, which is {other}"
        return f"{left} is {is_now}; it would have to be {_COMPARED[operator].format(_on_one_line(wanted))}"

    def _condition(self, text: str) -> str:
        """What is true or false by itself."""
        wanted = "true"
        if text.startswith("!"):
            text, wanted = _bare(text[1:]), "false"
        is_now = self._value(text)
        if not isinstance(is_now, bool):
            return _would_have_to_hold(text if wanted == "true" else f"!({text})")
        return f"{_on_one_line(text)} is {_in_words(is_now)}; it would have to be {wanted}"

    def _shown(self, text: str) -> str | None:
        return _in_words(self._value(text))

    def _value(self, text: str) -> Any:
        """What a part of a rule gives; None: it does not compile by itself, or cannot be evaluated."""
        try:
            text = self._for_action(text) if self._for_action else text
            rules = RuleSet(self._compiler, [f"dyn({text}\n)"], ("DYN",), None)
        except RuleError:
            return None
        return rules.evaluate(self._activation()).values[0]


def _would_have_to_hold(text: str) -> str:
    return f"this would have to hold: {_on_one_line(text)}"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _in_words(value: Any) -> str | None:
    """As a rule would write it, nearly; None: it has no short form."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{value:.12g}"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S} UTC"
        case timedelta():
            return f"{value.total_seconds():g} seconds"
    return None


def _top_level(text: str) -> Iterator[tuple[str, int]]:
    """The tokens outside all brackets, with where they start."""
    depth = 0
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token in _CLOSE:
            depth -= 1
        elif token in _OPEN:
            depth += 1
        elif not depth:
            yield token, found.start()


def _split(text: str, operator: str) -> list[str]:
    parts, start = [], 0
    for sign, at in _top_level(text):
        if sign == operator:
            parts.append(text[start:at].strip())
            start = at + len(operator)
    return [*parts, text[start:].strip()]


def _bare(text: str) -> str:
    """Without brackets around the whole, and without a comment behind it."""
    text = "".join(token for token in _TOKEN.findall(text) if not token.startswith("//")).strip()
    while text.startswith("(") and text.endswith(")") and not any(True for _ in _top_level(text)):
        text = text[1:-1].strip()
    return text
