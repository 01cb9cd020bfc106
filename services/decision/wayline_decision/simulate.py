"""`python -m wayline_decision.simulate`: what another catalogue or model would have decided, and what it is worth.

`job` says how it talks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Literal

from nats.js import JetStreamContext
from nats.js.errors import BucketNotFoundError
from pydantic import AwareDatetime, Field

from wayline.bus import CATALOG_BUCKET
from wayline.catalog.model import Catalog
from wayline.catalog.store import CatalogStore
from wayline.errors import InvalidField, NotFound, Poison
from wayline.registry import open_registry
from wayline.v1 import decision_pb2
from wayline_decision.chances import recorded_chances
from wayline_decision.compare import Comparison
from wayline_decision.core.compile import compile_plan
from wayline_decision.history import Rewards, decisions, rewards
from wayline_decision.job import NatsJob, Report, run_job
from wayline_decision.models import Loaded, load
from wayline_decision.past import Past, PastStates
from wayline_decision.states import catalogs_of, fitted, plans_of

BATCH = 256
Record = decision_pb2.DecisionRecord


class Job(NatsJob):
    """What to simulate."""

    since: AwareDatetime
    catalog: Catalog | None = None
    """It must have passed `wayline.catalog.check`. None: the current one."""
    models: Mapping[str, int] = Field(default_factory=dict)
    """Model to the version that scores. Those that are not here: their champions."""
    reward: Literal["auto", "click", "conversion"] = "auto"
    """auto: conversions where there are any, else clicks."""
    segments: tuple[str, ...] = ()


async def simulate(job: Job, js: JetStreamContext, report: Report) -> dict[str, Any]:
    """Decide all recorded questions anew, and compare; see docs/simulation.md for the result.

    Raises:
        WaylineError: there is nothing to simulate with, or nothing was recorded.
    """
    now = datetime.now(UTC)
    store = await _store(js)
    revision = await store.current_revision() if store else 0
    current = await store.fetch(revision) if store and revision else None
    catalog = job.catalog or current
    if catalog is None:
        raise NotFound("no catalogue was applied yet; give one with --catalog")
    plan = await asyncio.to_thread(compile_plan, catalog, revision)
    variants = await asyncio.to_thread(plans_of, plan, await catalogs_of(plan, store) if store else {})
    loaded = await _load(js, plan.models.union(*(one.models for one in variants.values())), job.models)
    state = await asyncio.to_thread(fitted, plan, variants, loaded)
    kind, outcomes = await _rewards(job, js, [one for one in (catalog, current) if one], report)
    comparison = Comparison(state, outcomes.of, job.segments)
    pasts = _Pasts(PastStates(store, await open_registry(js)) if store else None)
    batch: list[tuple[Record, Past | None]] = []
    found = decisions(js, job.since, lambda done, total: report("Decide anew", done, total))
    async with aclosing(found) as records:
        async for record in records:
            batch.append((record, await pasts.of(record)))
            if len(batch) == BATCH:
                await asyncio.to_thread(comparison.add, batch)
                batch = []
    await asyncio.to_thread(comparison.add, batch)
    return {
        "since": job.since.isoformat(),
        "until": now.isoformat(),
        "catalog": {"name": catalog.name, "revision": None if job.catalog else revision},
        "models": {name: one.version for name, one in sorted(loaded.items())},
        "fell_back": comparison.fell_back,
        "skipped": dict(comparison.skipped),
        "placements_gone": dict(comparison.gone),
        "changes": comparison.changes.as_dict(),
        "value": {"reward": kind, "outcomes": len(outcomes), **await asyncio.to_thread(_worth, comparison)},
    }


def _worth(comparison: Comparison) -> dict[str, Any]:
    later = [{"slot": slot, **found.as_dict()} for slot, found in sorted(comparison.later.items())]
    return {**comparison.evidence.as_dict(), "later_slots": later}


class _Pasts:
    """What decisions were made with, of which the record does not say all chances."""

    def __init__(self, states: PastStates | None) -> None:
        self._states = states
        self._lost: set[int] = set()

    async def of(self, record: Record) -> Past | None:
        """None: it is not needed, or it is gone."""
        if self._states is None or record.catalog_revision in self._lost:
            return None
        if not any(None in slots for slots in recorded_chances(record).values()):
            return None
        try:
            return await self._states.of(record)
        except (NotFound, Poison):
            self._lost.add(record.catalog_revision)
            return None


async def _store(js: JetStreamContext) -> CatalogStore | None:
    try:
        return CatalogStore(await js.key_value(CATALOG_BUCKET))
    except BucketNotFoundError:
        return None


async def _load(js: JetStreamContext, asked_for: frozenset[str], wanted: Mapping[str, int]) -> dict[str, Loaded]:
    """The models that actions ask for, in the wanted versions, else their champions."""
    for name in wanted:
        if name not in asked_for:
            known = ", ".join(sorted(asked_for)) or "none"
            raise InvalidField("model", f"expected one that an action of the catalogue names ({known}), got '{name}'")
    loaded: dict[str, Loaded] = {}
    if asked_for:
        registry = await open_registry(js)
        champions = {model.name: model.champion for model in await registry.list()}
        for name in sorted(asked_for):
            if version := wanted.get(name) or champions.get(name, 0):
                loaded[name] = await load(registry, name, version)
    return loaded


async def _rewards(job: Job, js: JetStreamContext, catalogs: list[Catalog], report: Report) -> tuple[str, Rewards]:
    """The outcomes that count. The events that tell them are named by the catalogue then and by the one to try."""
    conversion = {name for one in catalogs for name in one.outcomes.conversion}
    click = {name for one in catalogs for name in one.outcomes.click} - conversion
    kinds = {"conversion": conversion, "click": click}
    found = await rewards(
        js, job.since, list(kinds.values()), lambda done, total: report("Read the outcomes", done, total)
    )
    by_kind = dict(zip(kinds, found, strict=True))
    kind = job.reward
    if kind == "auto":
        kind = "conversion" if by_kind["conversion"] or not by_kind["click"] else "click"
    return kind, by_kind[kind]


if __name__ == "__main__":
    run_job("simulate", Job, simulate)
