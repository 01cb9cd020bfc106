"""The catalogue that is current now, with its types compiled."""

from __future__ import annotations

from dataclasses import dataclass

import nats.errors

from wayline.catalog.model import Catalog
from wayline.catalog.rules import RuleCompiler
from wayline.catalog.schema import Schema, build_schema
from wayline.catalog.store import CatalogStore
from wayline.errors import Precondition, Retryable


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentCatalog:
    """One revision, ready to read inputs."""

    revision: int
    catalog: Catalog
    schema: Schema
    compiler: RuleCompiler


class CurrentCatalogs:
    """Asks the store for its revision each time, so that a model can be registered right after `catalog apply`."""

    def __init__(self, store: CatalogStore) -> None:
        """Read from `store`."""
        self._store = store
        self._current: CurrentCatalog | None = None

    async def current(self) -> CurrentCatalog:
        """The current revision.

        Raises:
            Precondition: no catalogue was applied yet.
            Retryable: NATS cannot be reached.
        """
        try:
            revision = await self._store.current_revision()
            if not revision:
                raise Precondition("there is no catalogue yet; apply one first: wayline catalog apply DIR")
            if self._current is None or self._current.revision != revision:
                catalog = await self._store.fetch(revision)
                schema = build_schema(catalog)
                self._current = CurrentCatalog(
                    revision=revision, catalog=catalog, schema=schema, compiler=RuleCompiler(schema)
                )
        except (nats.errors.Error, OSError) as error:
            raise Retryable(f"the catalogue cannot be reached: {error!r}") from error
        return self._current
