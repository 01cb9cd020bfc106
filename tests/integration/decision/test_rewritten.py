"""Decisions whose bundle was written anew, since it held one for a customer who was erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from tests.support.decisions import a_catalog, an_action
from tests.support.records import Record, a_record

from wayline.bus import DECISION_SUBJECT, DECISIONS, REWRITTEN_SUBJECTS, StreamSpec, ensure_stream
from wayline.errors import NotFound
from wayline.identity import identity_key
from wayline.v1 import decision_pb2
from wayline_decision.history import decisions
from wayline_decision.replay import Replayer
from wayline_profile.privacy.rewriting import rewrite

CATALOG = a_catalog([an_action("red")])


@pytest.fixture
async def client(js: JetStreamContext, nats_url: str) -> AsyncIterator[Client]:
    spec = StreamSpec(
        name=DECISIONS, subject=DECISION_SUBJECT, also=(REWRITTEN_SUBJECTS,), max_bytes=1 << 24, max_age_seconds=3_600
    )
    await ensure_stream(js, spec, 1)
    client = await nats.connect(nats_url)
    yield client
    await client.close()


def a_decision(user: str, at: datetime) -> Record:
    record = a_record(CATALOG, {"hero": ["red"]}, at=at)
    record.decision_id = f"{int(record.decided_at.ToMilliseconds()):012x}" + record.decision_id[12:]
    record.request.customer.value = user
    return record


async def test_the_others_are_found_and_the_erased_one_is_not(js: JetStreamContext, client: Client):
    now = datetime.now(UTC)
    ada, bob = a_decision("ada", now), a_decision("bob", now)
    bundle = decision_pb2.DecisionRecordBundle(records=[ada, bob])
    ack = await js.publish(DECISION_SUBJECT, bundle.SerializeToString())
    await js.publish(
        DECISION_SUBJECT, decision_pb2.DecisionRecordBundle(records=[a_decision("eve", now)]).SerializeToString()
    )
    assert await rewrite(client, ack.seq, {identity_key("user_id", "ada")}, perhaps_done=False) == 1

    nothing: Any = None  # neither catalogues nor models are needed to find a record
    replayer = Replayer(js, nothing, nothing)
    assert await replayer.find(bob.decision_id) == bob
    with pytest.raises(NotFound):
        await replayer.find(ada.decision_id)
    since = now - timedelta(minutes=1)
    assert [one.request.customer.value async for one in decisions(js, since)] == ["eve", "bob"]


async def test_a_bundle_that_begins_in_another_hour_is_found(js: JetStreamContext, client: Client):
    full_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    before, after = a_decision("bob", full_hour - timedelta(seconds=1)), a_decision("eve", full_hour)
    bundle = decision_pb2.DecisionRecordBundle(records=[before, after, a_decision("ada", full_hour)])
    ack = await js.publish(DECISION_SUBJECT, bundle.SerializeToString())
    await rewrite(client, ack.seq, {identity_key("user_id", "ada")}, perhaps_done=False)
    nothing: Any = None
    replayer = Replayer(js, nothing, nothing)
    assert await replayer.find(before.decision_id) == before
    assert await replayer.find(after.decision_id) == after
