"""JetStream key-value buckets: opened by several services at once, and watched for as long as the process lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig
from nats.js.errors import BucketNotFoundError
from nats.js.kv import KeyValue

from wayline import logging

ATTEMPTS = 40
QUIET_SECONDS = 1.0
"""After so long without news the watch asks whether the server still knows it."""

_RETRY_SECONDS = 0.25
log = logging.get("kv")
T = TypeVar("T")


async def open_bucket(js: JetStreamContext, config: KeyValueConfig) -> KeyValue:
    """The bucket of that name; created when it is missing, with the limits of `config`."""
    return await open_or_create(lambda: js.key_value(config.bucket), lambda: js.create_key_value(config))


async def open_or_create(look: Callable[[], Awaitable[T]], create: Callable[[], Awaitable[T]]) -> T:
    """Open, else create; again for a few seconds, since another service may be creating the same thing."""
    for attempt in range(ATTEMPTS):
        try:
            return await look()
        except BucketNotFoundError:
            try:
                return await create()
            except nats.errors.Error as error:
                if attempt == ATTEMPTS - 1:
                    raise
                log.debug("bucket_busy", error=repr(error))
                await asyncio.sleep(0.1)
    raise AssertionError("unreachable")


async def snapshot(bucket: KeyValue) -> dict[str, bytes]:
    """Every key with its value, as of now.

    The watch's own sign that nothing is left is not trusted: the client takes a bucket for empty when its entries
    arrive while it asks how many there are. Each entry says how many come after it.

    Raises:
        nats.errors.Error: the server cannot be reached.
    """
    values: dict[str, bytes] = {}
    if not (await bucket.status()).values:
        return values
    watcher: Any = await bucket.watchall()  # its methods have no types
    try:
        left = 1
        while left:
            entry = await watcher.updates()
            if entry is None:
                continue
            if entry.operation is None:
                values[entry.key] = entry.value or b""
            else:
                values.pop(entry.key, None)
            left = entry.delta
    finally:
        await _stop(watcher)
    return values


async def follow(bucket: KeyValue, keys: str) -> AsyncIterator[tuple[str, bytes]]:
    """The value of each key that matches `keys`, now and whenever it changes, for ever. Deletions are left out.

    The client's own watch is an ephemeral consumer, which a server that was killed has forgotten; the client notices
    only after missed heartbeats, up to twenty seconds later, and not in every case. So whenever it is quiet we ask the
    server for the consumer, and watch anew when it is gone. What was seen already is not given again.

    Raises:
        nats.errors.ConnectionClosedError: the connection was closed by its owner.
    """
    seen: dict[str, int] = {}
    while True:
        try:
            watcher: Any = await bucket.watch(keys)
            try:
                while True:
                    try:
                        entry = await watcher.updates(QUIET_SECONDS)
                    except nats.errors.TimeoutError:
                        await watcher._sub.consumer_info()
                        continue
                    if entry is None or entry.operation is not None or seen.get(entry.key) == entry.revision:
                        continue
                    seen[entry.key] = entry.revision
                    yield entry.key, entry.value
            finally:
                await _stop(watcher)
        except nats.errors.ConnectionClosedError:
            raise
        except (nats.errors.Error, OSError) as error:  # the consumer is gone, or the server is away
            log.debug("watch_interrupted", keys=keys, error=repr(error))
            await asyncio.sleep(_RETRY_SECONDS)


async def when_reachable(read: Callable[[], Awaitable[T]]) -> T:
    """What `read` gives, as soon as the server can be reached: for watches, which last for ever.

    Raises:
        nats.errors.ConnectionClosedError: the connection was closed by its owner.
    """
    while True:
        try:
            return await read()
        except nats.errors.ConnectionClosedError:
            raise
        except (nats.errors.Error, OSError) as error:
            log.debug("read_interrupted", error=repr(error))
            await asyncio.sleep(_RETRY_SECONDS)


async def _stop(watcher: Any) -> None:
    with suppress(nats.errors.Error, OSError):  # nobody listens any more: the server forgets the watch by itself
        await watcher.stop()
