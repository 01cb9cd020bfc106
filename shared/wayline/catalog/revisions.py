"""The revisions of the catalogue that are kept: when each was applied, by whom, and how large it is."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import NamedTuple

from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from wayline.bus import CATALOG_BUCKET
from wayline.catalog.store import CatalogStore, Origin


class Kept(NamedTuple):
    """A revision. The figures are None where its data cannot be read."""

    revision: int
    applied_at: datetime
    origin: Origin
    actions: int | None
    traits: int | None


async def kept(js: JetStreamContext, store: CatalogStore) -> AsyncGenerator[Kept]:
    """All that are kept up to the current one, the newest first; one at a time is in memory."""
    for revision in range(await store.current_revision(), 0, -1):
        stored = await _stored(js, revision)
        if stored is not None and stored.data and stored.time:
            figures = _figures(stored.data)
            yield Kept(revision, stored.time, await store.origin(revision), *figures)


async def before(js: JetStreamContext, revision: int) -> int | None:
    """The nearest kept revision before this one; None: there is none."""
    for number in range(revision - 1, 0, -1):
        stored = await _stored(js, number)
        if stored is not None and stored.data:
            return number
    return None


async def _stored(js: JetStreamContext, revision: int) -> RawStreamMsg | None:
    """Its data, and when the server stored it: a revision never changes. Without data it was deleted."""
    try:
        return await js.get_msg(f"KV_{CATALOG_BUCKET}", subject=f"$KV.{CATALOG_BUCKET}.revision.{revision}")
    except NotFoundError:
        return None


def _figures(data: bytes) -> tuple[int | None, int | None]:
    """How many actions and traits. Nothing is checked: a revision of another version of Wayline is counted as well."""
    try:
        said = json.loads(zlib.decompress(data))
        groups = [group for issue in said.get("issues", ()) for group in issue.get("groups", ())]
        return sum(len(group.get("actions", ())) for group in groups), len(said.get("traits", ()))
    except (zlib.error, ValueError, AttributeError, TypeError):
        return None, None
