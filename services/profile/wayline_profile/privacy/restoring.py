"""Gives a store its bars back that stand in no event any more.

The projection bars erased customers by erasures in the event stream. A store that is made anew, or comes out of a
backup, cannot read those that are over their age. The bucket of suppressed identifiers keeps them for ever, each with
the time of its erasure, so what is taken from there is what the events would have said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import islice

from nats.aio.client import Client
from nats.js.kv import KeyValue

from wayline import logging, streams
from wayline.bus import EVENTS
from wayline.suppression import suppressed_since
from wayline_profile.core.changes import Commit
from wayline_profile.core.erasure import Bar
from wayline_profile.core.records import SUPPRESSED
from wayline_profile.privacy.ledger import Ledger
from wayline_profile.store import ProfileStore, UnitOfWork
from wayline_profile.writes import Writer

_AT_ONCE = 1_000
log = logging.get("bars")


async def restore_bars(
    store: ProfileStore, ledger: Ledger, writer: Writer, suppressed: KeyValue, client: Client, partitions: int
) -> int:
    """Before the first event is folded. Returns how many bars the store lacked.

    Args:
        store: to be restored.
        ledger: in it.
        writer: to it.
        suppressed: the bucket.
        client: of NATS.
        partitions: of the event stream.

    Raises:
        Retryable: NATS, or the store, cannot be reached.
    """
    positions = store.positions()
    held = await streams.state(client, EVENTS)
    # Who has read all that is gone from the stream has read every erasure.
    if held and len(positions) == partitions and min(positions.values()) >= held.first_seq - 1:
        return 0
    since_ms = await suppressed_since(suppressed)
    # Whose erasure is under way gets the bars by it: what was collected before is folded first, since it may link more.
    for key in ledger.asked():
        since_ms.pop(key, None)
    bars = iter(since_ms.items())
    restored = known = 0
    while some := dict(islice(bars, _AT_ONCE)):
        if _lacking(store, some).records:  # else there is nothing to write
            written = await writer.write(lambda unit, some=some: _lacking(unit, some))  # type: ignore[misc]
            restored += len(written.commit.records)
            known += len(store.resolve([key for _, key in written.commit.records]))
        await asyncio.sleep(0)
    if restored:
        log.info("bars_restored", keys=restored)
    if known:  # the store comes out of a backup; whose profiles these are now, only a person can judge
        log.warning("erased_identifiers_still_have_profiles", keys=known)
    return restored


def _lacking(source: ProfileStore | UnitOfWork, since_ms: Mapping[bytes, int]) -> Commit:
    held = {key: Bar.decoded(data) for key, data in source.records(SUPPRESSED, list(since_ms)).items()}
    bars = {key: Bar(suppressed_ms=at).merged(held.get(key, Bar())) for key, at in since_ms.items()}
    return Commit(records={(SUPPRESSED, key): bar.encoded() for key, bar in bars.items() if bar != held.get(key)})
