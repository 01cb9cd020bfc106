"""The catalogue's revisions in JetStream KV. A revision never changes; 'current' names the one that serves."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator
from functools import partial
from typing import NamedTuple

from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue
from pydantic import ValidationError

from wayline import logging
from wayline.bus import CATALOG_BUCKET
from wayline.catalog.model import Catalog
from wayline.errors import NotFound, Poison
from wayline.kv import follow, open_bucket, when_reachable

CURRENT = "current"
UPTAKE = "uptake"
DEFAULT_MAX_BYTES = 1 << 28
_ATTEMPTS = 20
_TOO_FAST = "the catalogue changes faster than it can be applied"
log = logging.get("catalog")


class Uptake(NamedTuple):
    """What the decision service made of the catalogue last; of several replicas, the one that came last says so."""

    in_use: int = 0
    """The revision that it decides by; 0: none."""
    refused: int = 0
    """The current revision, which it cannot decide by; 0: it can."""
    because: str = ""


class Origin(NamedTuple):
    """How a revision came to be, as far as it was told; those of earlier versions of Wayline tell nothing."""

    by: str = ""
    """Who applied it, as the command line named her; empty: not known."""
    again: int = 0
    """The earlier revision that it repeats; 0: none."""


_UNTOLD = Origin()


class CatalogStore:
    """Reads and writes catalogue revisions, which count from 1."""

    def __init__(self, bucket: KeyValue) -> None:
        """Use `open_store` instead."""
        self._bucket = bucket

    async def apply(self, catalog: Catalog, origin: Origin = _UNTOLD) -> int:
        """Store `catalog` as the next revision and make it current.

        The catalogue must have passed `wayline.catalog.check` before.

        Returns:
            The revision.
        """
        data = zlib.compress(catalog.model_dump_json(exclude_unset=True, by_alias=True).encode(), 6)
        for _ in range(_ATTEMPTS):
            revision = await self.current_revision() + 1
            try:
                await self._bucket.create(f"revision.{revision}", data)
            except KeyWrongLastSequenceError:
                # Someone stored this revision a moment ago, or died before making it current: step over it.
                await self._make_current(revision)
                continue
            await self._make_current(revision)
            if origin != _UNTOLD:
                await self._bucket.put(f"origin.{revision}", json.dumps(origin._asdict()).encode())
            return revision
        raise Poison(_TOO_FAST)

    async def _make_current(self, revision: int) -> None:
        """Unless a later one is: whoever was slow must not take back what somebody else applied meanwhile."""
        for _ in range(_ATTEMPTS):
            try:
                entry = await self._bucket.get(CURRENT)
            except KeyNotFoundError:
                current, last = 0, 0
            else:
                current, last = int(entry.value or b"0"), entry.revision or 0
            if current >= revision:
                return
            try:
                if last:
                    await self._bucket.update(CURRENT, str(revision).encode(), last=last)
                else:
                    await self._bucket.create(CURRENT, str(revision).encode())
            except KeyWrongLastSequenceError:
                continue
            return
        raise Poison(_TOO_FAST)

    async def current_revision(self) -> int:
        """The revision that serves; 0 when there is none yet."""
        try:
            return int((await self._bucket.get(CURRENT)).value or b"0")
        except KeyNotFoundError:
            return 0

    async def fetch(self, revision: int) -> Catalog:
        """One revision.

        Raises:
            NotFound: there is no such revision.
            Poison: it cannot be read, for instance because a newer version of Wayline wrote it.
        """
        try:
            data = (await self._bucket.get(f"revision.{revision}")).value or b""
        except KeyNotFoundError:
            raise NotFound(f"catalogue revision {revision} is not known") from None
        try:
            return Catalog.model_validate_json(zlib.decompress(data))
        except (ValidationError, zlib.error) as error:
            raise Poison(f"catalogue revision {revision} cannot be read: {error}") from error

    async def origin(self, revision: int) -> Origin:
        """How a revision came to be."""
        try:
            said = json.loads((await self._bucket.get(f"origin.{revision}")).value or b"{}")
        except KeyNotFoundError:
            return Origin()
        return Origin(**{name: said[name] for name in Origin._fields if name in said})

    async def report(self, uptake: Uptake) -> None:
        """Tell whoever applies catalogues what became of the current one."""
        await self._bucket.put(UPTAKE, json.dumps(uptake._asdict()).encode())

    async def uptake(self) -> Uptake:
        """What was reported last."""
        try:
            said = json.loads((await self._bucket.get(UPTAKE)).value or b"{}")
        except KeyNotFoundError:
            return Uptake()
        return Uptake(**{name: said[name] for name in Uptake._fields if name in said})

    async def revisions(self) -> AsyncIterator[int]:
        """The number of the current revision and of each that becomes current, for ever."""
        async for _, value in follow(self._bucket, CURRENT):
            if value:
                yield int(value)

    async def watch(self) -> AsyncIterator[tuple[int, Catalog]]:
        """The current revision and each that becomes current, for ever. One that cannot be read is only logged."""
        async for revision in self.revisions():
            try:
                catalog = await when_reachable(partial(self.fetch, revision))
            except (NotFound, Poison) as error:
                log.error("catalog_unreadable", revision=revision, error=str(error))
                continue
            yield revision, catalog


async def open_store(js: JetStreamContext, *, replicas: int = 1, max_bytes: int = DEFAULT_MAX_BYTES) -> CatalogStore:
    """Open the bucket, and create it when it is missing. `max_bytes` limits all revisions together."""
    config = KeyValueConfig(bucket=CATALOG_BUCKET, history=1, max_bytes=max_bytes, replicas=replicas)
    return CatalogStore(await open_bucket(js, config))
