"""Facts about actions in rules: `action.NAME` gives way to its value before CEL sees the rule.

A rule at an issue or a group is then one expression for each distinct set of the facts that it reads, and not one for
each action: 10,000 actions of three seasons share three conditions.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from types import MappingProxyType

from wayline.catalog.fields import Default
from wayline.catalog.model import Action, Group, Issue
from wayline.catalog.rules import RuleError
from wayline.catalog.spelling import did_you_mean

BUILT_IN = ("id", "issue", "group", "value", "lever")
"""What every action has; attributes have other names."""

# Text and comments are passed over, and so is what is part of something else: profile.action.
_MENTION = re.compile(
    r"//[^\n]*"
    r"|(?<!\w)(?:[bB]?[rR]|[rR][bB])(?:\"\"\".*?\"\"\"|'''.*?'''|\"[^\"\n]*\"|'[^'\n]*')"
    r"|\"\"\"(?:\\.|.)*?\"\"\"|'''(?:\\.|.)*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    r"|\.\s*[A-Za-z_]\w*"
    r"|(?<!\w)action\s*\.\s*(?P<name>[A-Za-z_]\w*)",
    re.DOTALL,
)
_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def mentions_action(text: str) -> bool:
    """Whether a rule reads facts about the action."""
    return "action" in text and bool(_parts(text)[1])


def facts_of(issue: Issue, group: Group, action: Action) -> Mapping[str, Default]:
    """What rules can read of an action. The lever is the product of those of issue, group and action."""
    return MappingProxyType(
        {
            **action.attributes,
            "id": action.id,
            "issue": issue.id,
            "group": group.id,
            "value": action.value,
            "lever": issue.lever * group.lever * action.lever,
        }
    )


def mentioned(text: str) -> tuple[str, ...]:
    """The facts that a rule reads, each once, in the order of their first mention."""
    return tuple(dict.fromkeys(_parts(text)[1]))


def for_action(text: str, issue: Issue, group: Group, action: Action) -> str:
    """The rule as it is for one action: with the values of its facts.

    Raises:
        RuleError: the rule reads a fact that the action does not have.
    """
    if not mentions_action(text):
        return text
    between, names = _parts(text)
    facts = facts_of(issue, group, action)
    pieces = [between[0]]
    for name, after in zip(names, between[1:], strict=True):
        if name not in facts:
            raise _missing(name, action, facts)
        pieces += [literal(facts[name]), after]
    return "".join(pieces)


def literal(value: Default) -> str:
    """A value as CEL writes it. Numbers below zero are in brackets, so that they can stand behind a minus."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(_ESCAPED.get(one, one) for one in value) + '"'
    return f"({value!r})" if value < 0 else repr(value)


@functools.lru_cache(maxsize=4_096)
def _parts(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands between the mentions, and the name in each."""
    between, names, end = [], [], 0
    for found in _MENTION.finditer(text):
        if name := found["name"]:
            between.append(text[end : found.start()])
            names.append(name)
            end = found.end()
    return (*between, text[end:]), tuple(names)


def _missing(name: str, action: Action, facts: Mapping[str, Default]) -> RuleError:
    has = ", ".join(sorted(action.attributes)[:20]) or "none"
    hint = did_you_mean(name, sorted(facts)) or f"; give it under attributes (there are: {has})"
    return RuleError(f"'{action.id}' has no fact '{name}'{hint}")
