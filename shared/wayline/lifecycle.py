"""How a service starts, says that it is well, and ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol, TypeVar, cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from wayline import logging
from wayline.direct import DirectMethod
from wayline.pool import ElasticPool
from wayline.settings import Settings, read

S = TypeVar("S", bound=Settings)
MiB = 1 << 20
_CANCEL_AGAIN_SECONDS = 0.25
log = logging.get("lifecycle")


class Health(Protocol):
    """Says whether a service is fit for traffic. '' is the process; the service's full name is readiness."""

    async def set_ready(self, ready: bool) -> None:
        """Tell the probes."""


def collect_rarely() -> None:
    """Look for cyclic garbage a hundredth as often as Python does by itself.

    What a request makes is freed by counting references. What stays (views, profiles, plans) is a great deal, and
    walking it in search of cycles took 30 % of the time of a batch of decisions.
    """
    gc.set_threshold(50_000, 20, 100)


def main(name: str, settings_type: type[S], build: Callable[[S], AbstractAsyncContextManager[None]]) -> None:
    """Run one service until SIGTERM or SIGINT: the body of its `__main__`.

    Args:
        name: of the service, for its log.
        settings_type: read from the environment here, once.
        build: the composition root. Everything that it opened is closed in reverse order at the end.
    """
    run(name, read(settings_type), build)


def run(name: str, settings: S, build: Callable[[S], AbstractAsyncContextManager[None]], **facts: object) -> None:
    """The same with settings that were read already; `facts` go on every line of the log."""
    logging.configure(name, settings.log_level, **facts)
    collect_rarely()
    asyncio.run(_run(name, settings, build))


async def _run(name: str, settings: S, build: Callable[[S], AbstractAsyncContextManager[None]]) -> None:
    stop, started = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with build(settings):
            started.set()
            log.info("started")
            await stop.wait()
            log.info("stopping")
        log.info("stopped")

    holding = asyncio.create_task(hold(), name=name)

    def end() -> None:
        stop.set()
        if not started.is_set():
            holding.cancel()  # still starting: nothing to drain

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    with suppress(asyncio.CancelledError):
        await holding


class _AioHealth:
    def __init__(self, servicer: health.aio.HealthServicer, service: str) -> None:
        self._servicer = servicer
        self._service = service

    async def set_ready(self, ready: bool) -> None:
        await self._servicer.set(self._service, _status(ready))


class ThreadHealth:
    """The same for a threaded server, which may also say that it hangs."""

    def __init__(self, servicer: health.HealthServicer, service: str) -> None:
        """Say it by `servicer`."""
        self._servicer = servicer
        self._service = service

    async def set_ready(self, ready: bool) -> None:
        """Tell the probes of readiness."""
        self._servicer.set(self._service, _status(ready))

    def set_alive(self, alive: bool) -> None:
        """Tell the probes of life, whose failure has the process restarted."""
        self._servicer.set("", _status(alive))


def _status(ready: bool) -> int:
    return health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING


def _options(max_receive_bytes: int, *, share_port: bool = False) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_receive_bytes),
        ("grpc.max_metadata_size", 16 * 1024),
        ("grpc.so_reuseport", int(share_port)),
    ]


@asynccontextmanager
async def aio_server(
    settings: Settings,
    port: int,
    service: str,
    register: Callable[[grpc.aio.Server], None],
    *,
    max_receive_bytes: int = 5 * MiB,
    max_concurrent: int = 1_000,
) -> AsyncIterator[Health]:
    """An asyncio gRPC server with health and reflection, that drains before it ends.

    Raises:
        SystemExit: the port is taken.
    """
    server = grpc.aio.server(options=_options(max_receive_bytes), maximum_concurrent_rpcs=max_concurrent)
    register(server)
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection((service, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    _bind(server, settings.host, port)
    await server.start()
    await servicer.set("", _status(True))
    ready = _AioHealth(servicer, service)
    await ready.set_ready(True)
    try:
        yield ready
    finally:
        await servicer.enter_graceful_shutdown()
        await server.stop(settings.shutdown_grace_seconds)


@asynccontextmanager
async def thread_server(
    settings: Settings,
    port: int,
    service: str,
    register: Callable[[grpc.Server], None],
    *,
    pool: ElasticPool,
    direct: DirectMethod,
    max_receive_bytes: int = 5 * MiB,
    max_concurrent: int = 1_000,
    share_port: bool = False,
) -> AsyncIterator[ThreadHealth]:
    """A threaded gRPC server with health and reflection, on `pool`, which it shuts down at the end.

    Calls of the method `direct` go another way. With `share_port`, other processes may listen on the port too.
    """
    # Its published type asks for the standard library's pool; `submit` is all that it calls.
    server = grpc.server(
        cast(ThreadPoolExecutor, pool),
        options=_options(max_receive_bytes, share_port=share_port),
        maximum_concurrent_rpcs=max_concurrent,
    )
    register(server)
    servicer = health.HealthServicer(experimental_non_blocking=True)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection((service, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    direct.add_to(server)
    _bind(server, settings.host, port)
    server.start()
    direct.start()
    told = ThreadHealth(servicer, service)
    told.set_alive(True)
    await told.set_ready(True)
    try:
        yield told
    finally:
        servicer.enter_graceful_shutdown()
        stopped = server.stop(settings.shutdown_grace_seconds)
        await asyncio.get_running_loop().run_in_executor(None, stopped.wait)
        if not await asyncio.to_thread(pool.close, settings.shutdown_grace_seconds):
            log.error("threads_hang")
        await asyncio.to_thread(direct.stop, settings.shutdown_grace_seconds)


def _bind(server: grpc.Server | grpc.aio.Server, host: str, port: int) -> None:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise SystemExit(f"cannot listen on {address}: the port is taken or the address is not this machine's")


def end_on_failure(task: asyncio.Task[None]) -> None:
    """For `add_done_callback`: a background task that fails ends the process at once.

    Whoever supervises it starts it anew from what is stored; going on without the task would only look well.
    """
    if not task.cancelled() and task.exception():
        log.critical("task_failed", task=task.get_name(), exc_info=task.exception())
        os._exit(1)


async def end_all(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel background tasks, and wait until each has ended.

    Until Python 3.12 `asyncio.wait_for`, which clients of NATS use everywhere, may swallow a cancellation that comes
    with its result; so whoever goes on is cancelled again.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        left = (await asyncio.wait(left, timeout=_CANCEL_AGAIN_SECONDS))[1]
