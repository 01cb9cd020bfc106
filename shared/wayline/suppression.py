"""Who must not be stored again: the identity keys of erased customers, in a key-value bucket that ingestion follows.

Keys only, no identifiers: whoever reads the bucket can ask whether an identifier that he knows is in it, and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import NoReturn

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from wayline import logging
from wayline.bus import SUPPRESSED_BUCKET
from wayline.errors import Retryable
from wayline.kv import follow, open_bucket, snapshot, when_reachable

DEFAULT_MAX_BYTES = 256 << 20
"""Some two million identifiers. In the memory of a process that follows them, one takes about 250 bytes."""
_LIFTED = b"-"
_HELD = b"+"
"""With the time of the erasure behind it, in ms since 1970, where that is known."""
_TIME_UNKNOWN_MS = 1
log = logging.get("suppression")


async def open_suppressions(js: JetStreamContext, *, replicas: int = 1, max_bytes: int = DEFAULT_MAX_BYTES) -> KeyValue:
    """The bucket; created when it is missing."""
    return await open_bucket(
        js,
        KeyValueConfig(
            bucket=SUPPRESSED_BUCKET,
            description="identity keys of erased customers",
            history=1,
            max_bytes=max_bytes,
            replicas=replicas,
        ),
    )


async def suppress(bucket: KeyValue, keys: Iterable[bytes], *, since_ms: int = _TIME_UNKNOWN_MS) -> None:
    """Refuse events of these identity keys from now on. Again is no error.

    Args:
        bucket: as `open_suppressions` gives it.
        keys: identity keys.
        since_ms: when the erasure was asked for, in ms since 1970; see `suppressed_since`.

    Raises:
        Retryable: the bucket cannot be reached, or is full; some of the keys may be in it.
    """
    await _put(bucket, keys, b"%b%d" % (_HELD, since_ms))


async def lift(bucket: KeyValue, keys: Iterable[bytes]) -> None:
    """Take events of these identity keys again.

    Raises:
        Retryable: as in `suppress`.
    """
    await _put(bucket, keys, _LIFTED)


async def held(bucket: KeyValue, keys: Iterable[bytes]) -> set[bytes]:
    """Those of the identity keys that are suppressed.

    Raises:
        Retryable: the bucket cannot be reached.
    """
    found = set()
    for key in keys:
        try:
            entry = await bucket.get(key.hex())
        except KeyNotFoundError:
            continue
        except (nats.errors.Error, OSError) as error:
            raise Retryable(f"the suppressed identifiers cannot be read: {error!r}") from error
        if entry.value != _LIFTED:
            found.add(key)
    return found


async def suppressed_since(bucket: KeyValue) -> dict[bytes, int]:
    """Every suppressed identity key with the time of its erasure in ms since 1970, 1 where that was not kept.

    Raises:
        Retryable: the bucket cannot be reached.
    """
    try:
        held = await snapshot(bucket)
    except (nats.errors.Error, OSError) as error:
        raise Retryable(f"the suppressed identifiers cannot be read: {error!r}") from error
    return {
        bytes.fromhex(name): int(value.removeprefix(_HELD) or _TIME_UNKNOWN_MS)
        for name, value in held.items()
        if value != _LIFTED
    }


class Suppressed:
    """The suppressed identity keys, as this process knows them: milliseconds behind the bucket.

    Call `load` before the first event is judged, and keep `run` going.
    """

    def __init__(self, bucket: KeyValue) -> None:
        """Nothing is known yet."""
        self._bucket = bucket
        self._keys: set[bytes] = set()

    def holds(self, keys: Collection[bytes]) -> bool:
        """Whether one of the identity keys is suppressed."""
        return not self._keys.isdisjoint(keys)

    async def load(self) -> None:
        """Read all of them; waits for the server as long as it takes."""
        held = await when_reachable(lambda: snapshot(self._bucket))
        for name, value in held.items():
            self._take(name, value)
        log.info("suppressions_loaded", keys=len(self._keys))

    async def run(self) -> NoReturn:
        """Follow changes for ever; whoever owns the connection ends it."""
        while True:
            async for name, value in follow(self._bucket, ">"):
                self._take(name, value)
            await asyncio.sleep(0)

    def __len__(self) -> int:
        """How many are held."""
        return len(self._keys)

    def _take(self, name: str, value: bytes) -> None:
        key = bytes.fromhex(name)
        if value == _LIFTED:
            self._keys.discard(key)
        else:
            self._keys.add(key)


async def _put(bucket: KeyValue, keys: Iterable[bytes], value: bytes) -> None:
    try:
        for key in keys:
            await bucket.put(key.hex(), value)
    except (nats.errors.Error, OSError) as error:
        raise Retryable(f"the suppressed identifiers cannot be written: {error!r}") from error
