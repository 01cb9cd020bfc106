"""What was decided and what came of it, read back from a real NATS server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from nats.js import JetStreamContext
from tests.support.decisions import a_catalog, an_action
from tests.support.events import track
from tests.support.profile import make_event_stream, publish
from tests.support.records import DECIDED_AT, Record, a_record, make_decision_stream, publish_records

from wayline.errors import NotFound
from wayline_decision.history import decisions, rewards

CATALOG = a_catalog([an_action("red")])
NAMES = ({"Conversion", "Order Completed"}, {"Click"})


async def read(js: JetStreamContext, **since: float) -> list[str]:
    return [one.decision_id async for one in decisions(js, DECIDED_AT - timedelta(**since))]


def some(count: int) -> list[Record]:
    return [a_record(CATALOG, {"hero": ["red"]}) for _ in range(count)]


async def test_every_decision_comes_back_once_and_in_order(js: JetStreamContext):
    await make_decision_stream(js)
    records = some(3_000)
    await publish_records(js, records, bundle=100)
    told: list[tuple[int, int]] = []
    found = [one async for one in decisions(js, DECIDED_AT, lambda done, total: told.append((done, total)))]
    assert found == records
    assert told[-1] == (30, 30)


async def test_what_was_decided_before_is_left_out_even_of_the_same_bundle(js: JetStreamContext):
    await make_decision_stream(js)
    old, new = a_record(CATALOG, {"hero": ["red"]}, at=DECIDED_AT - timedelta(hours=2)), some(1)[0]
    await publish_records(js, [old, new])
    assert await read(js, hours=1) == [new.decision_id]
    assert await read(js, hours=3) == [old.decision_id, new.decision_id]


async def test_decisions_that_are_made_meanwhile_do_not_keep_the_reading_from_its_end(js: JetStreamContext):
    await make_decision_stream(js)
    await publish_records(js, some(20), bundle=1)
    seen = 0
    async for _ in decisions(js, DECIDED_AT):
        seen += 1
        await publish_records(js, some(1))
    assert seen == 20


async def test_a_bundle_that_cannot_be_read_harms_no_other(js: JetStreamContext):
    await make_decision_stream(js)
    records = some(2)
    await publish_records(js, records[:1])
    await js.publish("decisions", b"\xff\xff nonsense")
    await publish_records(js, records[1:])
    assert await read(js) == [one.decision_id for one in records]


async def test_an_empty_stream_is_no_decisions_and_no_stream_says_so(js: JetStreamContext):
    with pytest.raises(NotFound, match="DECISIONS does not exist"):
        await read(js)
    await make_decision_stream(js)
    assert await read(js) == []


async def test_outcomes_are_told_apart_by_kind_decision_and_action(js: JetStreamContext):
    await make_event_stream(js)
    told = {"decision_id": "d1", "action": "red"}
    await publish(
        js,
        [
            track("Order Completed", told),
            track("Order Completed", told),  # told again
            track("Click", {"decision_id": "d2", "action": "red"}),
            track("Click", {"decision_id": "d3"}),  # of no action
            track("Click", {"decision_id": 7, "action": "red"}),  # of no decision
            track("Product Viewed", told),  # no outcome
        ],
    )
    await js.publish("events.0", b"\xff decision_id nonsense")
    conversions, clicks = await rewards(js, DECIDED_AT - timedelta(days=3_650), NAMES)
    assert (len(conversions), len(clicks)) == (1, 1)
    assert conversions.of("d1", "red") == 1
    assert conversions.of("d1", "blue") == conversions.of("d2", "red") == 0
    assert clicks.of("d2", "red") == 1


async def test_where_nothing_was_ever_collected_nothing_came_of_it(js: JetStreamContext):
    assert [len(one) for one in await rewards(js, DECIDED_AT, NAMES)] == [0, 0]
