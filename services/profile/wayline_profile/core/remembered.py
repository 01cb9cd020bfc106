"""What rules gave lately: they read a few values, and many customers have the same ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from google.protobuf.message import Message

from wayline.catalog.trait_rules import TraitRules, read_by
from wayline.catalog.traits import AffinityTrait, RuleTrait, Trait

MAX_REMEMBERED = 20_000
"""Some 10 MB at most. When it is full, all is forgotten."""
_WHOLE = re.compile(r"\bprofile\b(?!\s*\.)")


class RememberedRules:
    """Rules of one catalogue. What they give depends on the traits that they read, and on who is withheld, only."""

    def __init__(self, rules: TraitRules, traits: Mapping[str, Trait], *, most: int = MAX_REMEMBERED) -> None:
        """Remember nothing yet. Rules over affinities are evaluated every time, since those weights hardly
        ever recur; and so are rules that read the profile as a whole.
        """
        self._rules = rules
        read = read_by(traits, (name for name, trait in traits.items() if isinstance(trait, RuleTrait)))
        self._reads = tuple(sorted(name for name in read if not isinstance(traits[name], RuleTrait)))
        whole = any(isinstance(trait, RuleTrait) and _WHOLE.search(trait.rule) for trait in traits.values())
        self._recurs = not (whole or any(isinstance(traits[name], AffinityTrait) for name in self._reads))
        self._most = most
        self._given: dict[tuple[Any, ...], Mapping[str, Any]] = {}

    def fill(self, profile: Message, values: Mapping[str, Any], withheld: Collection[str] = ()) -> Mapping[str, Any]:
        """See `TraitRules.fill`. `values`: those that `profile` was made of; nobody changes what is returned."""
        if not self._recurs:
            return self._rules.fill(profile, withheld)
        # 0 and -0 are equal, and a rule may divide by them; a value that is not there is none of them.
        read = (value or (repr(value),) for value in map(values.get, self._reads))
        key = (frozenset(withheld), *read)
        given = self._given.get(key)
        if given is not None:
            for name, value in given.items():
                setattr(profile, name, value)
            return given
        given = self._rules.fill(profile, withheld)
        if len(self._given) >= self._most:
            self._given.clear()
        self._given[key] = given
        return given
