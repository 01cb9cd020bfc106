"""A patient client: connections that come back quickly, and calls that are repeated while a service is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import grpc

from wayline.errors import Retryable

PATIENCE_SECONDS = 60.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 2.0
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.enable_http_proxy", 0),
)
T = TypeVar("T")


def channel(address: str) -> grpc.aio.Channel:
    """A connection to a service that may be restarted meanwhile."""
    return grpc.aio.insecure_channel(address, options=_OPTIONS)


async def patiently(call: Callable[[], Awaitable[T]], patience_seconds: float = PATIENCE_SECONDS) -> T:
    """The answer of `call`, which is repeated with growing pauses while the service is away.

    Only for calls that may be repeated: questions, and events, whose message ids keep them from counting twice.

    Raises:
        grpc.aio.AioRpcError: it was refused, or the service stayed away for `patience_seconds`.
        Retryable: the same, from a `call` that raises it to be repeated.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await call()
        except (grpc.aio.AioRpcError, Retryable) as error:
            refused = isinstance(error, grpc.aio.AioRpcError) and error.code() not in _AWAY
            if refused or loop.time() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


async def in_parallel(items: Iterable[T], work: Callable[[T], Awaitable[None]], workers: int) -> None:
    """Do `work` on every item, on so many at a time, begun in their order. The first failure ends it and is raised."""
    waiting = iter(items)

    async def draw() -> None:
        for item in waiting:  # all draw from the same iterator
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(draw())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
