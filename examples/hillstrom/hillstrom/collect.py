"""Sends events to ingestion, and waits until the profile service has folded them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from hillstrom import client
from wayline.errors import WaylineError
from wayline.v1 import ingestion_pb2, ingestion_pb2_grpc, profile_pb2, profile_pb2_grpc
from wayline.v1.events_pb2 import Event

IN_FLIGHT = 4
FOLD_SECONDS = 600.0
_CALL_SECONDS = 20.0
_POLL_SECONDS = 0.1


class NotAccepted(WaylineError):
    """Ingestion refused an event."""


async def send(address: str, batches: Iterable[Sequence[Event]], on_progress: Callable[[int], None]) -> int:
    """Send all batches, a few at a time, each until it is stored.

    The events of one customer must be in one batch: within it they keep their order, however often it is repeated.
    Batches that are under way at the same time have no order among them.

    Args:
        address: of ingestion.
        batches: at most 1,000 events each.
        on_progress: told how many events more are stored.

    Returns:
        How many events ingestion has accepted, those included that it said were stored before.

    Raises:
        NotAccepted: an event was refused.
        grpc.aio.AioRpcError: ingestion stayed away.
    """
    accepted = 0
    async with client.channel(address) as channel:
        stub = ingestion_pb2_grpc.IngestionServiceStub(channel)

        async def collect(batch: Sequence[Event]) -> None:
            nonlocal accepted
            request = ingestion_pb2.CollectRequest(events=batch)
            response = await client.patiently(lambda: stub.Collect(request, timeout=_CALL_SECONDS))
            _check(response.results)
            accepted += len(response.results)
            on_progress(len(response.results))

        await client.in_parallel(batches, collect, IN_FLIGHT)
    return accepted


async def wait_until_folded(
    address: str, on_lag: Callable[[int], None], patience_seconds: float = FOLD_SECONDS
) -> profile_pb2.GetStatisticsResponse:
    """Wait until the profile service has read the whole event stream.

    Args:
        address: of the profile service.
        on_lag: told, again and again, how many events are still to be folded.
        patience_seconds: how long to wait.

    Returns:
        What the store then holds.

    Raises:
        TimeoutError: it took longer.
        grpc.aio.AioRpcError: the service stayed away.
    """
    async with asyncio.timeout(patience_seconds), client.channel(address) as channel:
        stub = profile_pb2_grpc.ProfileServiceStub(channel)
        request = profile_pb2.GetStatisticsRequest()
        while True:
            statistics: profile_pb2.GetStatisticsResponse = await client.patiently(
                lambda: stub.GetStatistics(request, timeout=_CALL_SECONDS)
            )
            on_lag(statistics.lag)
            if not statistics.lag:
                return statistics
            await asyncio.sleep(_POLL_SECONDS)


def _check(results: Sequence[ingestion_pb2.EventResult]) -> None:
    for result in results:
        if result.status == ingestion_pb2.EVENT_STATUS_REJECTED:
            raise NotAccepted(f"{result.message_id}: {result.rejection.field}: {result.rejection.expected}")
