"""Carries out erasures, in the background, and takes up after a crash what it had begun.

Requests first become suppressed keys and an event in the stream; the fold of that event takes the profile and leaves a
`PendingErasure`. Then every stream is looked through for messages of the customer, the files of the store are written
anew, and a receipt is signed. What is about to be deleted is written down before: whatever was begun is finished, and
counted once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from nats.aio.client import Client
from nats.js.errors import APIError
from nats.js.kv import KeyValue

from wayline import logging, streams
from wayline.audit import AuditLog
from wayline.bus import CHANGES, DEAD_LETTERS, DECISIONS, EVENTS
from wayline.errors import WaylineError
from wayline.identifiers import IdentityRules
from wayline.suppression import suppress
from wayline.v1 import events_pb2, privacy_pb2
from wayline_profile.core.erasure import discarded_sequence
from wayline_profile.privacy import finding
from wayline_profile.privacy.control import ControlEvents
from wayline_profile.privacy.ledger import Ledger
from wayline_profile.privacy.receipt import receipt_of
from wayline_profile.privacy.receipts import Signer
from wayline_profile.privacy.rewriting import rewrite

STREAMS: Mapping[str, finding.Finder] = {
    EVENTS: finding.in_event,
    DEAD_LETTERS: finding.in_dead_letter,
    CHANGES: finding.in_change,
    DECISIONS: finding.in_decisions,
}
"""What is looked through, in this order."""
MAX_LISTED = 20_000
_DISCARD_AT_ONCE = 500
_PAGE, _PAGE_BYTES = 250, 1 << 20
_LOOK_AGAIN_SECONDS = 2.0
_RETRY_SECONDS = 2.0
_PUBLISH_AGAIN = timedelta(seconds=60)
_NO_STREAM = -1
log = logging.get("erasure")
Pending = privacy_pb2.PendingErasure


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the eraser works with."""

    client: Client
    ledger: Ledger
    suppressed: KeyValue
    control: ControlEvents
    audit: AuditLog
    signer: Signer
    rules: Callable[[], IdentityRules]
    now: Callable[[], datetime]


