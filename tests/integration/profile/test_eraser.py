"""Erasures end the same wherever the process dies: everything of the customer is gone, once, and nothing of others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from tests.support.decisions import a_catalog, an_action
from tests.support.events import identify, track
from tests.support.profile import make_event_stream
from tests.support.records import a_record

from wayline import streams
from wayline.audit import AuditLog, audit_stream, entries
from wayline.bus import (
    CHANGE_SUBJECTS,
    CHANGES,
    DEAD_LETTER_SUBJECTS,
    DEAD_LETTERS,
    DECISION_SUBJECT,
    DECISIONS,
    EVENTS,
    REWRITTEN_HEADER,
    REWRITTEN_SUBJECTS,
    StreamSpec,
    ensure_stream,
    rewritten_subject,
)
from wayline.errors import Retryable
from wayline.identifiers import IdentityRules
from wayline.identity import identity_key
from wayline.publish import AckedPublisher
from wayline.receipts import verify
from wayline.suppression import Suppressed, held, lift, open_suppressions
from wayline.v1 import audiences_pb2, decision_pb2, events_pb2, ingestion_pb2, privacy_pb2, profile_pb2
from wayline_profile.core.changes import Commit, Read, TimelineRow
from wayline_profile.core.erasure import Bars, discard, erase
from wayline_profile.core.fold import timestamp_ms
from wayline_profile.core.records import ERASURE, SUPPRESSED
from wayline_profile.privacy.control import ControlEvents
from wayline_profile.privacy.eraser import LOOK_AGAIN_AFTER, Eraser, Tools
from wayline_profile.privacy.ledger import Ledger
from wayline_profile.privacy.readmission import Readmission
from wayline_profile.privacy.receipts import Signer
from wayline_profile.privacy.rewriting import rewrite
from wayline_profile.privacy.settling import Settling, count_filed, ends_of
from wayline_profile.store.rocksdb import RocksProfileStore

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
ADA, BOB = identity_key("user_id", "ada"), identity_key("user_id", "bob")
EMAIL = identity_key("email", "ada@example.org")
CATALOG = a_catalog([an_action("red")])
ID = "0" * 32
UNREADABLE = b"\xff\xff\xff"


class Crash(BaseException):
    """The process dies."""


@dataclass
class World:
    """A store, the streams, and an eraser that dies at a chosen write."""

    client: Client
    store: RocksProfileStore
    data: Path
    control: ControlEvents
    now: datetime = NOW

    async def eraser(self, *, dies_at: int = 0, after_writing: bool = False) -> Eraser:
        writes = 0

        async def write(commit: Commit) -> None:
            nonlocal writes
            writes += 1
            if writes == dies_at and not after_writing:
                raise Crash
            self.store.commit(commit)
            if writes == dies_at:
                raise Crash

        async def nothing_to_wait_for(_: Collection[int]) -> dict[int, int]:
            return {}

        ledger = Ledger(self.store, write)
        suppressed = await open_suppressions(self.client.jetstream())
        tools = Tools(
            client=self.client,
            ledger=ledger,
            settling=Settling(
                self.store, ledger, suppressed, self.control, nothing_to_wait_for, partitions=4, now=lambda: self.now
            ),
            suppressed=suppressed,
            audit=AuditLog(self.client, now=lambda: NOW),
            signer=Signer(self.data / "key.pem"),
            rules=IdentityRules,
            now=lambda: self.now,
        )
        return Eraser(tools, settle_seconds=0.0)

    async def left(self, stream: str) -> list[streams.Stored]:
        return await streams.page(self.client, stream, after=0, at_most=1_000)

    async def decisions(self) -> list[str]:
        bundles = [decision_pb2.DecisionRecordBundle.FromString(one.data) for one in await self.left(DECISIONS)]
        return sorted(record.request.customer.value for one in bundles for record in one.records)

    async def receipt(self) -> dict[str, Any]:
        eraser = await self.eraser()
        receipt = eraser.tools.ledger.receipt(ID)
        verify(receipt, eraser.tools.signer.public_key())
        document: dict[str, Any] = json.loads(receipt)
        return document


@pytest.fixture
async def world(js: JetStreamContext, nats_url: str, tmp_path: Path) -> AsyncIterator[World]:
    await make_event_stream(js)
    await ensure_stream(js, audit_stream(max_bytes=1 << 22, max_age_seconds=3_600), 1)
    for name, subject, also in (
        (DEAD_LETTERS, DEAD_LETTER_SUBJECTS, ()),
        (CHANGES, CHANGE_SUBJECTS, ()),
        (DECISIONS, DECISION_SUBJECT, (REWRITTEN_SUBJECTS,)),
    ):
        spec = StreamSpec(name=name, subject=subject, also=also, max_bytes=1 << 24, max_age_seconds=3_600)
        await ensure_stream(js, spec, 1)
    client = await nats.connect(nats_url)
    publisher = AckedPublisher(5.0)
    await publisher.attach(client)
    store = RocksProfileStore(tmp_path / "store")
    yield World(client, store, tmp_path, ControlEvents(publisher, 4))
    store.close()
    await client.close()


async def fill(world: World) -> None:
    """Two customers in every stream; Ada's erasure is asked for, and folded."""
    js = world.client.jetstream()
    events = [track("Viewed", user=user) for user in ("ada", "bob", "ada", "bob")]
    events.append(identify({"email": "Ada@Example.org"}, browser="tablet"))
    events.append(track("Invited", {"friend": ["x", "ada@example.org"]}, user="bob"))  # he names her
    for number, event in enumerate(events):
        await js.publish(f"events.{number % 4}", event.SerializeToString())
    for user in ("ada", "bob"):
        letter = ingestion_pb2.RejectedEvent(event=track("", user=user))
        await js.publish("rejected.missing", letter.SerializeToString())
        change = audiences_pb2.Change(profile_id=identity_key("user_id", user).hex())
        await js.publish("changes.stage", change.SerializeToString())
    for _ in range(2):
        await js.publish(DECISION_SUBJECT, bundle_of("bob", "ada", "eve").SerializeToString())
    await js.publish(DECISION_SUBJECT, bundle_of("ada").SerializeToString())
    await js.publish(DECISION_SUBJECT, bundle_of("eve").SerializeToString())
    request = privacy_pb2.ErasureRequest(
        erasure_id=ID, identity_keys=[ADA, EMAIL], profile_id=ADA.hex(), timeline_entries=2
    )
    request.requested_at.FromDatetime(NOW)
    await (await world.eraser()).tools.ledger.ask(request)


