from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
from nats.js import JetStreamContext
from tests.support.ingestion import running_ingestion
from tests.support.ports import free_port

from wayline.v1.ingestion_pb2_grpc import IngestionServiceStub


@pytest.fixture
def address() -> str:
    """Where `ingestion` listens."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
async def channel(nats_url: str, js: JetStreamContext, address: str) -> AsyncIterator[grpc.aio.Channel]:
    """To ingestion on empty streams."""
    async with running_ingestion(nats_url, ingestion_port=int(address.rpartition(":")[2])) as channel:
        yield channel


@pytest.fixture
def ingestion(channel: grpc.aio.Channel) -> IngestionServiceStub:
    """A client of ingestion on empty streams."""
    return IngestionServiceStub(channel)
