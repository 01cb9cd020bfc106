"""The gRPC face of the prediction service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import grpc

from wayline import logging
from wayline.catalog.context import read_context
from wayline.errors import InvalidField, LimitExceeded, Poison, Precondition, WaylineError, abort_async
from wayline.identity import check_identifier
from wayline.model_versions import version_of
from wayline.registry import Registry
from wayline.scoring import MAX_ONNX_BYTES, Matrix
from wayline.v1 import prediction_pb2, prediction_pb2_grpc
from wayline_prediction.catalogs import CurrentCatalogs
from wayline_prediction.checks import check_labels, check_manifest, check_model, check_name
from wayline_prediction.loaded import LoadedModel, LoadedModels
from wayline_prediction.rows import ViewSource, rows_given, rows_of

MAX_ROWS = 1_000
MAX_VALUES = 1_000_000
"""Numbers in one answer: it is built in memory."""

log = logging.get("prediction")
Context = grpc.aio.ServicerContext[object, object]


class PredictionHandlers(prediction_pb2_grpc.PredictionServiceServicer):
    """See the contract for shapes, limits and status codes."""

    def __init__(
        self,
        registry: Registry,
        loaded: LoadedModels,
        catalogs: CurrentCatalogs,
        views: ViewSource,
        *,
        now: Callable[[], datetime],
    ) -> None:
        """Keep models in `registry`; read inputs by `catalogs` and `views`."""
        self._registry = registry
        self._loaded = loaded
        self._catalogs = catalogs
        self._views = views
        self._now = now
        # Loading takes a core and several times the file's size in memory: one after the other.
        self._registering = asyncio.Semaphore(1)

    async def RegisterModel(
        self, request: prediction_pb2.RegisterModelRequest, context: Context
    ) -> prediction_pb2.RegisterModelResponse:
        """Check, then store."""
        async with _answering(context):
            check_manifest(request.manifest)
            if len(request.onnx) > MAX_ONNX_BYTES:
                raise LimitExceeded(f"onnx: expected at most {MAX_ONNX_BYTES} bytes, got {len(request.onnx)}")
            current = await self._catalogs.current()
            check_labels(request.manifest, current.catalog)
            async with self._registering:
                started = time.perf_counter()
                await asyncio.to_thread(check_model, request.manifest, request.onnx, current.schema, current.compiler)
                checked = time.perf_counter()
                # A caller that goes away now must not leave half a file behind.
                storing = self._registry.register(request.manifest, request.onnx, self._now(), request.promote)
                model = await asyncio.shield(storing)
            version = model.versions[-1]
            log.info(
                "model_registered",
                model=model.name,
                version=version.version,
                promoted=request.promote,
                bytes=version.size_bytes,
                check_ms=round((checked - started) * 1e3, 1),
                store_ms=round((time.perf_counter() - checked) * 1e3, 1),
            )
            return prediction_pb2.RegisterModelResponse(version=version)

    async def ListModels(
        self,
        request: prediction_pb2.ListModelsRequest,  # noqa: ARG002
        context: Context,
    ) -> prediction_pb2.ListModelsResponse:
        """All models."""
        async with _answering(context):
            return prediction_pb2.ListModelsResponse(models=await self._registry.list())

    async def PromoteModel(
        self, request: prediction_pb2.PromoteModelRequest, context: Context
    ) -> prediction_pb2.PromoteModelResponse:
        """A new champion."""
        async with _answering(context):
            check_name(request.name, "name")
            if request.version < 0:
                raise InvalidField("version", f"expected 0 or more, got {request.version}")
            model = await self._registry.promote(request.name, request.version)
            log.info("model_promoted", model=model.name, version=model.champion)
            return prediction_pb2.PromoteModelResponse(model=model)

    async def RollbackModel(
        self, request: prediction_pb2.RollbackModelRequest, context: Context
    ) -> prediction_pb2.RollbackModelResponse:
        """The former champion."""
        async with _answering(context):
            check_name(request.name, "name")
            model = await self._registry.rollback(request.name)
            log.info("model_rolled_back", model=model.name, version=model.champion)
            return prediction_pb2.RollbackModelResponse(model=model)

    async def Predict(self, request: prediction_pb2.PredictRequest, context: Context) -> prediction_pb2.PredictResponse:
        """Outputs for customers or rows."""
        async with _answering(context):
            count = _check_request(request)
            loaded = await self._load(request)
            if count * len(loaded.manifest.outputs) > MAX_VALUES:
                raise LimitExceeded(
                    f"expected an answer of at most {MAX_VALUES} numbers; the model has "
                    f"{len(loaded.manifest.outputs)} outputs: send fewer rows at a time"
                )
            matrix = await self._matrix(request, loaded)
            try:
                outputs = await asyncio.to_thread(loaded.scorer.run, matrix)
            except Exception as error:  # onnxruntime raises a different class for each kind of failure
                raise Poison(f"model '{request.name}' version {loaded.version} fails: {error}") from error
            return prediction_pb2.PredictResponse(
                predictions=[prediction_pb2.Prediction(values=row) for row in outputs.tolist()],
                version=loaded.version,
            )

    async def _load(self, request: prediction_pb2.PredictRequest) -> LoadedModel:
        model = await self._registry.get(request.name)
        if not (request.version or model.champion):
            raise Precondition(f"model '{model.name}' has no champion yet: promote one of its versions")
        return await self._loaded.get(model.name, version_of(model, request.version or model.champion))

    async def _matrix(self, request: prediction_pb2.PredictRequest, loaded: LoadedModel) -> Matrix:
        if request.rows:
            return rows_given(request.rows, len(loaded.manifest.inputs))
        current = await self._catalogs.current()
        kinds = current.catalog.identifiers
        keys = [check_identifier(one, f"customers[{at}]", kinds) for at, one in enumerate(request.customers)]
        message, warnings = read_context(request.context, current.schema)
        if warnings:
            log.info("context_left_out", model=request.name, fields=len(warnings))
        encoder = loaded.encoder(current)
        views = await self._views.views(list(dict.fromkeys(keys)))
        return await asyncio.to_thread(rows_of, keys, views, message, encoder, current, self._now())


def _check_request(request: prediction_pb2.PredictRequest) -> int:
    """How many predictions are asked for."""
    check_name(request.name, "name")
    if request.version < 0:
        raise InvalidField("version", f"expected 0 or more, got {request.version}")
    if bool(request.customers) == bool(request.rows):
        raise InvalidField("customers", f"expected 1 to {MAX_ROWS} customers, or else 1 to {MAX_ROWS} rows")
    for field, count in (("customers", len(request.customers)), ("rows", len(request.rows))):
        if count > MAX_ROWS:
            raise LimitExceeded(f"{field}: expected at most {MAX_ROWS}, got {count}")
    return len(request.customers) + len(request.rows)


@asynccontextmanager
async def _answering(context: Context) -> AsyncIterator[None]:
    """Ends the call with the status that belongs to the error."""
    try:
        yield
    except WaylineError as error:
        await abort_async(context, error)