def bundle_of(*users: str) -> decision_pb2.DecisionRecordBundle:
    records = [a_record(CATALOG, {"hero": ["red"]}) for _ in users]
    for record, user in zip(records, users, strict=True):
        record.request.customer.value = user
    return decision_pb2.DecisionRecordBundle(records=records)


async def fold(world: World) -> None:
    """What the projection does when it reads the erasure."""
    for stored in await world.left(EVENTS):
        if stored.data == UNREADABLE:
            continue
        event = events_pb2.Event.FromString(stored.data)
        if event.type == events_pb2.EVENT_TYPE_ERASURE:
            commit = Commit()
            erase(Read(0, stored.sequence, event, stored.data), [ADA.hex()], commit)
            world.store.commit(commit)


async def test_an_erasure_reaches_every_stream_and_nobody_else(world: World):
    await fill(world)
    events = [events_pb2.Event.FromString(one.data) for one in await world.left(EVENTS)]
    his = [TimelineRow(BOB, timestamp_ms(one), one.message_id, 0, 1, one.SerializeToString()) for one in events[1::2]]
    world.store.commit(Commit(timeline=his))
    eraser = await world.eraser()
    await eraser.turn()
    await fold(world)
    await eraser.turn()

    left = [events_pb2.Event.FromString(one.data) for one in await world.left(EVENTS)]
    assert [one.user_id for one in left if one.type != events_pb2.EVENT_TYPE_ERASURE] == ["bob", "bob"]
    assert [
        ingestion_pb2.RejectedEvent.FromString(one.data).event.user_id for one in await world.left(DEAD_LETTERS)
    ] == ["bob"]
    assert [audiences_pb2.Change.FromString(one.data).profile_id for one in await world.left(CHANGES)] == [BOB.hex()]
    assert await world.decisions() == ["bob", "bob", "eve", "eve", "eve"]

    assert [one.event.name for one in world.store.timeline([BOB], limit=9)] == ["Viewed", "Viewed"]

    receipt = await world.receipt()
    assert {name: place["messages"] for name, place in receipt["removed"]["streams"].items()} == {
        EVENTS: 4,
        DEAD_LETTERS: 1,
        CHANGES: 1,
        DECISIONS: 3,
    }
    assert receipt["removed"]["streams"][EVENTS]["sequences"] == ["1", "3", "5-6"]
    assert receipt["removed"]["streams"][DECISIONS]["records"] == 3
    suppressed = Suppressed(await open_suppressions(world.client.jetstream()))
    await suppressed.load()
    assert suppressed.holds([EMAIL])
    assert not suppressed.holds([BOB])
    assert [line.entry.action async for line in entries(world.client)] == ["customer.erased"]
    assert eraser.tools.ledger.pending() == []
    assert not await eraser.turn()


