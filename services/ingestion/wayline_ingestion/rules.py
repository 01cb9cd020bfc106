"""The catalogue's rules of collection, followed while events are collected."""

from __future__ import annotations

import asyncio

from wayline import logging
from wayline.catalog.json_schemas import SchemaRefused
from wayline.catalog.model import Catalog
from wayline.catalog.store import CatalogStore
from wayline_ingestion.core.judge import Judge, Rules

log = logging.get("rules")


async def use_current(catalogs: CatalogStore, judge: Judge) -> None:
    """Take over the rules that are in force now, before the first event is collected; none where there is no catalogue.

    Raises:
        Poison, NotFound, SchemaRefused: they cannot be read. To collect without them could be to store what may not be.
    """
    revision = await catalogs.current_revision()
    if revision:
        await _use(judge, revision, await catalogs.fetch(revision))


async def follow(catalogs: CatalogStore, judge: Judge) -> None:
    """Take over each revision that becomes current, for ever. What cannot be used leaves the last good one in force."""
    async for revision, catalog in catalogs.watch():
        if revision == judge.rules.revision:
            continue
        try:
            await _use(judge, revision, catalog)
        except SchemaRefused as error:
            log.error("catalog_refused", revision=revision, error=str(error))


async def _use(judge: Judge, revision: int, catalog: Catalog) -> None:
    judge.rules = await asyncio.to_thread(Rules.of, revision, catalog)
    log.info("catalog_in_use", revision=revision)
