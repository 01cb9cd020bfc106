"""The gRPC face of ingestion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from wayline.errors import LimitExceeded, WaylineError, abort_async
from wayline.v1.ingestion_pb2 import (
    CollectResponse,
    CollectStreamResponse,
    EventResult,
    ListRejectedRequest,
    ListRejectedResponse,
    RedriveRejectedRequest,
    RedriveRejectedResponse,
)
from wayline_ingestion.collector import Collector

SERVICE = "wayline.v1.IngestionService"
Context = grpc.aio.ServicerContext[Any, Any]


class IngestionHandlers:
    """Translates between gRPC and the collector, and bounds the bytes that are in work at a time."""

    def __init__(self, collector: Collector, max_in_flight_bytes: int) -> None:
        """Refuse calls while more than `max_in_flight_bytes` of others are in work."""
        self._collector = collector
        self._max_in_flight_bytes = max_in_flight_bytes
        self._in_flight_bytes = 0

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server. Batches come as bytes: see `codec`."""
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Collect": grpc.unary_unary_rpc_method_handler(
                self.collect, response_serializer=CollectResponse.SerializeToString
            ),
            "CollectStream": grpc.stream_stream_rpc_method_handler(
                self.collect_stream, response_serializer=CollectStreamResponse.SerializeToString
            ),
            "ListRejected": grpc.unary_unary_rpc_method_handler(
                self.list_rejected,
                request_deserializer=ListRejectedRequest.FromString,
                response_serializer=ListRejectedResponse.SerializeToString,
            ),
            "RedriveRejected": grpc.unary_unary_rpc_method_handler(
                self.redrive_rejected,
                request_deserializer=RedriveRejectedRequest.FromString,
                response_serializer=RedriveRejectedResponse.SerializeToString,
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    async def collect(self, call: bytes, context: Context) -> CollectResponse:
        """`Collect`."""
        return CollectResponse(results=await self._collect(call, context))

    async def collect_stream(
        self, calls: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[CollectStreamResponse]:
        """`CollectStream`. A batch starts when the one before it is stored, so a stream keeps its order."""
        async for call in calls:
            yield CollectStreamResponse(results=await self._collect(call, context))

    async def list_rejected(self, request: ListRejectedRequest, context: Context) -> ListRejectedResponse:
        """`ListRejected`."""
        async with _answering(context):
            letters, total = await self._collector.rejected(request.after_sequence, request.limit, request.reason)
        return ListRejectedResponse(rejected=letters, total=total)

    async def redrive_rejected(self, request: RedriveRejectedRequest, context: Context) -> RedriveRejectedResponse:
        """`RedriveRejected`."""
        async with _answering(context):
            accepted, rejected = await self._collector.redrive(request.sequences, request.reason)
        return RedriveRejectedResponse(accepted=accepted, rejected=rejected)

    async def _collect(self, call: bytes, context: Context) -> list[EventResult]:
        async with _answering(context):
            # A call is always let in when it is alone, however large it may be.
            if self._in_flight_bytes and self._in_flight_bytes + len(call) > self._max_in_flight_bytes:
                raise LimitExceeded(
                    f"{self._in_flight_bytes:,} bytes of other calls are in work, of {self._max_in_flight_bytes:,} "
                    "(WAYLINE_MAX_IN_FLIGHT_BYTES); nothing of this call was stored, send it again shortly"
                )
            self._in_flight_bytes += len(call)
            try:
                return await self._collector.collect(call)
            finally:
                self._in_flight_bytes -= len(call)


@asynccontextmanager
async def _answering(context: Context) -> AsyncIterator[None]:
    """Expected errors end the call with the status that belongs to them."""
    try:
        yield
    except WaylineError as error:
        await abort_async(context, error)
