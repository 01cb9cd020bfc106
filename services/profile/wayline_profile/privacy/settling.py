"""From a request to an erasure in the event stream: whom it names, once all that was collected before is folded.

Who asks for an erasure names one identifier. Events that were accepted a moment before may link more with it: they are
refused from now on, and those that are on their way are waited for. Then the identity keys are written down, and the
event stream is told: whoever dies in between tells it of the same keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import nats.js.errors
from nats.aio.client import Client
from nats.js.kv import KeyValue

from wayline import streams
from wayline.bus import EVENTS, event_subject
from wayline.suppression import suppress
from wayline.v1 import events_pb2, privacy_pb2
from wayline_profile.privacy.control import ControlEvents
from wayline_profile.privacy.finding import of_profile
from wayline_profile.privacy.ledger import Ledger
from wayline_profile.store import ProfileStore

_PAGE = 500
_PUBLISH_AGAIN = timedelta(seconds=60)
Ends = Mapping[int, int]
"""Partition to a sequence."""
Request = privacy_pb2.ErasureRequest


class Settling:
    """Settles requests, and publishes them. What it keeps in memory is found out anew by the next process."""

    def __init__(
        self,
        store: ProfileStore,
        ledger: Ledger,
        suppressed: KeyValue,
        control: ControlEvents,
        ends: Callable[[Collection[int]], Awaitable[Ends]],
        *,
        partitions: int,
        now: Callable[[], datetime],
    ) -> None:
        """See the module. `ends`: where the partitions of the event stream end now; see `ends_of`."""
        self._store = store
        self._ledger = ledger
        self._suppressed = suppressed
        self._control = control
        self._ends = ends
        self._partitions = range(partitions)
        self._now = now
        self._until: dict[str, Ends] = {}
        """Erasures that wait until the projection has come so far."""
        self._published: dict[str, datetime] = {}

    async def step(self, settle_seconds: float) -> bool:
        """Take every request a step further. Returns whether there are any: look again soon.

        Args:
            settle_seconds: so long after an identifier was suppressed, all who collect know.

        Raises:
            Retryable, LimitExceeded: NATS is away, or full. Do it again.
        """
        requests = self._ledger.requests()
        self._published = {one.erasure_id: at for one in requests if (at := self._published.get(one.erasure_id))}
        self._until = {one.erasure_id: ends for one in requests if (ends := self._until.get(one.erasure_id))}
        new = [one for one in requests if not one.settled and one.erasure_id not in self._until]
        if new:
            await self._wait_for(new, settle_seconds)
        for request in requests:
            if request.settled or await self._settle(request, settle_seconds):
                await self._publish(request)
        return bool(requests)

    async def _wait_for(self, requests: Collection[Request], settle_seconds: float) -> None:
        barred = [one for one in requests if not one.may_return]
        for one in barred:
            await suppress(self._suppressed, one.identity_keys, since_ms=one.requested_at.ToMilliseconds())
        if barred:
            await asyncio.sleep(settle_seconds)
        ends = await self._ends(self._partitions)
        self._until.update((one.erasure_id, ends) for one in requests)

    async def _settle(self, request: Request, settle_seconds: float) -> bool:
        """Whether its keys are settled now."""
        if not await self._is_folded(request.erasure_id):
            return False
        named = set(request.identity_keys)
        # By the profile's own key: a device that has gone over to somebody else meanwhile must not take him along.
        for profile in self._store.profiles_of([bytes.fromhex(request.profile_id)]).values():
            named |= of_profile(profile)
        if not named <= set(request.identity_keys):
            request.identity_keys[:] = sorted(named)
            if not request.may_return:
                # Events under the new keys were accepted until now, and may name more.
                await self._ledger.ask(request)
                await self._wait_for([request], settle_seconds)
                return False
        request.timeline_entries = await count_filed(self._store, named)
        request.settled = True
        await self._ledger.ask(request)
        return True

    async def _is_folded(self, erasure_id: str) -> bool:
        """Whether the projection has come so far as was to be waited for."""
        positions = self._store.positions()
        behind = {one: end for one, end in self._until[erasure_id].items() if positions.get(one, 0) < end}
        if behind:
            # What another erasure has deleted meanwhile is never read.
            ends = await self._ends(behind)
            self._until[erasure_id] = {one: min(end, ends.get(one, 0)) for one, end in behind.items()}
        return all(positions.get(one, 0) >= end for one, end in self._until[erasure_id].items())

    async def _publish(self, request: Request) -> None:
        """Tell the event stream, until the fold has taken note of it."""
        last = self._published.get(request.erasure_id)
        if last is not None and self._now() - last < _PUBLISH_AGAIN:
            return
        erasure = events_pb2.Erasure(erasure_id=request.erasure_id, identity_keys=request.identity_keys)
        if request.may_return:
            erasure.received_until_ms = request.requested_at.ToMilliseconds()
        await self._control.publish_erasure(erasure, request.requested_at.ToDatetime(UTC))
        self._published[request.erasure_id] = self._now()


async def ends_of(client: Client, partitions: Iterable[int]) -> dict[int, int]:
    """The last sequence of each of these partitions of the event stream that holds any event.

    Raises:
        Retryable: the server did not answer in time.
    """
    ends = {}
    for partition in partitions:
        try:
            async with streams.reaching(client, EVENTS):
                last = await client.jetstream().get_last_msg(EVENTS, event_subject(partition))
        except nats.js.errors.NotFoundError:
            continue
        ends[partition] = last.seq or 0
    return ends


async def count_filed(store: ProfileStore, keys: Collection[bytes], *, page: int = _PAGE) -> int:
    """How many events are filed under these identity keys; a page at a time, and others are served in between."""
    count, after = 0, b""
    while found := store.filed(keys, after=after, at_most=page):
        count, after = count + len(found), found[-1].place
        await asyncio.sleep(0)
    return count
