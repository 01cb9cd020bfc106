"""The composition root of the prediction service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc

from wayline import logging
from wayline.bus import connect
from wayline.catalog.store import open_store
from wayline.errors import WaylineError
from wayline.lifecycle import MiB, aio_server
from wayline.registry import Registry, open_registry
from wayline.scoring import MAX_ONNX_BYTES
from wayline.v1 import prediction_pb2_grpc
from wayline_prediction.catalogs import CurrentCatalogs
from wayline_prediction.checks import MAX_MANIFEST_BYTES
from wayline_prediction.handlers import PredictionHandlers
from wayline_prediction.loaded import LoadedModels
from wayline_prediction.rows import ProfileViews
from wayline_prediction.settings import PredictionSettings

SERVICE = "wayline.v1.PredictionService"
# Above the largest request that is within its limits, so that one slightly over is told which limit that was.
MAX_RECEIVE_BYTES = MAX_ONNX_BYTES + MAX_MANIFEST_BYTES + 2 * MiB
# Each call may hold a file of 32 MiB.
MAX_CONCURRENT = 32
SWEEP_SECONDS = 3_600.0
# No registration takes longer, so what is older and not named by an entry was left behind.
ABANDONED_AFTER = timedelta(minutes=10)
log = logging.get("prediction")
_PROFILE_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * MiB),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
)


@asynccontextmanager
async def build(settings: PredictionSettings) -> AsyncIterator[None]:
    """Open the registry and the catalogue, and serve."""
    async with (
        connect(settings.nats_url, "prediction") as nc,
        grpc.aio.insecure_channel(settings.profile_address, options=_PROFILE_OPTIONS) as channel,
    ):
        js = nc.jetstream()
        registry = await open_registry(js, replicas=settings.replicas, max_bytes=settings.models_max_bytes)
        catalogs = await open_store(js, replicas=settings.replicas, max_bytes=settings.catalog_max_bytes)
        handlers = PredictionHandlers(
            registry,
            LoadedModels(registry, settings.prediction_loaded_models),
            CurrentCatalogs(catalogs),
            ProfileViews(channel),
            now=lambda: datetime.now(UTC),
        )
        async with aio_server(
            settings,
            settings.prediction_port,
            SERVICE,
            lambda server: prediction_pb2_grpc.add_PredictionServiceServicer_to_server(handlers, server),
            max_receive_bytes=MAX_RECEIVE_BYTES,
            max_concurrent=MAX_CONCURRENT,
        ):
            sweeping = asyncio.create_task(_sweep(registry), name="sweep")
            try:
                yield
            finally:
                sweeping.cancel()


async def _sweep(registry: Registry) -> None:
    """Now and then delete the files of registrations that a kill cut short."""
    while True:
        try:
            if swept := await registry.sweep(datetime.now(UTC) - ABANDONED_AFTER):
                log.info("model_files_swept", count=swept)
        except WaylineError as error:
            log.warning("model_files_not_swept", error=str(error))
        await asyncio.sleep(SWEEP_SECONDS)
