"""`python -m wayline_decision.budget_counts`: what is used of budgets, and giving it back. `job` says how it talks.

Counters only ever go up, so that no replica is led astray by an answer that is late. To give a budget back is to count
what was given back, too; replicas hear of it within a second. Two who give back the same at once give it back once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import nats.errors
from nats.js import JetStreamContext
from nats.js.errors import APIError, BucketNotFoundError, NotFoundError

from wayline.bus import CATALOG_BUCKET
from wayline.catalog.model import Catalog
from wayline.catalog.store import CatalogStore
from wayline.errors import InvalidField, NotFound, Retryable
from wayline_decision.budget_streams import place_of
from wayline_decision.core.budget import TOTAL, BudgetPlan, compile_budgets, given_back
from wayline_decision.job import NatsJob, Report, run_job

Which = Literal["total", "today"]


class Job(NatsJob):
    """Whose budgets."""

    action: str | None = None
    """None: those of all actions."""
    give_back: tuple[Which, ...] = ()
    """Of the action's budget: what was used in total, or today. Empty: only look."""


async def budget_counts(job: Job, js: JetStreamContext, _: Report) -> dict[str, Any]:
    """What is used of the current catalogue's budgets; before anything is given back, and how much was.

    Raises:
        NotFound: there is no catalogue, or the action has no such budget.
        InvalidField: something is to be given back, and no action named.
        Retryable: NATS cannot be reached.
    """
    now = datetime.now(UTC)
    plan = compile_budgets(await _catalog(js), ())
    if job.action is not None and job.action not in plan.limits:
        raise NotFound(f"the action '{job.action}' has no budget; {', '.join(sorted(plan.limits)[:20]) or 'none'} has")
    if job.give_back and job.action is None:
        raise InvalidField("action", "expected the one whose budget is given back")
    try:
        rows = [await _row(js, plan, counter) for counter in _counters(plan, job.action, now)]
        kinds = {row["which"] for row in rows}
        if lacking := [one for one in job.give_back if one not in kinds]:
            raise NotFound(f"the budget of '{job.action}' has no limit of this kind: {', '.join(lacking)}")
        for row in rows:
            if row["which"] in job.give_back:
                row["given_back"] = await _give_back(js, row)
    except (nats.errors.Error, APIError, OSError) as error:
        raise Retryable(f"the counters of budgets cannot be reached: {error!r}") from error
    return {"budgets": [{name: one for name, one in row.items() if name != "counter"} for row in rows]}


def _counters(plan: BudgetPlan, action: str | None, now: datetime) -> Iterator[str]:
    for name in sorted(plan.limits) if action is None else (action,):
        yield from plan.counters(name, now)


async def _row(js: JetStreamContext, plan: BudgetPlan, counter: str) -> dict[str, Any]:
    action, _, span = counter.rpartition(".")
    # Given back first: what is read later may only be more.
    given, counted, limit = await _value(js, given_back(counter)), await _value(js, counter), plan.limit(counter)
    return {
        "action": action,
        "which": "total" if span == TOTAL else "today",
        "day": None if span == TOTAL else span,
        "limit": limit,
        "used": max(0, counted - given),
        "given_back_before": given,
        "counter": counter,
    }


async def _value(js: JetStreamContext, counter: str) -> int:
    """As the leader of the stream has it; 0: nobody has counted it."""
    try:
        return int(json.loads((await js.get_last_msg(*place_of(counter))).data or b"{}")["val"])
    except NotFoundError:
        return 0


async def _give_back(js: JetStreamContext, row: dict[str, Any]) -> int:
    """How much was; 0 where nothing was used, or somebody else has just given it back."""
    if not row["used"]:
        return 0
    counter = given_back(row["counter"])
    # Whoever read the same has the same id: the second of them counts nothing, like a repetition.
    headers = {"Nats-Incr": str(row["used"]), "Nats-Msg-Id": f"{counter}-{row['given_back_before']}"}
    ack = await js.publish(place_of(counter)[1], headers=headers)
    return 0 if ack.duplicate else int(row["used"])


async def _catalog(js: JetStreamContext) -> Catalog:
    try:
        store = CatalogStore(await js.key_value(CATALOG_BUCKET))
        revision = await store.current_revision()
    except BucketNotFoundError:
        revision = 0
    if not revision:
        raise NotFound("no catalogue was applied yet; there are no budgets")
    return await store.fetch(revision)


if __name__ == "__main__":
    run_job("budget-counts", Job, budget_counts)
