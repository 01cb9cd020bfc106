"""Tries a rule on a sample of the customers.

Profile ids are hashes, so those that follow any id are a fair sample, and are read in one go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain, islice, takewhile
from typing import Any

from cel_expr_python import cel

from wayline.catalog.rules import RuleError
from wayline.catalog.trait_rules import TraitCompiler
from wayline.catalog.traits import RuleTrait
from wayline.errors import InvalidField
from wayline.v1 import profile_pb2
from wayline_profile.core.values import Reading, evaluate
from wayline_profile.store import ProfileStore

_PAGE = 200
Condition = Callable[[Any], bool]


def condition_of(reading: Reading, rule: str) -> Condition:
    """Whether a rule holds for a message of traits. One that fails does not hold.

    Raises:
        InvalidField: the rule does not compile.
    """
    compiler = TraitCompiler(reading.schema)
    try:
        compiled = compiler.compile(RuleTrait(kind="rule", rule=rule))
    except RuleError as error:
        raise InvalidField("rule", str(error)) from None

    def holds(traits: Any) -> bool:
        result = compiled.eval(compiler.activation(traits))
        return result.type() != cel.Type.ERROR and bool(result.value())

    return holds


class Preview:
    """How many of a sample a condition holds for."""

    def __init__(self, reading: Reading, holds: Condition, most_ids: int) -> None:
        """Nothing was judged yet. At most `most_ids` of those for whom it holds are named."""
        self._reading = reading
        self._holds = holds
        self._most_ids = most_ids
        self.judged = self.matched = 0
        self.profile_ids: list[str] = []

    async def judge(self, store: ProfileStore, start: str, at_most: int, now_ms: int) -> None:
        """Judge the customers from the profile id `start` on, round to it again; gives way between pages."""
        sample = islice(_round(store, start), at_most)
        while page := list(islice(sample, _PAGE)):
            for profile in page:
                self._take(profile, now_ms)
            await asyncio.sleep(0)

    def _take(self, profile: profile_pb2.Profile, now_ms: int) -> None:
        self.judged += 1
        # As for a standing: whoever's processing is restricted belongs nowhere.
        if not profile.restricted.holds and self._holds(evaluate(profile, self._reading, now_ms).traits):
            self.matched += 1
            if len(self.profile_ids) < self._most_ids:
                self.profile_ids.append(profile.profile_id)


def _round(store: ProfileStore, start: str) -> Iterator[profile_pb2.Profile]:
    before = takewhile(lambda profile: profile.profile_id <= start, store.profiles())
    return chain(store.profiles(after=start), before)
