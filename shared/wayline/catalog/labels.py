"""Labels: what kind of data a trait, a context field or a property is, and which fields an expression reads.

A trait has its own labels and those of all that it is made of: properties, attributes, and other traits, through any
number of rules. Which purpose may use which label is checked in `wayline.catalog.label_checks`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from google.protobuf.message import Message

from wayline.catalog.model import Catalog
from wayline.catalog.traits import AttributeTrait, EventTrait, RatioTrait, RuleTrait, TopTrait, Trait

IDENTIFIER = "identifier"
Classification = Literal["identifier", "sensitive", "ordinary"]
Section = Literal["profile", "context"]
Field = tuple[Section, str]
"""A field as rules and templates know it."""
Origins = Mapping[str, str]
"""Label to where it comes from, for instance "the property 'diagnosis'"; empty: from the field itself."""

_NAME_IDENTIFIERS = frozenset({"email", "phone"})
"""Of identify events, in every catalogue: see `wayline.identifiers`."""
_SECTIONS: tuple[Section, Section] = ("profile", "context")
_ROOTS = (*_SECTIONS, "action", "now")
# Texts and comments are passed over. A name in backquotes is a name.
_TOKEN = re.compile(
    r"//[^\n]*"
    r"|(?:[bB]?[rR]|[rR][bB]|[bB])?(?:\"\"\".*?\"\"\"|'''.*?''')"
    r"|(?:[bB]?[rR]|[rR][bB])(?:\"[^\"\n]*\"|'[^'\n]*')"
    r"|[bB]?(?:\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|`?(?P<word>[A-Za-z_]\w*)`?"
    r"|(?P<dot>\.\s*\?|\.)"
    r"|(?P<other>\S)",
    re.DOTALL,
)


class Labelled(NamedTuple):
    """All fields that have labels."""

    fields: Mapping[Field, Origins]

    def read_by(self, expression: str) -> list[Field]:
        """The fields with labels that a CEL expression reads, each once. In doubt a field counts as read."""
        found = []
        for section, name in _names(expression):
            for one in _SECTIONS if section is None else (section,):
                if (one, name) in self.fields and (one, name) not in found:
                    found.append((one, name))
        return found


def labelled(catalog: Catalog) -> Labelled:
    """The fields of a catalogue that have labels."""
    fields: dict[Field, Origins] = {
        ("context", name): dict.fromkeys(field.labels, "") for name, field in catalog.context.items() if field.labels
    }
    traits = _Traits(catalog, {name: one.labels for name, one in catalog.properties.items()})
    for name in traits.declared:
        if origins := traits.labels(name):
            fields["profile", name] = origins
    return Labelled(fields)


def labelled_context(catalog: Catalog) -> tuple[str, ...]:
    """The context fields that have labels: without consent for personalisation they are at their defaults."""
    return tuple(name for name, field in catalog.context.items() if field.labels)


def without(context: Message, names: Iterable[str]) -> Message:
    """A copy of a context in which fields are at their defaults."""
    bare = type(context)()
    bare.CopyFrom(context)
    for name in names:
        bare.ClearField(name)
    return bare


def classification(catalog: Catalog) -> dict[str, Classification]:
    """What each trait ('profile.NAME'), context field ('context.NAME') and property ('properties.NAME') is.

    An 'identifier' is labelled so, or events name identifiers there; what has any other label is 'sensitive'; what has
    none is 'ordinary'. Neither of the first two may appear in a log, a metric or a trace.
    """
    read = {path.split(".")[1] for kind in catalog.identifiers.values() for path in kind.from_}
    declared = {name: set(one.labels) for name, one in catalog.properties.items()}
    for name in _NAME_IDENTIFIERS | read:
        declared.setdefault(name, set()).add(IDENTIFIER)
    traits = _Traits(catalog, declared)
    return {
        **{f"profile.{name}": _class_of(traits.labels(name)) for name in traits.declared},
        **{f"context.{name}": _class_of(field.labels) for name, field in catalog.context.items()},
        **{f"properties.{name}": _class_of(labels) for name, labels in sorted(declared.items())},
    }


def _class_of(labels: Collection[str]) -> Classification:
    if IDENTIFIER in labels:
        return "identifier"
    return "sensitive" if labels else "ordinary"


class _Traits:
    """Labels of traits, each worked out once."""

    def __init__(self, catalog: Catalog, properties: Mapping[str, Collection[str]]) -> None:
        self.declared = catalog.effective_traits()
        self._properties = properties
        self._found: dict[str, dict[str, str]] = {}

    def labels(self, name: str) -> Origins:
        """Of one trait; empty: it has none."""
        if name not in self._found:
            self._work_out(name)
        return self._found[name]

    def _work_out(self, name: str) -> None:
        """Walk what the trait is made of. A loop, not a recursion: hundreds of traits may each be made of the next."""
        pending, seen, found = [name], {name}, dict[str, str]()
        while pending:
            one = pending.pop(0)
            trait = self.declared[one]
            via = "" if one == name else f"the trait '{one}'"
            for label in trait.labels:
                found.setdefault(label, via)
            for read in _properties_of(one, trait):
                for label in self._properties.get(read, ()):
                    found.setdefault(label, f"the property '{read}'")
            for other in _parts_of(trait):
                if other in self.declared and other not in seen:
                    seen.add(other)
                    pending.append(other)
        self._found[name] = found


def _properties_of(name: str, trait: Trait) -> Iterator[str]:
    if isinstance(trait, AttributeTrait):
        yield trait.attribute or name
    elif isinstance(trait, EventTrait):
        yield from (str(getattr(trait, "property", "")), *trait.where)


def _parts_of(trait: Trait) -> Iterator[str]:
    if isinstance(trait, TopTrait):
        yield trait.of
    elif isinstance(trait, RatioTrait):
        yield from (trait.of, trait.per)
    elif isinstance(trait, RuleTrait):
        yield from (name for section, name in _names(trait.rule) if section in (None, "profile"))


@lru_cache(maxsize=4_096)
def _names(expression: str) -> tuple[tuple[Section | None, str], ...]:
    """What an expression selects: section and name. None as the section: of something that cannot be told, for
    instance of the variable of a macro, so that it may be of either.
    """
    tokens = [found for found in _TOKEN.finditer(expression) if found.lastgroup]
    # A macro's variable may bear the name of a section: then nothing is what it seems.
    own = _variables(tokens)
    names: list[tuple[Section | None, str]] = []
    for at in range(1, len(tokens)):
        if tokens[at].lastgroup != "word" or tokens[at - 1].lastgroup != "dot":
            continue
        root = tokens[at - 2]["word"] if at > 1 else None
        is_root = root is not None and (at < 3 or tokens[at - 3].lastgroup != "dot")
        if is_root and root in _ROOTS and root not in own:
            if root in ("profile", "context"):
                names.append(("profile" if root == "profile" else "context", tokens[at]["word"]))
        elif not _within_a_field(tokens, at, own):
            names.append((None, tokens[at]["word"]))
    return tuple(dict.fromkeys(names))


def _variables(tokens: list[re.Match[str]]) -> set[str]:
    """Words that stand alone before a comma: among them are all variables of macros."""
    return {
        one["word"]
        for before, one, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if before["other"] in ("(", ",") and one["word"] and after["other"] == ","
    }


def _within_a_field(tokens: list[re.Match[str]], at: int, own: set[str]) -> bool:
    """Whether a selection is of what was selected from a section before, as 'red' in profile.colours.red."""
    while at >= 2 and tokens[at].lastgroup == "word" and tokens[at - 1].lastgroup == "dot":
        at -= 2
    root = tokens[at]["word"]
    return root in _ROOTS and root not in own