MOMENTS = [(number, after) for number in range(1, 16) for after in (False, True)]


@pytest.mark.parametrize(("dies_at", "after_writing"), MOMENTS)
async def test_wherever_it_dies_the_end_is_the_same(world: World, dies_at: int, after_writing: bool):
    await fill(world)
    await (await world.eraser()).turn()
    await fold(world)
    mortal = await world.eraser(dies_at=dies_at, after_writing=after_writing)
    try:
        await mortal.turn()
    except Crash:
        await (await world.eraser()).turn()
    assert await world.decisions() == ["bob", "bob", "eve", "eve", "eve"]
    assert len(await world.left(EVENTS)) == 3
    removed = (await world.receipt())["removed"]["streams"]
    assert (removed[EVENTS]["messages"], removed[DECISIONS]["messages"]) == (4, 3)
    assert len(await world.left(DEAD_LETTERS)) == len(await world.left(CHANGES)) == 1


async def test_the_deaths_above_reach_the_last_write(world: World):
    await fill(world)
    await (await world.eraser()).turn()
    await fold(world)
    await (await world.eraser(dies_at=MOMENTS[-1][0] + 1)).turn()


@pytest.mark.parametrize("perhaps_done", [False, True])
async def test_a_bundle_that_was_stored_again_already_is_not_stored_twice(world: World, perhaps_done: bool):
    js = world.client.jetstream()
    ack = await js.publish(DECISION_SUBJECT, bundle_of("ada", "bob").SerializeToString())
    kept = bundle_of("bob")
    if perhaps_done:  # it died between the two
        subject = rewritten_subject(kept.records[0].decided_at.seconds)
        await js.publish(subject, kept.SerializeToString(), headers={REWRITTEN_HEADER: str(ack.seq)})
    await rewrite(world.client, ack.seq, {ADA}, perhaps_done=perhaps_done)
    assert await world.decisions() == ["bob"]
    assert await rewrite(world.client, ack.seq, {ADA}, perhaps_done=True) == 0
    assert await world.decisions() == ["bob"]


async def test_events_that_came_in_before_ingestion_knew_are_deleted(world: World):
    js = world.client.jetstream()
    commit = Commit()
    for user in ("ada", "bob"):
        event = track("Viewed", user=user)
        ack = await js.publish("events.0", event.SerializeToString())
        if user == "ada":
            discard(Read(0, ack.seq, event, b""), commit)
    world.store.commit(commit)
    eraser = await world.eraser()
    await eraser.turn()
    assert [events_pb2.Event.FromString(one.data).user_id for one in await world.left(EVENTS)] == ["bob"]
    assert eraser.tools.ledger.discarded(10) == []


async def test_events_of_a_customer_who_came_back_stay(world: World):
    await fill(world)
    eraser = await world.eraser()
    (request,) = eraser.tools.ledger.requests()
    request.may_return = True
    await eraser.tools.ledger.ask(request)
    await eraser.turn()
    await world.client.jetstream().publish("events.0", track("Back", user="ada").SerializeToString())
    await fold(world)
    await eraser.turn()
    names = [events_pb2.Event.FromString(one.data).name for one in await world.left(EVENTS)]
    assert names == ["Viewed", "Viewed", "", "Back"]
    suppressed = Suppressed(await open_suppressions(world.client.jetstream()))
    await suppressed.load()
    assert len(suppressed) == 0


