"""Counts the members of all audiences and stages.

Counted when somebody asks rather than with each change: a figure that every commit writes would be one row for which
all workers wait.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from wayline_profile.core.standing import Standing
from wayline_profile.store import ProfileStore
from wayline_profile.store.records import STANDING

FRESH_MS = 10_000
"""So long a count is given again."""
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Counted:
    """Members as of a time."""

    audiences: Counter[str]
    stages: Counter[str]
    profiles: int
    """Customers in all."""
    at_ms: int


class Census:
    """One count at a time, shared by all who ask meanwhile."""

    def __init__(self, store: ProfileStore, *, now_ms: Callable[[], int]) -> None:
        """Count what is in `store`."""
        self._store = store
        self._now_ms = now_ms
        self._one = asyncio.Lock()
        self._counted: Counted | None = None

    async def count(self) -> Counted:
        """The members, counted at most ten seconds ago. It gives way between pages: it is not of one moment."""
        async with self._one:
            now_ms = self._now_ms()
            if self._counted is None or not 0 <= now_ms - self._counted.at_ms < FRESH_MS:
                self._counted = await self._count(now_ms)
            return self._counted

    async def _count(self, now_ms: int) -> Counted:
        audiences: Counter[str] = Counter()
        stages: Counter[str] = Counter()
        last = b""
        while page := self._store.scan(STANDING, after=last, at_most=_PAGE):
            for _, data in page:
                standing = Standing.FromString(data)
                audiences.update(standing.audiences.keys())
                stages[standing.stage] += 1
            last = page[-1][0]
            await asyncio.sleep(0)
        return Counted(audiences, stages, self._store.counters().profiles, now_ms)
