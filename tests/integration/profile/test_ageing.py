"""Customers who were not seen for too long leave by an event."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import nats
from nats.js import JetStreamContext
from tests.support.decisions import a_catalog, an_action
from tests.support.events import DAY_MS, NOON_MS, track
from tests.support.profile import make_event_stream

from wayline import streams
from wayline.bus import EVENTS
from wayline.identity import identity_key
from wayline.publish import AckedPublisher
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.changes import Commit, Read
from wayline_profile.core.fold import definitions_of
from wayline_profile.core.loading import load
from wayline_profile.core.projector import Projector
from wayline_profile.privacy.ageing import Ageing
from wayline_profile.privacy.control import ControlEvents
from wayline_profile.store.rocksdb import RocksProfileStore

NOW = datetime.fromtimestamp(NOON_MS / 1_000, UTC)


async def test_who_was_not_seen_for_too_long_goes_and_leaves_no_trace_but_may_come_back(
    js: JetStreamContext, nats_url: str, tmp_path: Path
):
    await make_event_stream(js)
    client = await nats.connect(nats_url)
    publisher = AckedPublisher(5.0)
    await publisher.attach(client)
    store = RocksProfileStore(tmp_path / "store")
    position = 0

    def project(*events: events_pb2.Event) -> None:
        nonlocal position
        reads = [Read(0, position + 1 + at, event, event.SerializeToString()) for at, event in enumerate(events)]
        position += len(events)
        definitions = definitions_of(a_catalog([an_action("red")]))
        commit = Projector(definitions, load(store, events, definitions)).project(reads)
        commit.positions = {0: position}
        store.commit(commit)

    project(
        track("Viewed", user="old", at_ms=NOON_MS - 31 * DAY_MS),
        track("Viewed", user="new", at_ms=NOON_MS - 29 * DAY_MS),
    )
    ageing = Ageing(store, ControlEvents(publisher, 4), days=30, now=lambda: NOW)
    assert await ageing.step() == 1
    assert await ageing.step() == 1  # nobody has folded it yet
    stored = [events_pb2.Event.FromString(one.data) for one in await streams.page(client, EVENTS, after=0)]
    assert [(one.type, len(one.erasure.erasure_id)) for one in stored] == [(events_pb2.EVENT_TYPE_ERASURE, 0)]
    assert list(stored[0].erasure.identity_keys) == [identity_key("user_id", "old")]

    project(*stored)
    assert ids(store) == {identity_key("user_id", "new").hex()}
    assert store.counters().profiles == 1
    assert store.timeline([identity_key("user_id", "old")], limit=9) == []
    assert await ageing.step() == 0
    project(track("Viewed", user="old", at_ms=NOON_MS))
    assert len(ids(store)) == 2
    store.close()
    await client.close()


async def test_who_has_no_event_at_all_stays(js: JetStreamContext, nats_url: str, tmp_path: Path):
    await make_event_stream(js)
    client = await nats.connect(nats_url)
    store = RocksProfileStore(tmp_path / "store")
    key = identity_key("user_id", "restricted").hex()
    store.commit(Commit(profiles={key: profile_pb2.Profile(profile_id=key)}))
    assert await Ageing(store, ControlEvents(AckedPublisher(1.0), 4), days=30, now=lambda: NOW).step() == 0
    store.close()
    await client.close()


def ids(store: RocksProfileStore) -> set[str]:
    return {one.profile_id for one in store.profiles()}
