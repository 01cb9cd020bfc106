"""Takes events of erased identifiers again: first by the projection, then at collection.

The other way round, an event that is collected in between would be left out, and deleted. Whoever is killed in between
asks again: what was done already is not done twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from uuid import uuid4

from nats.js.kv import KeyValue

from wayline.errors import InvalidField, Retryable
from wayline.identity import check_identifier
from wayline.suppression import held, lift
from wayline.v1 import events_pb2
from wayline_profile.core.erasure import Bar
from wayline_profile.core.records import SUPPRESSED
from wayline_profile.privacy.control import ControlEvents
from wayline_profile.store import ProfileStore

MAX_IDENTIFIERS = 100
_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.05


class Readmission:
    """Lifts suppressions."""

    def __init__(
        self, store: ProfileStore, bucket: KeyValue, control: ControlEvents, *, now: Callable[[], datetime]
    ) -> None:
        """See the module. `bucket` is what collection follows."""
        self._store = store
        self._bucket = bucket
        self._control = control
        self._now = now

    async def suppressed(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those that the projection or collection leaves out.

        Raises:
            Retryable: the bucket cannot be reached.
        """
        barred = {*self._barred(keys), *await held(self._bucket, keys)}
        return [key for key in keys if key in barred]

    async def readmit(self, keys: Sequence[bytes], *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """Take their events again, and return when that is so.

        Raises:
            Retryable: NATS cannot be reached, or the projection is behind. Ask again.
            LimitExceeded: the event stream is full.
        """
        since: dict[int, list[bytes]] = {}
        for key, bar in self._barred(keys).items():
            since.setdefault(bar.suppressed_ms, []).append(key)
        for suppressed_ms, those in sorted(since.items()):
            await self._control.publish_readmission(those, suppressed_ms, uuid4().hex, self._now())
        deadline = time.monotonic() + patience_seconds
        while self._barred(keys):
            if time.monotonic() > deadline:
                raise Retryable("the projection is behind, and still leaves the identifiers out; ask again later")
            await asyncio.sleep(_POLL_SECONDS)
        await lift(self._bucket, keys)

    def _barred(self, keys: Sequence[bytes]) -> dict[bytes, Bar]:
        bars = {key: Bar.decoded(data) for key, data in self._store.records(SUPPRESSED, keys).items()}
        return {key: bar for key, bar in bars.items() if bar.suppresses}


def checked(identifiers: Sequence[events_pb2.Identifier], kinds: Collection[str] | None) -> list[bytes]:
    """Their identity keys, each once.

    Raises:
        InvalidField: there are none, too many, or one is none.
    """
    if not 0 < len(identifiers) <= MAX_IDENTIFIERS:
        raise InvalidField("identifiers", f"expected 1 to {MAX_IDENTIFIERS}, got {len(identifiers):,}")
    found = (check_identifier(one, f"identifiers[{place}]", kinds) for place, one in enumerate(identifiers))
    return list(dict.fromkeys(found))
