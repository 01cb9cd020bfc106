"""Which catalogue serves once everything runs. An example never takes the place of what is there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wayline.cli import support
from wayline.cli.catalog_apply import apply_if_new

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from wayline.catalog.model import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What was found, or applied: no `revision` when there is no catalogue, and no `catalog` when it is unreadable."""

    revision: int | None = None
    catalog: Catalog | None = None
    unreadable: str = ""


async def make_serve(catalog: Catalog, url: str) -> Serving:
    """Apply `catalog`, whatever served until now."""
    revision, _ = await apply_if_new(catalog, url)
    return Serving(revision=revision, catalog=catalog)


async def make_serve_if_none(example: Catalog, url: str) -> Serving:
    """Apply `example` where no catalogue was applied yet; else what is there, which stays."""
    found = await serving(url)
    return await make_serve(example, url) if found.revision is None else found


async def serving(url: str) -> Serving:
    """What is stored as current."""
    from nats.js.errors import BucketNotFoundError

    from wayline.bus import CATALOG_BUCKET
    from wayline.catalog.store import CatalogStore
    from wayline.errors import Poison

    async with support.connection(url) as client:
        try:
            store = CatalogStore(await client.jetstream().key_value(CATALOG_BUCKET))
        except BucketNotFoundError:
            return Serving()
        revision = await store.current_revision()
        if not revision:
            return Serving()
        try:
            return Serving(revision=revision, catalog=await store.fetch(revision))
        except Poison as error:
            return Serving(revision=revision, unreadable=str(error))
