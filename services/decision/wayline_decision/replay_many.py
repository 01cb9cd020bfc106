"""`python -m wayline_decision.replay_many`: are recorded decisions made anew bit for bit? `job` says how it talks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from nats.js import JetStreamContext
from nats.js.errors import BucketNotFoundError
from pydantic import AwareDatetime, Field

from wayline.bus import CATALOG_BUCKET
from wayline.catalog.store import CatalogStore
from wayline.errors import InvalidField, NotFound, Poison
from wayline.registry import open_registry
from wayline.v1 import decision_pb2
from wayline_decision.anew import decide_anew, differences
from wayline_decision.history import decisions
from wayline_decision.job import NatsJob, Report, run_job
from wayline_decision.past import Past, PastStates

MOST_SHOWN = 100
"""Differing decisions that are told one by one; all are counted."""
_AT_ONCE = 64
Record = decision_pb2.DecisionRecord


class Job(NatsJob):
    """Which decisions."""

    since: AwareDatetime
    limit: int | None = Field(None, ge=1)
    """The first so many; None: all."""


class Tally:
    """What came of it."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.decisions = self.identical = self.different = 0
        self.shown: list[dict[str, Any]] = []
        self.not_replayed: Counter[str] = Counter()
        self.gone: set[str] = set()

    def add(self, records: Sequence[tuple[Record, Past]]) -> None:
        """Decide anew, and compare."""
        for record, past in records:
            self.gone |= past.gone
            try:
                found = differences(record, decide_anew(record, past.state))
            except InvalidField as error:
                found = [str(error)]
            self.decisions += 1
            self.identical += not found
            self.different += bool(found)
            if found and len(self.shown) < MOST_SHOWN:
                self.shown.append({"decision_id": record.decision_id, "differences": found})

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "decisions": self.decisions,
            "identical": self.identical,
            "different": self.different,
            "differences": self.shown,
            "not_replayed": dict(self.not_replayed),
            "models_gone": sorted(self.gone),
        }


async def replay_many(job: Job, js: JetStreamContext, report: Report) -> dict[str, Any]:
    """Replay the decisions since a time, each under the catalogue and the models that its record names.

    Raises:
        NotFound: nothing was ever recorded.
        Retryable: NATS cannot be reached.
    """
    states = PastStates(await _catalogs(js), await open_registry(js))
    tally = Tally()
    batch: list[tuple[Record, Past]] = []
    seen = 0
    async with aclosing(decisions(js, job.since, lambda done, total: report("Replay", done, total))) as records:
        async for record in records:
            if seen == job.limit:
                break
            seen += 1
            try:
                batch.append((record, await states.of(record)))
            except (NotFound, Poison) as error:
                tally.not_replayed[str(error)] += 1
                continue
            if len(batch) == _AT_ONCE:
                await asyncio.to_thread(tally.add, batch)
                batch = []
    await asyncio.to_thread(tally.add, batch)
    return tally.as_dict()


async def _catalogs(js: JetStreamContext) -> CatalogStore:
    try:
        return CatalogStore(await js.key_value(CATALOG_BUCKET))
    except BucketNotFoundError:
        raise NotFound("no catalogue was applied yet; there is nothing to replay") from None


if __name__ == "__main__":
    run_job("replay", Job, replay_many)
