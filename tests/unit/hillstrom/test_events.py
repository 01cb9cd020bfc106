from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.trial import write_trial

from hillstrom.events import batches, events_of
from hillstrom.reader import Customer
from wayline_ingestion.core.validate import validate


@pytest.fixture
def customers(tmp_path: Path) -> list[Customer]:
    return write_trial(tmp_path / "trial.csv", 400)


def test_of_the_other_half_nothing_that_happened_in_the_trial_is_told(customers: list[Customer]):
    for one in customers:
        names = [event.name for event in events_of(replace(one, training=False))]
        assert names == [""], "only who the customer is"
    told = events_of(replace(customers[0], training=True, visit=True, conversion=True, spend=12.5))
    assert [event.name for event in told] == ["", "Campaign Assigned", "Site Visited", "Order Completed"]
    assert told[3].properties["total"] == 12.5


def test_a_second_run_sends_the_same_events(customers: list[Customer]):
    first, second = ([event for one in customers for event in events_of(one)] for _ in range(2))
    assert first == second
    assert len({event.message_id for event in first}) == len(first)


def test_ingestion_takes_every_event(customers: list[Customer]):
    for one in customers:
        for event in events_of(one):
            assert validate(event, "event", time.time(), encoded_bytes=event.ByteSize()) is None


def test_a_customers_events_are_in_order_and_in_one_batch(customers: list[Customer]):
    cut = list(batches(map(events_of, customers), 10))
    assert max(map(len, cut)) <= 10
    assert [event for batch in cut for event in batch] == [event for one in customers for event in events_of(one)]
    customers_of = [{event.user_id for event in batch} for batch in cut]
    assert sum(map(len, customers_of)) == len(customers)
    for one in customers:
        times = [event.timestamp.ToNanoseconds() for event in events_of(one)]
        assert times == sorted(times)
