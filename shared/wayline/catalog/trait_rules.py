"""Traits that are CEL over other traits: compiled, put in order, and evaluated on a customer's other traits.

A trait's rule knows `profile` only. So its value can change with an event or with another trait only, and a view is
good for as long as all other traits are. Time passes in a recency, or in a window.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from graphlib import TopologicalSorter
from math import isfinite
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_optional, ext_strings
from google.protobuf.message import Message

from wayline.catalog.advice import advise
from wayline.catalog.rules import RuleError
from wayline.catalog.schema import PACKAGE, Schema
from wayline.catalog.traits import RatioTrait, RuleTrait, Trait
from wayline.catalog.vocabulary import in_words

MAX_CHARACTERS = 256
"""A text is cut there: otherwise each of a chain of rules could double what the one before it gave."""
_CHUNK = 100
_GIVES = {"string": ("STRING",), "number": ("DOUBLE", "INT"), "integer": ("INT",), "boolean": ("BOOL",)}
_TYPE_OF = {"STRING": "string", "DOUBLE": "number", "INT": "integer", "BOOL": "boolean"}
_WORDS = {"string": "text", "number": "a number", "integer": "a whole number", "boolean": "true or false"}
# Comments and texts are passed over, and so is what is called: no trait is.
_WORD = re.compile(
    r"//[^\n]*"
    r"|(?<!\w)(?:[bB]?[rR]|[rR][bB])(?:\"\"\".*?\"\"\"|'''.*?'''|\"[^\"\n]*\"|'[^'\n]*')"
    r"|\"\"\"(?:\\.|.)*?\"\"\"|'''(?:\\.|.)*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    r"|(?P<word>[A-Za-z_]\w*)(?!\w|\s*\()",
    re.DOTALL,
)
_OUTSIDE = re.compile(r"undeclared reference to '(context|now)\b")


def levels_of(traits: Mapping[str, Trait]) -> list[list[str]]:
    """The names of the rules, in levels: each reads only those of levels before its own. Sorted within a level.

    A word that is also the name of another rule counts as reading it, wherever it stands: whatever is read is named.

    Raises:
        graphlib.CycleError: some read each other in a circle.
    """
    rules = {name: trait.rule for name, trait in sorted(traits.items()) if isinstance(trait, RuleTrait)}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name, text in rules.items():
        sorter.add(name, *sorted({found["word"] for found in _WORD.finditer(text)} & rules.keys()))
    sorter.prepare()
    levels = []
    while sorter.is_active():
        level = sorted(sorter.get_ready())
        sorter.done(*level)
        levels.append(level)
    return levels


def read_by(traits: Mapping[str, Trait], names: Iterable[str]) -> frozenset[str]:
    """The traits of these names and all that they read, directly or through others."""
    found: set[str] = set()
    left = [name for name in names if name in traits]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            match traits[name]:
                case RuleTrait() as trait:
                    left += {word["word"] for word in _WORD.finditer(trait.rule)} & traits.keys()
                case RatioTrait() as trait:
                    left += {trait.of, trait.per} & traits.keys()
    return frozenset(found)


class TraitCompiler:
    """Compiles CEL over `profile`, the declared traits, and nothing else."""

    def __init__(self, schema: Schema) -> None:
        """Prepare the environment for one catalogue's types."""
        self._schema = schema
        self._env = cel.NewEnv(
            schema.pool,
            variables={"profile": cel.Type(f"{PACKAGE}.Traits")},
            extensions=[ext_optional.ExtOptional(), ext_strings.ExtStrings(), ext_math.ExtMath()],
        )

    def compile(self, trait: RuleTrait) -> Any:
        """Compile one rule.

        Raises:
            RuleError: it does not compile, or gives something else than the trait's type.
        """
        try:
            compiled = self._env.compile(trait.rule)
        except RuntimeError as error:
            raise self._advised(trait.rule, str(error)) from None
        given = compiled.return_type().name()
        if given not in _GIVES[trait.type]:
            hint = f"; declare type: {_TYPE_OF[given]}" if given in _TYPE_OF else ""
            raise RuleError(f"expected a rule that gives {_WORDS[trait.type]}, this one gives {in_words(given)}{hint}")
        return compiled

    def compile_list(self, texts: list[str]) -> Any | None:
        """One list of all, so that a profile is walked once; None when it is more than CEL takes at once."""
        # Each ends with a new line, since the last thing in it may be a comment.
        items = ", ".join(f"({text}\n)" for text in texts)
        try:
            return self._env.compile(f"[{items}]")
        except RuntimeError:
            return None

    def activation(self, profile: Message) -> Any:
        """What rules are evaluated on: a copy of the message."""
        return self._env.Activation({"profile": profile})

    def _advised(self, text: str, error: str) -> RuleError:
        declared = {"traits": self._schema.trait_types, "context": self._schema.context_types}
        advice = advise(text, error, declared, self._error_of)
        if outside := _OUTSIDE.search(error):
            message = f"a trait reads profile only, not '{outside[1]}'; for time that passes there is kind: recency"
            return RuleError(message, advice.column, advice.line)
        return RuleError(advice.message, advice.column, advice.line)

    def _error_of(self, text: str) -> str | None:
        try:
            self._env.compile(text)
        except RuntimeError as error:
            return str(error)
        return None


class TraitRules:
    """All rules among a catalogue's traits, ready to be evaluated."""

    def __init__(self, traits: Mapping[str, Trait], schema: Schema) -> None:
        """Compile.

        Raises:
            RuleError: one does not compile. A catalogue that was checked has none.
            graphlib.CycleError: some read each other in a circle.
        """
        compiler = TraitCompiler(schema)
        rules = {name: trait for name, trait in traits.items() if isinstance(trait, RuleTrait)}
        self._activation = compiler.activation
        self._types = {name: trait.type for name, trait in rules.items()}
        self._single = {name: compiler.compile(trait) for name, trait in rules.items()}
        self._steps = [
            [
                (names, compiler.compile_list([rules[name].rule for name in names]))
                for names in (level[start : start + _CHUNK] for start in range(0, len(level), _CHUNK))
            ]
            for level in levels_of(traits)
        ]

    def fill(self, profile: Message, withheld: Collection[str] = ()) -> dict[str, Any]:
        """Evaluate all rules on the other traits, level by level, and set their values in the message.

        Args:
            profile: the message of the other traits.
            withheld: rules that keep their default, also for those that read them.

        Returns:
            The values. A rule that failed has none, so that the trait keeps its default; and so has one that gives it.
        """
        filled: dict[str, Any] = {}
        for level in self._steps:
            activation = self._activation(profile)
            for names, together in level:
                for name, given in zip(names, self._evaluate(names, together, activation), strict=True):
                    value = usable(given, self._types[name])
                    if value is not None and value != getattr(profile, name) and name not in withheld:
                        setattr(profile, name, value)
                        filled[name] = value
        return filled

    def _evaluate(self, names: list[str], together: Any | None, activation: Any) -> list[Any]:
        given = together.eval(activation).plain_value() if together is not None else None
        if isinstance(given, list):
            return given
        # One that fails makes a whole list fail: then, and only then, they are evaluated singly.
        results = (self._single[name].eval(activation) for name in names)
        return [None if result.type() == cel.Type.ERROR else result.value() for result in results]


def usable(given: Any, type_name: str) -> Any:
    """What a rule gave as the trait's value; None for an error (None), and for a number that is infinite or none."""
    match type_name:
        case "number" if given is not None:
            return float(given) if isfinite(given) else None
        case "string" if given is not None:
            return given[:MAX_CHARACTERS]
    return given
