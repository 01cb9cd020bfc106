"""The gRPC face of the back-fill."""

from __future__ import annotations

import grpc

from wayline.errors import WaylineError, abort_async
from wayline.v1 import backfill_pb2, backfill_pb2_grpc
from wayline_profile.filling import Filling

Context = grpc.aio.ServicerContext[object, object]


class BackfillHandlers(backfill_pb2_grpc.BackfillServiceServicer):
    """See the contract for shapes and status codes."""

    def __init__(self, filling: Filling) -> None:
        """Answer from what `filling` has noted."""
        self._filling = filling

    async def GetBackfill(
        self,
        request: backfill_pb2.GetBackfillRequest,  # noqa: ARG002
        context: Context,
    ) -> backfill_pb2.GetBackfillResponse:
        """How far new and changed traits are filled in."""
        try:
            return self._filling.status()
        except WaylineError as error:
            await abort_async(context, error)
