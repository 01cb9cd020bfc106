"""The gRPC face of the decision service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import Any

import grpc

from wayline.direct import DirectMethod
from wayline.errors import WaylineError, abort
from wayline.v1 import decision_pb2
from wayline_decision.engine import Engine
from wayline_decision.replay import Replayer

SERVICE = "wayline.v1.DecisionService"
_EXPLAIN_SECONDS = 20.0


class DecisionHandlers:
    """See the contract for shapes, limits and status codes. Runs on the server's threads."""

    def __init__(
        self,
        engine: Engine,
        replayer: Replayer,
        loop: asyncio.AbstractEventLoop,
        waiting: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Decide with `engine`; `replayer` lives on `loop`; what waits for others does so in `waiting`."""
        self._engine = engine
        self._replayer = replayer
        self._loop = loop
        self._waiting = waiting

    def direct(self, pool: Executor) -> DirectMethod:
        """`Decide`; what has to wait does so on `pool`."""
        return DirectMethod(f"/{SERVICE}/Decide", self._engine.decide_at_once, pool)

    def register(self, server: grpc.Server) -> None:
        """Add all but `Decide` to a server. Decisions come and go as bytes: see `wire`."""
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "DecideBatch": grpc.stream_stream_rpc_method_handler(self.decide_batch),
            "Explain": grpc.unary_unary_rpc_method_handler(
                self.explain,
                request_deserializer=decision_pb2.ExplainRequest.FromString,
                response_serializer=decision_pb2.ExplainResponse.SerializeToString,
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    def decide_batch(self, calls: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """`DecideBatch`."""
        while (data := self._next(calls)) is not None:
            try:
                response = self._engine.decide_batch(data, context.time_remaining())
            except WaylineError as error:
                abort(context, error)
            yield response

    def explain(
        self, request: decision_pb2.ExplainRequest, context: grpc.ServicerContext
    ) -> decision_pb2.ExplainResponse:
        """`Explain`."""
        future = asyncio.run_coroutine_threadsafe(self._replayer.explain(request.decision_id), self._loop)
        try:
            with self._waiting():
                return future.result(_EXPLAIN_SECONDS)
        except WaylineError as error:
            abort(context, error)
        finally:
            future.cancel()

    def _next(self, calls: Iterator[bytes]) -> bytes | None:
        """The next message of a stream; None at its end. A client may take its time."""
        with self._waiting():
            return next(calls, None)
