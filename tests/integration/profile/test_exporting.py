"""What is held of a customer with a long history, through the service, with a client that changes no limit of gRPC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from nats.js import JetStreamContext
from tests.support.decisions import a_catalog, an_action
from tests.support.events import NOON_MS, track
from tests.support.ports import free_port
from tests.support.profile import make_event_stream
from tests.support.records import a_record

from wayline.bus import DEAD_LETTER_SUBJECTS, DEAD_LETTERS, DECISION_SUBJECT, DECISIONS, StreamSpec, ensure_stream
from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.identity import identity_key
from wayline.v1 import decision_pb2, events_pb2, ingestion_pb2, privacy_pb2, privacy_pb2_grpc, profile_pb2
from wayline_profile.app import build
from wayline_profile.core.changes import Commit, TimelineRow
from wayline_profile.settings import ProfileSettings
from wayline_profile.store.keys import entry_key
from wayline_profile.store.rocksdb import RocksProfileStore

ADA = events_pb2.Identifier(kind="user_id", value="ada")
TABLET = events_pb2.Identifier(kind="anonymous_id", value="tablet")
KEYS = [identity_key(one.kind, one.value) for one in (ADA, TABLET)]
EVENTS_HELD = 6_000
LETTERS = 300
BUNDLES = 20
SECTIONS = ["profile", "traits", "merges", "audiences", "events", "decisions", "dead_letters", "audit"]


def rows() -> Iterator[TimelineRow]:
    """Hers, filed under two identifiers; a third of them in one moment."""
    for number in range(EVENTS_HELD):
        at_ms = NOON_MS + (0 if number % 3 == 0 else number)
        event = track("Viewed", {"text": "ä" * 300}, user="ada", at_ms=at_ms, message_id=f"m{number}")
        yield TimelineRow(KEYS[number % 2], at_ms, event.message_id, 0, number + 1, event.SerializeToString())


def fill(store: RocksProfileStore) -> None:
    profile = profile_pb2.Profile(profile_id=KEYS[0].hex(), identifiers=[ADA, TABLET], strands=sorted(KEYS))
    store.commit(
        Commit(
            profiles={profile.profile_id: profile},
            identities=dict.fromkeys(KEYS, profile.profile_id),
            timeline=list(rows()),
            created=1,
        )
    )
    other = track("Viewed", user="bob")
    store.commit(
        Commit(timeline=[TimelineRow(identity_key("user_id", "bob"), NOON_MS, "b", 0, 1, other.SerializeToString())])
    )
    store.close()


async def fill_streams(js: JetStreamContext) -> None:
    for name, subject in ((DEAD_LETTERS, DEAD_LETTER_SUBJECTS), (DECISIONS, DECISION_SUBJECT)):
        await ensure_stream(js, StreamSpec(name=name, subject=subject, max_bytes=1 << 26, max_age_seconds=3_600), 1)
    for number in range(LETTERS):
        event = track("", {"text": "x" * 2_000}, user=("ada", "bob")[number % 2])
        await js.publish("rejected.missing", ingestion_pb2.RejectedEvent(event=event).SerializeToString())
    records = [a_record(a_catalog([an_action("red")]), {"hero": ["red"]}) for _ in range(50)]
    for number, record in enumerate(records):
        record.request.customer.value = ("ada", "bob")[number % 2]
    bundle = decision_pb2.DecisionRecordBundle(records=records).SerializeToString()
    for _ in range(BUNDLES):
        await js.publish(DECISION_SUBJECT, bundle)


@pytest.fixture
async def address(js: JetStreamContext, nats_url: str, tmp_path: Path) -> AsyncIterator[str]:
    await make_event_stream(js)
    await fill_streams(js)
    await (await open_store(js)).apply(Catalog.model_validate({"traits": {}}))
    fill(RocksProfileStore(tmp_path / "store"))
    port = free_port()
    settings = ProfileSettings(
        nats_url=nats_url, profile_port=port, profile_data=tmp_path / "store", shutdown_grace_seconds=0.5
    )
    async with build(settings):
        yield f"127.0.0.1:{port}"


async def exported(address: str) -> list[privacy_pb2.ExportCustomerResponse]:
    request = privacy_pb2.ExportCustomerRequest(customer=TABLET, reason="a test")
    async with grpc.aio.insecure_channel(address) as channel:
        return [part async for part in privacy_pb2_grpc.PrivacyServiceStub(channel).ExportCustomer(request, timeout=60)]


async def ready(address: str) -> None:
    """Traits are told once the catalogue is in use."""
    async with asyncio.timeout(20):
        while "traits" not in {part.section for part in await exported(address)}:
            await asyncio.sleep(0.05)


async def test_a_long_history_is_exported_whole_in_messages_of_common_size_with_its_progress(address: str) -> None:
    await ready(address)
    parts = await exported(address)
    assert list(dict.fromkeys(part.section for part in parts)) == SECTIONS
    assert max(part.ByteSize() for part in parts) <= 1 << 20
    found = {
        name: [json.loads(item) for part in parts if part.section == name for item in part.items] for name in SECTIONS
    }
    assert [int(one["token"]["sequence"]) for one in found["events"]] == [
        row.sequence for row in sorted(rows(), key=lambda row: (row.timestamp_ms, entry_key(row.message_id)))
    ]
    assert len(found["dead_letters"]) == LETTERS // 2
    assert len(found["decisions"]) == BUNDLES * 25
    assert {one["request"]["customer"]["value"] for one in found["decisions"]} == {"ada"}
    assert found["audit"][-1]["action"] == "customer.export"
    for name, total in (("events", EVENTS_HELD), ("dead_letters", LETTERS), ("decisions", BUNDLES)):
        steps = [(part.done, part.total) for part in parts if part.section == name]
        assert steps[0] == (0, total)
        assert steps[-1] == (total, total)
        assert steps == sorted(steps)
    assert len({part.done for part in parts if part.section == "events"}) > 3, "it was read a little at a time"


async def test_others_are_served_while_a_long_history_is_exported(address: str) -> None:
    request = privacy_pb2.ExportCustomerRequest(customer=ADA)
    async with grpc.aio.insecure_channel(address) as channel:
        stub = privacy_pb2_grpc.PrivacyServiceStub(channel)
        parts = aiter(stub.ExportCustomer(request, timeout=60))
        while (await anext(parts)).section != "events":
            continue
        # Nobody reads on: the service does not run ahead of its reader, and answers others.
        key = await stub.GetReceiptKey(privacy_pb2.GetReceiptKeyRequest(), timeout=20)
        assert key.public_key
        rest = [part.section async for part in parts]
        assert rest[-1] == "audit"
