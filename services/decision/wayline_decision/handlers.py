"""The gRPC face of the decision service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc

from wayline.errors import InvalidField, LimitExceeded, WaylineError, abort
from wayline.v1 import decision_pb2, decision_pb2_grpc
from wayline_decision.engine import Engine
from wayline_decision.replay import Replayer

MAX_BATCH = 1_000
_EXPLAIN_SECONDS = 20.0


class DecisionHandlers(decision_pb2_grpc.DecisionServiceServicer):
    """See the contract for shapes, limits and status codes. Runs on the server's threads."""

    def __init__(self, engine: Engine, replayer: Replayer, loop: asyncio.AbstractEventLoop) -> None:
        """Decide with `engine`; `replayer` lives on `loop`."""
        self._engine = engine
        self._replayer = replayer
        self._loop = loop

    def Decide(self, request: decision_pb2.DecideRequest, context: grpc.ServicerContext) -> decision_pb2.DecideResponse:
        """One customer."""
        try:
            return self._engine.decide(request, context.time_remaining())
        except WaylineError as error:
            abort(context, error)

    def DecideBatch(
        self, request_iterator: Iterator[decision_pb2.DecideBatchRequest], context: grpc.ServicerContext
    ) -> Iterator[decision_pb2.DecideBatchResponse]:
        """Many customers, batch by batch."""
        for request in request_iterator:
            try:
                if not request.requests:
                    raise InvalidField("requests", f"expected 1 to {MAX_BATCH}, got none")
                if len(request.requests) > MAX_BATCH:
                    raise LimitExceeded(f"requests: at most {MAX_BATCH} in one message, got {len(request.requests)}")
                response = self._engine.decide_batch(request.requests, context.time_remaining())
            except WaylineError as error:
                abort(context, error)
            yield response

    def Explain(
        self, request: decision_pb2.ExplainRequest, context: grpc.ServicerContext
    ) -> decision_pb2.ExplainResponse:
        """Why a decision came out as it did."""
        future = asyncio.run_coroutine_threadsafe(self._replayer.explain(request.decision_id), self._loop)
        try:
            return future.result(_EXPLAIN_SECONDS)
        except WaylineError as error:
            abort(context, error)
        finally:
            future.cancel()
