"""What the profile store keeps of erasures: requests, what is pending, what is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from wayline.v1 import privacy_pb2
from wayline_profile.core.changes import Commit, TimelineRow
from wayline_profile.store import ProfileStore
from wayline_profile.store.records import DISCARDED, ERASURE, ERASURE_REQUEST, RECEIPT

AT_ONCE = 100
"""Erasures that are carried out together: they share the looking through, and the writing anew."""
Write = Callable[[Commit], Awaitable[object]]


class Ledger:
    """Reads the store, and writes to it by `write`, which takes its turn among all others who do."""

    def __init__(self, store: ProfileStore, write: Write) -> None:
        """See the class."""
        self._store = store
        self._write = write

    async def ask(self, request: privacy_pb2.ErasureRequest) -> None:
        """Write down that an erasure was asked for."""
        key = (ERASURE_REQUEST, request.erasure_id.encode())
        await self._write(Commit(records={key: request.SerializeToString(deterministic=True)}))

    def requests(self) -> list[privacy_pb2.ErasureRequest]:
        """Those of which the fold has not taken note yet; the first so many."""
        rows = self._store.scan(ERASURE_REQUEST, at_most=AT_ONCE)
        folded = self._store.records(ERASURE, [key for key, _ in rows])
        return [privacy_pb2.ErasureRequest.FromString(data) for key, data in rows if key not in folded]

    def asked(self) -> set[bytes]:
        """The identity keys of all requests that are not done."""
        requests = (privacy_pb2.ErasureRequest.FromString(data) for data in self._all_of(ERASURE_REQUEST))
        return {key for request in requests for key in request.identity_keys}

    def request_of(self, erasure_id: str) -> privacy_pb2.ErasureRequest | None:
        """What was asked for; None: nothing, or it is done."""
        for data in self._store.records(ERASURE_REQUEST, [erasure_id.encode()]).values():
            return privacy_pb2.ErasureRequest.FromString(data)
        return None

    def find(self, erasure_id: str) -> privacy_pb2.PendingErasure | None:
        """An erasure of which the fold has taken note."""
        for data in self._store.records(ERASURE, [erasure_id.encode()]).values():
            return privacy_pb2.PendingErasure.FromString(data)
        return None

    def receipt(self, erasure_id: str) -> str:
        """The receipt of an erasure that is done; empty: it is not, or it is not known."""
        return self._store.records(RECEIPT, [erasure_id.encode()]).get(erasure_id.encode(), b"").decode()

    def pending(self) -> list[privacy_pb2.PendingErasure]:
        """Those that are folded and not done; the first so many."""
        return list(islice((one for one in self._noted() if one.state != privacy_pb2.ERASURE_STATE_DONE), AT_ONCE))

    def due(self, now: datetime) -> list[privacy_pb2.PendingErasure]:
        """Those that are done, and for which it is time to look through streams once more; the first so many."""
        at = now.timestamp()
        done = (one for one in self._noted() if one.state == privacy_pb2.ERASURE_STATE_DONE)
        return list(islice((one for one in done if one.look_again_at.ToDatetime(UTC).timestamp() <= at), AT_ONCE))

    async def save(self, pending: Sequence[privacy_pb2.PendingErasure]) -> None:
        """Write down how far they are."""
        records = {(ERASURE, one.erasure_id.encode()): one.SerializeToString(deterministic=True) for one in pending}
        await self._write(Commit(records=dict(records)))

    async def finish(self, done: privacy_pb2.PendingErasure, receipt: str) -> None:
        """Keep the receipt, and what is needed to look again."""
        key = done.erasure_id.encode()
        records = {
            (RECEIPT, key): receipt.encode(),
            (ERASURE, key): done.SerializeToString(deterministic=True),
            (ERASURE_REQUEST, key): None,
        }
        await self._write(Commit(records=dict(records)))

    async def forget(self, erasure_id: str) -> None:
        """There is nothing more to do; the receipt stays."""
        await self._write(Commit(records={(ERASURE, erasure_id.encode()): None}))

    def discarded(self, at_most: int) -> list[bytes]:
        """Keys of the records of barred events."""
        return [key for key, _ in self._store.scan(DISCARDED, at_most=at_most)]

    async def forget_discarded(self, keys: Sequence[bytes]) -> None:
        """They are deleted in the stream."""
        await self._write(Commit(records={(DISCARDED, key): None for key in keys}))

    async def unfile(self, row: TimelineRow) -> None:
        """Take an event out of the timeline of somebody else, who has named the customer in it."""
        await self._write(Commit(unfiled=[row]))

    async def compact(self) -> list[str]:
        """See `ProfileStore.compact`; others go on meanwhile."""
        return await asyncio.to_thread(self._store.compact)

    def _noted(self) -> Iterator[privacy_pb2.PendingErasure]:
        return map(privacy_pb2.PendingErasure.FromString, self._all_of(ERASURE))

    def _all_of(self, kind: str) -> Iterator[bytes]:
        after = b""
        while rows := self._store.scan(kind, after=after, at_most=AT_ONCE):
            yield from (data for _, data in rows)
            after = rows[-1][0]
