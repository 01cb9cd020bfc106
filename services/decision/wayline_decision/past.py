"""What was decided with: the catalogues and models that records name, whatever serves now."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from wayline import logging
from wayline.catalog.store import CatalogStore
from wayline.catalog.variants import Variant
from wayline.errors import NotFound
from wayline.registry import Registry
from wayline.scoring import Matrix, Scorer
from wayline.v1 import decision_pb2, prediction_pb2
from wayline_decision.core.plan import Plan
from wayline_decision.models import Loaded, load
from wayline_decision.states import State, compiled, fitted

_KEPT_PLANS = 4
"""Of a large catalogue, one is some 50 MB."""
_KEPT_MODELS = 32
_KEPT_STATES = 32
"""They share plans and models. Each arm of an experiment on models has its own."""
log = logging.get("past")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Past(NamedTuple):
    """The state that made a decision, and the models in it."""

    state: State
    models: Mapping[str, Loaded]
    gone: frozenset[str]
    """Models whose version is no longer in the registry: 'NAME@VERSION'."""


class PastStates:
    """Fetches what decisions were made with, and keeps the latest. For one task at a time."""

    def __init__(self, catalogs: CatalogStore, registry: Registry) -> None:
        """Read catalogues and models from where they are kept."""
        self._catalogs = catalogs
        self._registry = registry
        self._plans: OrderedDict[int, tuple[Plan, dict[Variant, Plan]]] = OrderedDict()
        self._models: OrderedDict[tuple[str, int], Loaded | None] = OrderedDict()
        self._states: OrderedDict[tuple[object, ...], Past] = OrderedDict()

    async def of(self, record: decision_pb2.DecisionRecord) -> Past:
        """What a record's decision was made with.

        Raises:
            NotFound: the catalogue's revision is gone.
            Poison: it cannot be read.
            Retryable: NATS cannot be reached.
        """
        key = (record.catalog_revision, *sorted(record.model_versions.items()))
        past = self._states.get(key)
        if past is None:
            plan, variants = await self._plan(record.catalog_revision)
            found = {name: await self._model(name, version) for name, version in record.model_versions.items()}
            models = {name: one for name, one in found.items() if one is not None}
            gone = {name: record.model_versions[name] for name in found.keys() - models.keys()}
            champions = models | {name: _Gone.loaded(name, version) for name, version in gone.items()}
            state = await asyncio.to_thread(fitted, plan, variants, champions)
            past = Past(state, models, frozenset(f"{name}@{version}" for name, version in gone.items()))
        return _keep(self._states, key, past, _KEPT_STATES)

    async def _plan(self, revision: int) -> tuple[Plan, dict[Variant, Plan]]:
        plans = self._plans.get(revision)
        if plans is None:
            plans = await compiled(await self._catalogs.fetch(revision), revision, self._catalogs)
        return _keep(self._plans, revision, plans, _KEPT_PLANS)

    async def _model(self, name: str, version: int) -> Loaded | None:
        if (name, version) in self._models:
            return _keep(self._models, (name, version), self._models[name, version], _KEPT_MODELS)
        try:
            loaded = await load(self._registry, name, version)
        except NotFound as error:
            log.warning("model_gone", model=name, version=version, error=str(error))
            loaded = None
        return _keep(self._models, (name, version), loaded, _KEPT_MODELS)


class _Gone(Scorer):
    """Stands where a version was that is gone: a record has its propensities, which are put over what it gives."""

    def __init__(self) -> None:
        """There is nothing to load."""

    def run(self, rows: Matrix) -> NDArray[np.float64]:
        """No numbers, in whose place the catalogue's base rates are taken."""
        return np.full((len(rows), 1), np.nan)

    @classmethod
    def loaded(cls, name: str, version: int) -> Loaded:
        """For all actions that ask for the model."""
        manifest = prediction_pb2.ModelManifest(name=name, outputs=[prediction_pb2.ModelOutput()])
        return Loaded(manifest, version, cls())


def _keep(kept: OrderedDict[K, V], key: K, value: V, most: int) -> V:
    """Hold on to what was used last."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
    return value
