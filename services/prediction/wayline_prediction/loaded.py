"""Model versions that are kept loaded for Predict, the latest used of them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from wayline.registry import Registry
from wayline.scoring import InputEncoder, Scorer
from wayline.v1 import prediction_pb2
from wayline_prediction.catalogs import CurrentCatalog
from wayline_prediction.checks import check_labels


class LoadedModel:
    """One version, ready to run."""

    def __init__(self, version: prediction_pb2.ModelVersion, onnx: bytes) -> None:
        """Load it: call from a worker thread."""
        self.version = version.version
        self.manifest = version.manifest
        self.scorer = Scorer(version.manifest, onnx)
        self._encoder: tuple[int, InputEncoder] | None = None

    def encoder(self, current: CurrentCatalog) -> InputEncoder:
        """Reads inputs by the current catalogue; kept until that changes.

        Raises:
            InvalidField: the catalogue no longer declares what the model needs, or no longer lets it be used.
        """
        if self._encoder is None or self._encoder[0] != current.revision:
            check_labels(self.manifest, current.catalog)
            self._encoder = (current.revision, InputEncoder(self.manifest, current.schema, current.compiler))
        return self._encoder[1]


class LoadedModels:
    """Loads from the registry on the first use, and keeps the latest used."""

    def __init__(self, registry: Registry, capacity: int) -> None:
        """Keep at most `capacity` versions."""
        self._registry = registry
        self._capacity = capacity
        self._models: OrderedDict[tuple[str, str, int], LoadedModel] = OrderedDict()
        self._loading = asyncio.Lock()

    async def get(self, name: str, version: prediction_pb2.ModelVersion) -> LoadedModel:
        """One version of a model. A model that was deleted and made anew is told apart by its digest.

        Raises:
            NotFound: it is gone.
            Poison: its file is damaged.
            Retryable: NATS cannot be reached.
        """
        key = (name, version.sha256, version.version)
        if key not in self._models:
            async with self._loading:  # several calls for one model load it once
                if key not in self._models:
                    fetched, onnx = await self._registry.fetch(name, version.version)
                    self._models[key] = await asyncio.to_thread(LoadedModel, fetched, onnx)
                    if len(self._models) > self._capacity:
                        self._models.popitem(last=False)
        self._models.move_to_end(key)
        return self._models[key]
