"""The funnel: how the rows of a placement became fewer, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wayline_decision.core.plan import Stage


class Step(NamedTuple):
    """How many rows came to a stage, and how many of them it dropped."""

    stage: Stage
    entered: int
    dropped: int


def funnel(rows: int, stages: Iterable[Stage]) -> Iterator[Step]:
    """How the rows of a placement became fewer, in the order in which they are judged.

    Args:
        rows: how many there are.
        stages: of each that was dropped, where.
    """
    lost = Counter(stages)
    for stage in Stage:
        if not rows:
            return
        yield Step(stage, rows, lost[stage])
        rows -= lost[stage]