@dataclass(slots=True)
class Eraser:
    """One for all processes that share a store: `may_work` says whether it is this one."""

    tools: Tools
    may_work: Callable[[], bool] = lambda: True
    settle_seconds: float = 1.0
    """So long after the fold, what others were doing for the customer is stored: decisions, refused events."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _published: dict[str, datetime] = field(default_factory=dict)
    _compacted: dict[str, list[str]] = field(default_factory=dict)
    """What could not be done for erasures whose files are written anew already."""

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Erase for ever."""
        while True:
            try:
                if self.may_work():
                    while await self.turn():
                        await asyncio.sleep(0)
            except (WaylineError, APIError) as error:
                log.warning("erasure_waits", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), _LOOK_AGAIN_SECONDS)
            except TimeoutError:
                continue

    async def turn(self) -> bool:
        """Do what there is to do, once. Returns whether there may be more.

        Raises:
            WaylineError: something is away. What was begun is taken up by the next turn.
        """
        discarded = await self._discard()
        await self._request()
        pending = self.tools.ledger.pending()
        if not pending:
            return discarded
        if any(not one.streams for one in pending):
            await asyncio.sleep(self.settle_seconds)
        for stream, finder in STREAMS.items():
            await self._begin(pending, stream)
            await self._remove(pending, stream, finder)
        await self._finish(pending)
        return True

    async def _discard(self) -> bool:
        """Events of suppressed customers that came in before ingestion knew: the projection has left them out."""
        keys = self.tools.ledger.discarded(_DISCARD_AT_ONCE)
        for key in keys:
            await streams.delete(self.tools.client, EVENTS, discarded_sequence(key))
        if keys:
            await self.tools.ledger.forget_discarded(keys)
            log.info("suppressed_events_deleted", events=len(keys))
        return len(keys) == _DISCARD_AT_ONCE

    async def _request(self) -> None:
        """Tell the event stream of what was asked for, until the fold has taken note of it."""
        for request in self.tools.ledger.requests():
            last = self._published.get(request.erasure_id)
            if last is not None and self.tools.now() - last < _PUBLISH_AGAIN:
                continue
            if not request.may_return:
                await suppress(self.tools.suppressed, request.identity_keys)
            erasure = events_pb2.Erasure(erasure_id=request.erasure_id, identity_keys=request.identity_keys)
            if request.may_return:
                erasure.received_until_ms = request.requested_at.ToMilliseconds()
            await self.tools.control.publish_erasure(erasure, request.requested_at.ToDatetime(UTC))
            self._published[request.erasure_id] = self.tools.now()

    async def _begin(self, pending: list[Pending], stream: str) -> None:
        """Up to where a stream is looked through: its end as it is now. Events behind the erasure are another matter:
        they were left out and are deleted one by one, or they are those of a customer who came back.
        """
        new = [one for one in pending if stream not in one.streams]
        if not new:
            return
        held = await streams.state(self.tools.client, stream)
        for one in new:
            last = _NO_STREAM if held is None else held.last_seq
            one.streams[stream].until = min(last, one.folded_sequence) if stream == EVENTS else last
        await self.tools.ledger.save(new)

    async def _remove(self, pending: list[Pending], stream: str, finder: finding.Finder) -> None:
        for one in pending:  # what was found before this process, or this turn, began
            if one.streams[stream].removing:
                await self._delete(pending, stream, perhaps_done=True)
                break
        while behind := [one for one in pending if one.streams[stream].cursor < one.streams[stream].until]:
            after = min(one.streams[stream].cursor for one in behind)
            rules = self.tools.rules()
            page = await streams.page(self.tools.client, stream, after=after, at_most=_PAGE, max_bytes=_PAGE_BYTES)
            # In a thread: whoever asks for a view need not wait until hundreds of messages are read.
            names = await asyncio.to_thread(_named, finder, page, rules)
            found = False
            for message, named in zip(page, names, strict=True):
                for one in behind:
                    place = one.streams[stream]
                    if place.cursor < message.sequence <= place.until and not named.isdisjoint(_keys(one)):
                        place.removing.append(message.sequence)
                        found = True
            for one in behind:
                place = one.streams[stream]
                reached = page[-1].sequence if page else place.until
                place.cursor = max(place.cursor, min(reached, place.until))
            await self.tools.ledger.save(behind)
            if found:
                await self._delete(behind, stream, perhaps_done=False)
            await asyncio.sleep(0)

    async def _delete(self, pending: list[Pending], stream: str, *, perhaps_done: bool) -> None:
        holders: dict[int, list[Pending]] = {}
        for one in pending:
            for sequence in one.streams[stream].removing:
                holders.setdefault(sequence, []).append(one)
        for sequence, those in sorted(holders.items()):
            if stream == DECISIONS:
                keys = {key for one in those for key in _keys(one)}
                records = await rewrite(self.tools.client, sequence, keys, perhaps_done=perhaps_done)
                for one in those:
                    one.streams[stream].records += records
            else:
                if stream == EVENTS:
                    await self._unfile(sequence, those)
                await streams.delete(self.tools.client, stream, sequence)
        touched = {one.erasure_id: one for those in holders.values() for one in those}
        for one in touched.values():
            place = one.streams[stream]
            place.count += len(place.removing)
            place.removed.extend(place.removing[: max(0, MAX_LISTED - len(place.removed))])
            del place.removing[:]
        await self.tools.ledger.save(list(touched.values()))

    async def _unfile(self, sequence: int, those: list[Pending]) -> None:
        """Timelines of others hold the event too, if it was they who sent it."""
        if found := await streams.message(self.tools.client, EVENTS, sequence):
            row = finding.filed(found.data, sequence, self.tools.rules())
            if row is not None and all(row.key not in one.identity_keys for one in those):
                await self.tools.ledger.unfile(row)

    async def _finish(self, pending: list[Pending]) -> None:
        for one in pending:
            one.state = privacy_pb2.ERASURE_STATE_COMPACTING
        await self.tools.ledger.save(pending)
        if any(one.erasure_id not in self._compacted for one in pending):
            left = await self.tools.ledger.compact()
            self._compacted = {one.erasure_id: left for one in pending}
        for one in pending:
            request = self.tools.ledger.request_of(one.erasure_id)
            anchor = await self.tools.audit.append(
                "customer.erased",
                subject=request.profile_id if request else next(iter(one.profile_ids), ""),
                facts={"erasure": one.erasure_id},
            )
            document = receipt_of(one, request, self._compacted[one.erasure_id], anchor, self.tools.now())
            await self.tools.ledger.finish(one.erasure_id, self.tools.signer.sign(document))
            counts = {name.lower(): place.count for name, place in one.streams.items()}
            log.info("erased", erasure=one.erasure_id, **counts)


def _named(finder: finding.Finder, page: Sequence[streams.Stored], rules: IdentityRules) -> list[set[bytes]]:
    return [finder(one.data, rules) for one in page]


def _keys(one: Pending) -> set[bytes]:
    return {*one.identity_keys, *map(bytes.fromhex, one.profile_ids)}
