"""A profile service that hangs until it is told to be well, over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from wayline.v1 import profile_pb2, profile_pb2_grpc


class SlowProfile(profile_pb2_grpc.ProfileServiceServicer):
    """Knows everybody, by views without traits, once `well` is set."""

    def __init__(self) -> None:
        """It hangs."""
        self.well = asyncio.Event()
        self.port = 0

    async def BatchGetViews(self, request: profile_pb2.BatchGetViewsRequest, context: Any) -> Any:
        """The views, when it is well."""
        await self.well.wait()
        views = [
            profile_pb2.CustomerView(profile_id=key.hex(), identity_keys=[key], version=1)
            for key in request.identity_keys
        ]
        return profile_pb2.BatchGetViewsResponse(views=views)


@asynccontextmanager
async def slow_profile() -> AsyncIterator[SlowProfile]:
    """On a free port."""
    profile = SlowProfile()
    server = grpc.aio.server()
    profile_pb2_grpc.add_ProfileServiceServicer_to_server(profile, server)
    profile.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield profile
    finally:
        await server.stop(None)
