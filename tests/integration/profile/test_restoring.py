"""A store that is made anew knows whom it must leave out, although the erasures are gone from the event stream."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from tests.support.events import track
from tests.support.profile import PARTITIONS, make_event_stream, publish, read_up_to, running_profile

from wayline.bus import EVENTS
from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.identity import identity_key
from wayline.suppression import lift, open_suppressions, suppress, suppressed_since
from wayline.v1 import events_pb2, privacy_pb2
from wayline_profile.core.changes import Commit
from wayline_profile.core.erasure import FOR_EVER, Bar, Bars
from wayline_profile.core.records import SUPPRESSED
from wayline_profile.privacy.ledger import AT_ONCE, Ledger
from wayline_profile.privacy.restoring import restore_bars
from wayline_profile.store.rocksdb import RocksProfileStore
from wayline_profile.writes import Writer

ADA, BOB, EVE = (identity_key("user_id", name) for name in ("ada", "bob", "eve"))
AT_MS = 1_790_000_000_123


@pytest.fixture
async def client(js: JetStreamContext, nats_url: str) -> AsyncIterator[Client]:
    await make_event_stream(js)
    client = await nats.connect(nats_url)
    yield client
    await client.close()


async def restore(client: Client, store: RocksProfileStore) -> int:
    bucket = await open_suppressions(client.jetstream())
    writer = Writer(store, None, chance=random.Random(1))
    return await restore_bars(store, a_ledger(store), writer, bucket, client, PARTITIONS)


def a_ledger(store: RocksProfileStore) -> Ledger:
    async def write(commit: Commit) -> None:
        store.commit(commit)

    return Ledger(store, write)


def bars(store: RocksProfileStore) -> dict[bytes, Bar]:
    return {key: Bar.decoded(data) for key, data in store.scan(SUPPRESSED, at_most=9)}


async def test_what_is_taken_from_the_bucket_is_what_the_events_would_have_said(client: Client, tmp_path: Path):
    bucket = await open_suppressions(client.jetstream())
    await suppress(bucket, [ADA, BOB], since_ms=AT_MS)
    await suppress(bucket, [EVE], since_ms=AT_MS)
    await lift(bucket, [EVE])
    store = RocksProfileStore(tmp_path / "store")
    assert await restore(client, store) == 2
    erasure = events_pb2.Event(erasure=events_pb2.Erasure(erasure_id="e", identity_keys=[ADA, BOB]))
    erasure.received_at.FromMilliseconds(AT_MS)
    folded = Commit()
    Bars({}).add(erasure, folded)
    assert store.records(SUPPRESSED, [ADA, BOB, EVE]) == {key: folded.records[SUPPRESSED, key] for key in (ADA, BOB)}
    version = store.version()
    assert (await restore(client, store), store.version()) == (0, version)
    store.close()


async def test_what_the_store_knows_better_stays(client: Client, tmp_path: Path):
    # A readmission was folded, and the process died before collection knew; an earlier release kept no times.
    bucket = await open_suppressions(client.jetstream())
    await suppress(bucket, [ADA], since_ms=AT_MS)
    await bucket.put(BOB.hex(), b"+")
    store = RocksProfileStore(tmp_path / "store")
    readmitted = Bar(suppressed_ms=AT_MS, readmitted_ms=AT_MS + 5)
    store.commit(Commit(records={(SUPPRESSED, ADA): readmitted.encoded()}))
    assert await suppressed_since(bucket) == {ADA: AT_MS, BOB: 1}
    assert await restore(client, store) == 1
    assert bars(store) == {ADA: readmitted, BOB: Bar(suppressed_ms=1)}
    assert bars(store)[BOB].readmitted_ms == FOR_EVER
    store.close()


async def test_whose_erasure_is_under_way_is_barred_by_it_and_not_before(client: Client, tmp_path: Path):
    await suppress(await open_suppressions(client.jetstream()), [ADA, BOB], since_ms=AT_MS)
    store = RocksProfileStore(tmp_path / "store")
    for number in range(AT_ONCE + 1):
        keys = [ADA] if number == AT_ONCE else [EVE]
        await a_ledger(store).ask(privacy_pb2.ErasureRequest(erasure_id=f"{number:032}", identity_keys=keys))
    assert await restore(client, store) == 1
    assert set(bars(store)) == {BOB}
    store.close()


async def test_it_is_told_when_a_backup_brings_somebody_back_who_was_erased(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    await suppress(await open_suppressions(client.jetstream()), [ADA, BOB], since_ms=AT_MS)
    store = RocksProfileStore(tmp_path / "store")
    store.commit(Commit(identities={ADA: ADA.hex(), EVE: EVE.hex()}))
    await restore(client, store)
    assert "erased_identifiers_still_have_profiles keys=1" in " ".join(capsys.readouterr().out.split())
    store.close()


async def test_a_store_that_has_read_all_that_is_gone_lacks_nothing(client: Client, tmp_path: Path):
    js = client.jetstream()
    await suppress(await open_suppressions(js), [ADA], since_ms=AT_MS)
    await publish(js, [track("Viewed", user="bob") for _ in range(8)])
    await js.purge_stream(EVENTS, seq=6)
    store = RocksProfileStore(tmp_path / "store")
    store.commit(Commit(positions={0: 5, 1: 6, 2: 7, 3: 8}))
    assert await restore(client, store) == 0
    await js.purge_stream(EVENTS, seq=8)
    assert await restore(client, store) == 1
    store.close()


async def test_the_service_leaves_out_from_its_first_event_on_who_was_erased_before_its_store_was_made(
    client: Client, nats_url: str, tmp_path: Path
):
    js = client.jetstream()
    await suppress(await open_suppressions(js), [ADA], since_ms=AT_MS)
    await (await open_store(js)).apply(Catalog.model_validate({"traits": {}}))
    last = await publish(js, [track("Viewed", user=name) for name in ("ada", "bob", "ada")])
    async with running_profile(nats_url, tmp_path / "store") as service:
        assert (await read_up_to(service, last)).profiles == 1
