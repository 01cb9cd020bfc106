"""Carries out erasures, in the background, and takes up after a crash what it had begun.

Requests first become suppressed keys and an event in the stream (see `settling`); the fold of that event takes the
profile and leaves a `PendingErasure`. Then every stream is looked through for messages of the customer, the files of
the store are written anew, and a receipt is signed. What is about to be deleted is written down before: whatever was
begun is finished, and counted once. Some minutes later the streams are looked through from there on once more, for what
a service had held back while NATS was out of its reach.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nats.aio.client import Client
from nats.js.errors import APIError
from nats.js.kv import KeyValue

from wayline import logging, streams
from wayline.audit import AuditLog
from wayline.bus import CHANGES, DEAD_LETTERS, DECISIONS, EVENTS
from wayline.errors import WaylineError
from wayline.identifiers import IdentityRules
from wayline.suppression import held
from wayline.v1 import privacy_pb2
from wayline_profile.core.erasure import discarded_sequence
from wayline_profile.privacy import finding
from wayline_profile.privacy.ledger import Ledger
from wayline_profile.privacy.receipt import receipt_of
from wayline_profile.privacy.receipts import Signer
from wayline_profile.privacy.rewriting import rewrite
from wayline_profile.privacy.settling import Settling

STREAMS: Mapping[str, finding.Finder] = {
    EVENTS: finding.in_event,
    DEAD_LETTERS: finding.in_dead_letter,
    CHANGES: finding.in_change,
    DECISIONS: finding.in_decisions,
}
"""What is looked through, in this order."""
LOOKED_AT_AGAIN = (DEAD_LETTERS, CHANGES, DECISIONS)
LOOK_AGAIN_AFTER = timedelta(minutes=5)
"""Longer than a service holds records back while it reconnects. Events need no second look: the projection leaves out
those that come late, and they are deleted one by one."""
MAX_LISTED = 20_000
_DISCARD_AT_ONCE = 500
_PAGE, _PAGE_BYTES = 250, 1 << 20
_IDLE_SECONDS = 2.0
_SOON_SECONDS = 0.1
_RETRY_SECONDS = 2.0
_NO_STREAM = -1
log = logging.get("erasure")
Pending = privacy_pb2.PendingErasure


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the eraser works with."""

    client: Client
    ledger: Ledger
    settling: Settling
    suppressed: KeyValue
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
    _is_asked: bool = False
    """There are requests that the projection has not taken note of."""
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
                await asyncio.wait_for(self._wake.wait(), _SOON_SECONDS if self._is_asked else _IDLE_SECONDS)
            except TimeoutError:
                continue

    async def turn(self) -> bool:
        """Do what there is to do, once. Returns whether there may be more.

        Raises:
            WaylineError: something is away. What was begun is taken up by the next turn.
        """
        discarded = await self._discard()
        self._is_asked = await self.tools.settling.step(self.settle_seconds)
        pending = self.tools.ledger.pending()
        if not pending:
            return await self._look_again() or discarded
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

    async def _begin(self, pending: list[Pending], stream: str) -> None:
        """Up to where a stream is looked through: its end as it is now. Events behind the erasure are another matter:
        they were left out and are deleted one by one, or they are those of a customer who came back.
        """
        new = [one for one in pending if stream not in one.streams]
        if not new:
            return
        end = await streams.state(self.tools.client, stream)
        for one in new:
            last = end.last_seq if end else _NO_STREAM
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
            counts = {name.lower(): place.count for name, place in one.streams.items()}
            await self.tools.ledger.finish(self._done(one), self.tools.signer.sign(document))
            log.info("erased", erasure=one.erasure_id, **counts)

    def _done(self, one: Pending) -> Pending:
        """What is looked for again, from where each stream was looked through to."""
        done = Pending(
            erasure_id=one.erasure_id,
            identity_keys=one.identity_keys,
            profile_ids=one.profile_ids,
            folded_sequence=one.folded_sequence,
            state=privacy_pb2.ERASURE_STATE_DONE,
        )
        done.look_again_at.FromDatetime(self.tools.now() + LOOK_AGAIN_AFTER)
        for stream in LOOKED_AT_AGAIN:
            done.streams[stream].cursor = max(0, one.streams[stream].until)
        return done

    async def _look_again(self) -> bool:
        """Look for what came into the streams after an erasure had looked through them. Whether there was any."""
        due = self.tools.ledger.due(self.tools.now())
        # Who may come back, or was readmitted, has records anew, and those are not to go.
        barred = await held(self.tools.suppressed, {key for one in due for key in _keys(one)}) if due else set()
        for one in due:
            still = _keys(one) & barred
            one.identity_keys[:] = sorted(still)
            del one.profile_ids[:]
        for stream in LOOKED_AT_AGAIN:
            end = await streams.state(self.tools.client, stream) if barred else None
            for one in due:
                one.streams[stream].until = end.last_seq if end else _NO_STREAM
            await self._remove(due, stream, STREAMS[stream])
        for one in due:
            late = sum(place.count for place in one.streams.values())
            if late:  # somebody is late: there may be more
                facts = {"erasure": one.erasure_id, "late": str(late)}
                subject = next(iter(one.identity_keys), b"").hex()
                await self.tools.audit.append("customer.erased", subject=subject, facts=facts)
                log.warning("erased_late", erasure=one.erasure_id, messages=late)
                await self.tools.ledger.save([self._done(one)])
            else:
                await self.tools.ledger.forget(one.erasure_id)
        return bool(due)


def _named(finder: finding.Finder, page: Sequence[streams.Stored], rules: IdentityRules) -> list[set[bytes]]:
    return [finder(one.data, rules) for one in page]


def _keys(one: Pending) -> set[bytes]:
    return {*one.identity_keys, *map(bytes.fromhex, one.profile_ids)}