async def test_a_message_that_nobody_can_read_is_passed_over(world: World):
    js = world.client.jetstream()
    for subject in ("events.1", "rejected.missing", "changes.stage", DECISION_SUBJECT):
        await js.publish(subject, UNREADABLE)
    await fill(world)
    eraser = await world.eraser()
    await eraser.turn()
    await fold(world)
    await eraser.turn()
    assert eraser.tools.ledger.receipt(ID)


async def test_who_is_readmitted_is_collected_again_once_the_projection_knows(world: World):
    await fill(world)
    eraser = await world.eraser()
    await eraser.turn()
    bucket = eraser.tools.suppressed
    for event in [events_pb2.Event.FromString(one.data) for one in await world.left(EVENTS)]:
        if event.type == events_pb2.EVENT_TYPE_ERASURE:
            bar(world, event)
    readmission = Readmission(world.store, bucket, world.control, now=lambda: NOW + timedelta(hours=1))
    assert await readmission.suppressed([ADA, BOB, EMAIL]) == [ADA, EMAIL]

    with pytest.raises(Retryable, match="ask again"):
        await readmission.readmit([ADA], patience_seconds=0.0)
    assert await held(bucket, [ADA, EMAIL]) == {ADA, EMAIL}

    bar(world, events_pb2.Event.FromString((await world.left(EVENTS))[-1].data))
    await readmission.readmit([ADA])
    assert await held(bucket, [ADA, EMAIL]) == {EMAIL}
    assert await readmission.suppressed([ADA, BOB, EMAIL]) == [EMAIL]


def bar(world: World, event: events_pb2.Event) -> None:
    """What the projection does with the bars of an erasure or a readmission."""
    commit = Commit()
    Bars(world.store.records(SUPPRESSED, list(event.erasure.identity_keys))).add(event, commit)
    world.store.commit(commit)


async def test_what_a_service_had_held_back_is_found_by_a_second_look(world: World):
    js = world.client.jetstream()
    await fill(world)
    eraser = await world.eraser()
    await eraser.turn()
    await fold(world)
    await eraser.turn()
    await js.publish(DECISION_SUBJECT, bundle_of("ada", "eve").SerializeToString())
    letter = ingestion_pb2.RejectedEvent(event=track("", user="ada"))
    await js.publish("rejected.missing", letter.SerializeToString())

    assert not await eraser.turn()  # too early
    (noted,) = [privacy_pb2.PendingErasure.FromString(data) for _, data in world.store.scan(ERASURE, at_most=9)]
    assert noted.streams[DECISIONS].cursor == int(
        (await world.receipt())["removed"]["streams"][DECISIONS]["searched_to"]
    )
    assert len(await world.decisions()) == 7
    world.now += LOOK_AGAIN_AFTER
    assert await eraser.turn()
    assert await world.decisions() == ["bob", "bob", "eve", "eve", "eve", "eve"]
    assert len(await world.left(DEAD_LETTERS)) == 1
    last = [line.entry async for line in entries(world.client)][-1]
    assert (last.action, dict(last.facts)) == ("customer.erased", {"erasure": ID, "late": "2"})

    # Somebody was late, so there is a third look. It finds nothing: that was the last.
    await js.publish(DECISION_SUBJECT, bundle_of("bob").SerializeToString())
    world.now += LOOK_AGAIN_AFTER
    assert await eraser.turn()
    world.now += LOOK_AGAIN_AFTER
    assert not await eraser.turn()
    assert world.store.scan(ERASURE, at_most=1) == []
    assert len(await world.decisions()) == 7
    assert (await world.receipt())["removed"]["streams"][DECISIONS]["messages"] == 3


@pytest.mark.parametrize("after_writing", [False, True])
@pytest.mark.parametrize("dies_at", range(1, 7))
async def test_a_second_look_that_dies_is_taken_up(world: World, dies_at: int, after_writing: bool):
    await fill(world)
    await (await world.eraser()).turn()
    await fold(world)
    await (await world.eraser()).turn()
    await world.client.jetstream().publish(DECISION_SUBJECT, bundle_of("ada", "eve").SerializeToString())
    world.now += LOOK_AGAIN_AFTER
    mortal = await world.eraser(dies_at=dies_at, after_writing=after_writing)
    try:
        await mortal.turn()
    except Crash:
        await (await world.eraser()).turn()
    assert await world.decisions() == ["bob", "bob", "eve", "eve", "eve", "eve"]


