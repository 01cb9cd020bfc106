"""`python -m wayline_decision.list_many`: the latest recorded decisions of a kind. `job` says how it talks."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

from nats.js import JetStreamContext
from nats.js.errors import BucketNotFoundError
from nats.js.kv import KeyValue
from pydantic import AwareDatetime, Field

from wayline.bus import CATALOG_BUCKET, SUPPRESSED_BUCKET, connect
from wayline.catalog.store import CatalogStore
from wayline.errors import NotFound, Poison
from wayline.identity import identity_key
from wayline.suppression import held
from wayline.v1 import decision_pb2
from wayline_decision.backwards import windows
from wayline_decision.job import NatsJob, Report, run_job

_CLOCKS_DIFFER = timedelta(seconds=1)
Record = decision_pb2.DecisionRecord


class Job(NatsJob):
    """Which decisions. All that is given must hold."""

    last: int = Field(ge=1, le=1_000)
    """The latest so many."""
    most_read: int = Field(ge=1)
    """So many are read, to the end of a window, before it gives up."""
    since: AwareDatetime | None = None
    customer: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")
    """The identity key of one of the customer's identifiers."""
    action: str | None = None
    """It was chosen."""
    placement: str | None = None
    """It was asked for; with an action: the action was chosen for it."""
    channel: str | None = None
    """As for the placement, of one of its placements."""


class Channels:
    """Which placements a channel has, in the catalogue that a record names."""

    def __init__(self, store: CatalogStore | None) -> None:
        """Without a store no placement is known."""
        self._store = store
        self._of_revision: dict[int, dict[str, str]] = {}
        self.unknown: set[int] = set()
        """Revisions that are not kept, or cannot be read."""

    async def placements(self, channel: str, revision: int) -> frozenset[str]:
        """Those on the channel."""
        if revision not in self._of_revision:
            self._of_revision[revision] = await self._read(revision)
        return frozenset(name for name, of in self._of_revision[revision].items() if of == channel)

    async def _read(self, revision: int) -> dict[str, str]:
        try:
            if self._store is not None:
                catalog = await self._store.fetch(revision)
                return {name: placement.channel for name, placement in catalog.placements.items()}
        except (NotFound, Poison):
            pass
        self.unknown.add(revision)
        return {}


class Erased:
    """Who is being erased: what is still recorded of her is shown to nobody."""

    def __init__(self, bucket: KeyValue | None) -> None:
        """Without a bucket nobody was ever erased."""
        self._bucket = bucket
        self._known: dict[bytes, bool] = {}

    async def is_about(self, keys: set[bytes]) -> bool:
        """Whether one of these identity keys is hers."""
        if self._bucket is None:
            return False
        asked = [key for key in keys if key not in self._known]
        found = await held(self._bucket, asked)
        self._known.update({key: key in found for key in asked})
        return any(self._known[key] for key in keys)


async def list_many(job: Job, js: JetStreamContext, report: Report) -> dict[str, Any]:
    """The latest decisions that fit, newest first, with what was asked and what was chosen.

    Raises:
        NotFound: nothing was ever recorded.
        Retryable: NATS cannot be reached.
    """
    channels, erased = Channels(await _catalogs(js)), Erased(await _bucket(js, SUPPRESSED_BUCKET))
    latest: dict[str, Record] = {}
    read = 0
    read_since: datetime | None = None
    stopped = False
    since = job.since - _CLOCKS_DIFFER if job.since else None
    async with connect(job.nats_url, "list") as client, aclosing(windows(client, since)) as found:
        async for window in found:
            read, read_since = read + len(window.records), window.stored_since
            report("Looking for decisions", window.done, window.total)
            fitting = [one for one in window.records if _is_asked_for(one, job) and await _is_there(one, job, channels)]
            latest = await _latest(latest, fitting, job.last, erased)
            oldest = _decided_at(list(latest.values())[-1]) if len(latest) == job.last else None
            if oldest is not None and oldest > read_since + _CLOCKS_DIFFER:
                break
            stopped = read >= job.most_read and window.done < window.total
            if stopped:
                break
    return {
        "decisions": [_as_dict(one) for one in latest.values()],
        "read": read,
        "read_since": read_since.isoformat() if read_since else None,
        "stopped": stopped,
        "channels_unknown": sorted(channels.unknown),
    }


def _is_asked_for(record: Record, job: Job) -> bool:
    """Whether time, customer and action fit."""
    if job.since is not None and _decided_at(record) < job.since:
        return False
    if job.action is not None and all(one.action != job.action for one in record.selections):
        return False
    return job.customer is None or bytes.fromhex(job.customer) in _about(record)


async def _is_there(record: Record, job: Job, channels: Channels) -> bool:
    """Whether the placements fit, and where there is an action, that it was chosen for one of them."""
    asked = {one.placement for one in record.request.placements}
    if job.placement is not None:
        asked &= {job.placement}
    if asked and job.channel is not None:
        asked &= await channels.placements(job.channel, record.catalog_revision)
    if job.action is None:
        return bool(asked)
    return any(one.placement in asked and one.action == job.action for one in record.selections)


async def _latest(known: dict[str, Record], come: list[Record], most: int, erased: Erased) -> dict[str, Record]:
    """The latest of both, each once, newest first, without those about somebody who is being erased."""
    latest: dict[str, Record] = {}
    for one in sorted((*known.values(), *come), key=_decided_at, reverse=True):
        if len(latest) == most:
            break
        if not await erased.is_about(_about(one)):
            latest[one.decision_id] = one
    return latest


def _about(record: Record) -> set[bytes]:
    """The customer: by the identifier that was asked for, and by those that were known to be hers then."""
    customer, view = record.request.customer, record.view
    profile = {bytes.fromhex(view.profile_id)} if view.profile_id else set()
    return {identity_key(customer.kind, customer.value), *view.identity_keys, *profile}


def _decided_at(record: Record) -> datetime:
    return record.decided_at.ToDatetime(UTC)


def _as_dict(record: Record) -> dict[str, Any]:
    customer = record.request.customer
    return {
        "decision_id": record.decision_id,
        "decided_at": _decided_at(record).isoformat(),
        "customer": {"kind": customer.kind, "value": customer.value},
        "personalisation": decision_pb2.Personalisation.Name(record.personalisation),
        "catalog_revision": record.catalog_revision,
        "experiments": dict(record.experiments),
        "placements": [
            {
                "placement": asked.placement,
                "chosen": [
                    {"action": one.action, "treatment": one.treatment}
                    for one in record.selections
                    if one.placement == asked.placement
                ],
            }
            for asked in record.request.placements
        ],
    }


async def _catalogs(js: JetStreamContext) -> CatalogStore | None:
    bucket = await _bucket(js, CATALOG_BUCKET)
    return CatalogStore(bucket) if bucket else None


async def _bucket(js: JetStreamContext, name: str) -> KeyValue | None:
    try:
        return await js.key_value(name)
    except BucketNotFoundError:
        return None


if __name__ == "__main__":
    run_job("list", Job, list_many)
