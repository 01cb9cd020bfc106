"""What rules gave lately: they read a few values, and many customers have the same ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from wayline.catalog.trait_rules import TraitRules, read_by
from wayline.catalog.traits import AffinityTrait, RuleTrait, Trait

MAX_REMEMBERED = 20_000
"""Some 10 MB at most. When it is full, all is forgotten."""
_WHOLE = re.compile(r"\bprofile\b(?!\s*\.)")


@dataclass(slots=True)
class _Alike:
    """Rules that read the same traits, directly or through other rules."""

    reads: tuple[str, ...]
    rules: list[str] = field(default_factory=list)
    given: dict[tuple[Any, ...], Mapping[str, Any]] = field(default_factory=dict)
    """By what they read, and who was withheld."""

    def key_of(self, values: Mapping[str, Any], withheld: frozenset[str]) -> tuple[Any, ...]:
        """What the result depends on. 0 and -0 are equal, and a rule may divide by them."""
        key: list[Any] = [withheld]
        for name in self.reads:
            value = values.get(name)
            key.append(repr(value) if value == 0.0 and isinstance(value, float) else value)
        return tuple(key)


class RememberedRules:
    """Rules of one catalogue. What they give depends on the traits that they read, and on who is withheld, only."""

    def __init__(self, rules: TraitRules, traits: Mapping[str, Trait], *, most: int = MAX_REMEMBERED) -> None:
        """Remember nothing yet. Rules over affinities are evaluated every time, since those weights hardly
        ever recur; and so are rules that read the profile as a whole.
        """
        self._rules = rules
        declared = {name: trait.rule for name, trait in traits.items() if isinstance(trait, RuleTrait)}
        # Each by itself: what a customer spent hardly recurs, and what another audience reads may all the same.
        alike: dict[tuple[str, ...], _Alike] = {}
        for name in declared:
            reads = tuple(sorted(read_by(traits, (name,)).difference(declared)))
            alike.setdefault(reads, _Alike(reads)).rules.append(name)
        self._alike = list(alike.values())
        whole = any(_WHOLE.search(rule) for rule in declared.values())
        self._recurs = not (whole or any(isinstance(traits[name], AffinityTrait) for reads in alike for name in reads))
        self._most = most
        self._held = 0

    def fill(self, profile: Message, values: Mapping[str, Any], withheld: Collection[str] = ()) -> Mapping[str, Any]:
        """See `TraitRules.fill`. `values`: those that `profile` was made of, but for affinities."""
        if not self._recurs:
            return self._rules.fill(profile, withheld)
        filled: dict[str, Any] = {}
        without = frozenset(withheld)
        for one in self._alike:
            given = one.given.get(one.key_of(values, without))
            if given is None:
                return self._fill_anew(profile, values, without)
            if given:
                filled.update(given)
        for name, value in filled.items():
            setattr(profile, name, value)
        return filled

    def _fill_anew(self, profile: Message, values: Mapping[str, Any], withheld: frozenset[str]) -> Mapping[str, Any]:
        filled = self._rules.fill(profile, withheld)
        if self._held + len(self._alike) > self._most:
            self._held = 0
            for one in self._alike:
                one.given.clear()
        for one in self._alike:
            one.given[one.key_of(values, withheld)] = {name: filled[name] for name in one.rules if name in filled}
        self._held += len(self._alike)
        return filled