async def test_records_of_a_customer_who_was_readmitted_stay(world: World):
    await fill(world)
    eraser = await world.eraser()
    await eraser.turn()
    await fold(world)
    await eraser.turn()
    await lift(eraser.tools.suppressed, [ADA])
    await world.client.jetstream().publish(DECISION_SUBJECT, bundle_of("ada").SerializeToString())
    world.now += LOOK_AGAIN_AFTER
    await eraser.turn()
    assert await world.decisions() == ["ada", "bob", "bob", "eve", "eve", "eve"]


async def test_whom_an_erasure_names_is_written_down_before_the_stream_is_told(world: World):
    await fill(world)
    profile = profile_pb2.Profile(profile_id=ADA.hex(), strands=[ADA, BOB])
    world.store.commit(Commit(profiles={ADA.hex(): profile}, identities={ADA: ADA.hex(), BOB: ADA.hex()}))
    await (await world.eraser()).turn()  # the keys grew: what was collected meanwhile is waited for
    with pytest.raises(Crash):
        await (await world.eraser(dies_at=1, after_writing=True)).turn()
    assert len(await world.left(EVENTS)) == 6
    world.store.commit(Commit(profiles={ADA.hex(): None}, identities={ADA: None, BOB: None}))
    eraser = await world.eraser()
    await eraser.turn()
    (told,) = [events_pb2.Event.FromString(one.data).erasure for one in (await world.left(EVENTS))[6:]]
    assert list(told.identity_keys) == sorted([ADA, BOB, EMAIL])
    assert await held(eraser.tools.suppressed, [ADA, BOB, EMAIL]) == {ADA, BOB, EMAIL}


async def test_a_device_that_went_over_to_somebody_else_takes_nobody_along(world: World):
    await fill(world)
    bob = profile_pb2.Profile(profile_id=BOB.hex(), strands=[BOB, EMAIL])
    world.store.commit(Commit(profiles={BOB.hex(): bob}, identities={EMAIL: BOB.hex(), BOB: BOB.hex()}))
    eraser = await world.eraser()
    await eraser.turn()
    (request,) = eraser.tools.ledger.requests()
    assert set(request.identity_keys) == {ADA, EMAIL}


async def test_the_stream_is_told_once_what_was_collected_before_is_folded(world: World):
    await fill(world)
    ledger = (await world.eraser()).tools.ledger

    async def ends(partitions: Collection[int]) -> dict[int, int]:
        return await ends_of(world.client, partitions)

    bucket = await open_suppressions(world.client.jetstream())
    settling = Settling(world.store, ledger, bucket, world.control, ends, partitions=4, now=lambda: NOW)
    assert await ends(range(5)) == {0: 5, 1: 6, 2: 3, 3: 4}
    assert await settling.step(0.0)
    assert await held(bucket, [ADA]) == {ADA}
    await world.client.jetstream().publish("events.0", track("Viewed", user="bob").SerializeToString())
    world.store.commit(Commit(positions={0: 5, 1: 6}))
    assert await settling.step(0.0)
    assert len(await world.left(EVENTS)) == 7
    world.store.commit(Commit(positions={3: 4}))
    await streams.delete(world.client, EVENTS, 3)  # by another erasure; nobody will ever have read it
    assert await settling.step(0.0)
    assert len(await world.left(EVENTS)) == 7
    assert await settling.step(0.0), "it is not folded"
    await fold(world)
    assert not await settling.step(0.0)


async def test_a_timeline_is_counted_a_page_at_a_time(world: World):
    rows = [TimelineRow(who, at, f"m{at}", 0, at, b"") for at in range(1, 12) for who in (ADA, BOB, EMAIL)]
    world.store.commit(Commit(timeline=rows))
    assert await count_filed(world.store, {ADA, BOB}, page=4) == 22
    assert await count_filed(world.store, {identity_key("user_id", "eve")}) == 0
