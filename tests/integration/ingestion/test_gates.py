"""What the catalogue in force says of events, and who was erased: on real NATS, while events are collected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from nats.js import JetStreamContext
from tests.support.events import an_event
from tests.support.ingestion import running_ingestion
from tests.support.tracking import a_catalog_with_a_plan, an_order

from wayline.catalog.model import Catalog
from wayline.catalog.store import CatalogStore, open_store
from wayline.identity import identity_key
from wayline.suppression import open_suppressions, suppress
from wayline.v1.events_pb2 import Event
from wayline.v1.ingestion_pb2 import (
    EVENT_STATUS_ACCEPTED,
    EVENT_STATUS_REJECTED,
    CollectRequest,
    EventResult,
    ListRejectedRequest,
    RedriveRejectedRequest,
)
from wayline.v1.ingestion_pb2_grpc import IngestionServiceStub

CONSENTED = Catalog.model_validate({"purposes": {"analytics": {}}, "collection": {"purpose": "analytics"}})
STRICT = a_catalog_with_a_plan(violations="refuse")


@pytest.fixture
async def catalogs(js: JetStreamContext) -> CatalogStore:
    return await open_store(js)


async def collected(ingestion: IngestionServiceStub, *events: Event) -> list[EventResult]:
    return list((await ingestion.Collect(CollectRequest(events=events))).results)


async def until(ingestion: IngestionServiceStub, event: Callable[[], Event], reason: str) -> EventResult:
    """Send fresh events until one is refused for that reason; '' until one is accepted."""
    async with asyncio.timeout(20):
        while True:
            (result,) = await collected(ingestion, event())
            if result.rejection.reason == reason:
                return result
            await asyncio.sleep(0.05)


async def in_stream(js: JetStreamContext, result: EventResult) -> Event:
    return Event.FromString((await js.get_msg("EVENTS", result.token.sequence)).data or b"")


async def rejected(ingestion: IngestionServiceStub) -> int:
    return (await ingestion.ListRejected(ListRejectedRequest())).total


def an_order_of(total: Any) -> Callable[[], Event]:
    return lambda: an_order({"total": total})


async def test_a_plan_takes_effect_while_events_are_collected_and_so_does_its_end(
    catalogs: CatalogStore, ingestion: IngestionServiceStub
):
    (before,) = await collected(ingestion, an_order_of("much")())
    await catalogs.apply(STRICT)
    refused = await until(ingestion, an_order_of("much"), "violation")
    await catalogs.apply(Catalog())
    await until(ingestion, an_order_of("much"), "")

    assert before.status == EVENT_STATUS_ACCEPTED
    assert refused.rejection.field == "events[0].properties.total"


async def test_what_the_plan_flags_is_in_the_stream_with_what_was_wrong(
    js: JetStreamContext, nats_url: str, catalogs: CatalogStore
):
    await catalogs.apply(a_catalog_with_a_plan())

    async with running_ingestion(nats_url) as channel:
        (result,) = await collected(IngestionServiceStub(channel), an_order_of("much")())

    stored = await in_stream(js, result)
    assert list(stored.violations) == ['properties.total: the value is not of type "number"']


async def test_the_rules_in_force_hold_for_the_very_first_event(nats_url: str, catalogs: CatalogStore):
    await catalogs.apply(CONSENTED)

    async with running_ingestion(nats_url) as channel:
        (result,) = await collected(IngestionServiceStub(channel), an_event())

    assert result.rejection.reason == "no_consent"


async def test_without_rules_that_can_be_read_nothing_is_collected(
    js: JetStreamContext, nats_url: str, catalogs: CatalogStore
):
    await catalogs.apply(CONSENTED)
    bucket = await js.key_value("catalog")
    await bucket.put("revision.1", b"of a version that is yet to come")

    with pytest.raises(SystemExit, match="the catalogue in force cannot be used"):
        async with running_ingestion(nats_url):
            pass


async def test_rules_that_cannot_be_read_leave_the_last_good_ones_in_force(
    js: JetStreamContext, nats_url: str, catalogs: CatalogStore
):
    await catalogs.apply(STRICT)
    async with running_ingestion(nats_url) as channel:
        ingestion = IngestionServiceStub(channel)
        bucket = await js.key_value("catalog")
        await bucket.create("revision.2", b"of a version that is yet to come")
        await bucket.put("current", b"2")
        await catalogs.apply(a_catalog_with_a_plan(violations="refuse", unplanned_events="refuse"))  # the third

        await until(ingestion, an_event, "unplanned_event")
        (result,) = await collected(ingestion, an_order_of("much")())

    assert result.rejection.reason == "violation"


async def test_what_may_not_be_stored_is_stored_nowhere(
    js: JetStreamContext, ingestion: IngestionServiceStub, catalogs: CatalogStore
):
    await catalogs.apply(CONSENTED)
    await until(ingestion, an_event, "no_consent")
    messages = (await js.stream_info("EVENTS")).state.messages

    results = await collected(ingestion, an_event(), an_event(name=""), an_event(anonymous_id="none"))

    assert [one.rejection.reason for one in results] == ["no_consent", "missing", "blocked"]
    assert {one.status for one in results} == {EVENT_STATUS_REJECTED}
    assert (await js.stream_info("EVENTS")).state.messages == messages
    assert await rejected(ingestion) == 0


async def test_a_denial_is_stored_without_what_the_customer_did(
    js: JetStreamContext, nats_url: str, catalogs: CatalogStore
):
    await catalogs.apply(CONSENTED)
    event = an_order({"total": 7})
    event.context.consent.category_preferences["analytics"] = False

    async with running_ingestion(nats_url) as channel:
        (result,) = await collected(IngestionServiceStub(channel), event)

    stored = await in_stream(js, result)
    assert stored.context.consent.category_preferences == {"analytics": False}
    assert b"total" not in stored.SerializeToString()


async def test_events_of_an_erased_customer_are_refused_and_not_kept(
    js: JetStreamContext, ingestion: IngestionServiceStub
):
    await suppress(await open_suppressions(js), [identity_key("user_id", "erased-1")])

    result = await until(ingestion, lambda: an_event(user_id="erased-1"), "suppressed")
    (other,) = await collected(ingestion, an_event(user_id="other-1"))

    assert (result.status, other.status) == (EVENT_STATUS_REJECTED, EVENT_STATUS_ACCEPTED)
    assert await rejected(ingestion) == 0


async def test_the_erased_are_known_before_the_first_event(js: JetStreamContext, nats_url: str):
    await suppress(await open_suppressions(js), [identity_key("user_id", "erased-1")])

    async with running_ingestion(nats_url) as channel:
        (result,) = await collected(IngestionServiceStub(channel), an_event(user_id="erased-1"))

    assert result.rejection.reason == "suppressed"


async def test_what_a_mended_plan_lets_pass_is_redriven_with_its_time_put_right_by_its_first_receipt(
    js: JetStreamContext, ingestion: IngestionServiceStub, catalogs: CatalogStore
):
    await catalogs.apply(STRICT)
    await until(ingestion, an_order_of("much"), "violation")
    kept = await rejected(ingestion)
    event = an_order({"total": "much"})
    event.timestamp.FromSeconds(1_000_000_000)
    event.sent_at.FromSeconds(1_000_000_060)
    await collected(ingestion, event)
    (letter,) = (await ingestion.ListRejected(ListRejectedRequest(after_sequence=kept))).rejected
    await catalogs.apply(a_catalog_with_a_plan())
    await until(ingestion, an_order_of("much"), "")

    answer = await ingestion.RedriveRejected(RedriveRejectedRequest(sequences=[letter.sequence]))

    assert (answer.accepted, answer.rejected) == (1, 0)
    last = await js.get_last_msg("EVENTS", "events.*")
    stored = Event.FromString(last.data or b"")
    assert letter.event == event
    assert stored.message_id == event.message_id
    assert stored.timestamp.ToNanoseconds() == letter.rejected_at.ToNanoseconds() - 60 * 10**9
    assert stored.original_timestamp == event.timestamp
    assert len(stored.violations) == 1


async def test_a_dead_letter_of_somebody_who_was_erased_since_is_deleted(
    js: JetStreamContext, ingestion: IngestionServiceStub
):
    await collected(ingestion, an_event(user_id="erased-1", name=""), an_event(user_id="other-1", name=""))
    await suppress(await open_suppressions(js), [identity_key("user_id", "erased-1")])
    await until(ingestion, lambda: an_event(user_id="erased-1"), "suppressed")

    answer = await ingestion.RedriveRejected(RedriveRejectedRequest())

    assert (answer.accepted, answer.rejected) == (0, 2)
    assert await rejected(ingestion) == 1
