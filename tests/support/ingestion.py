"""The ingestion service inside the test's own process, on real NATS and real gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from tests.support.ports import free_port

from wayline_ingestion.app import build
from wayline_ingestion.settings import IngestionSettings


@asynccontextmanager
async def running_ingestion(nats_url: str, **settings: Any) -> AsyncIterator[grpc.aio.Channel]:
    """The service with small streams and these `settings`, and a channel to it."""
    values: dict[str, Any] = {
        "ingestion_port": free_port(),
        "events_max_bytes": 64 << 20,
        "dead_letters_max_bytes": 16 << 20,
        "quality_max_bytes": 16 << 20,
        "shutdown_grace_seconds": 0.5,
        **settings,
    }
    # Send whatever a test likes: it is the server's limit that is of interest.
    options = [("grpc.max_send_message_length", -1)]
    address = f"127.0.0.1:{values['ingestion_port']}"
    async with (
        build(IngestionSettings(nats_url=nats_url, **values)),
        grpc.aio.insecure_channel(address, options=options) as channel,
    ):
        yield channel
