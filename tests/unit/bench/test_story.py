"""A story is the same for the same seed, and holds what makes counting once hard."""

from __future__ import annotations

from collections import Counter

from wayline.v1 import events_pb2
from wayline_bench.stress.story import CONTROL, story, told
from wayline_bench.stress.trial import victims

BEGAN = 1_790_000_000


def test_the_same_seed_tells_the_same_story() -> None:
    assert story(200, 7, BEGAN) == story(200, 7, BEGAN)
    assert story(200, 7, BEGAN) != story(200, 8, BEGAN)


def test_every_event_carries_its_own_id_and_its_own_time() -> None:
    events = [events_pb2.Event.FromString(data) for data in story(500, 1, BEGAN)]
    assert len({event.message_id for event in events}) == 500
    assert all(event.timestamp.seconds > BEGAN - 86_400 and not event.HasField("received_at") for event in events)


def test_staff_rule_on_identifiers_and_restrict_customers() -> None:
    kinds = Counter(events_pb2.Event.FromString(data).type for data in story(3_000, 1, BEGAN))
    assert all(kinds[kind] for kind in CONTROL)


def test_customers_sign_in_change_accounts_and_share_devices() -> None:
    events = [events_pb2.Event.FromString(data) for data in story(3_000, 1, BEGAN)]
    kinds = Counter(event.type for event in events)
    assert kinds[events_pb2.EVENT_TYPE_IDENTIFY] > 300
    assert kinds[events_pb2.EVENT_TYPE_ALIAS] > 30
    at_kiosks = {event.user_id for event in events if event.anonymous_id == "kiosk-0"}
    assert len(at_kiosks) > 5


def test_each_event_is_told_and_some_are_told_again_later() -> None:
    order = told(1_000, 3, 0.2)
    assert set(order) == set(range(1_000))
    assert 1_100 < len(order) < 1_300
    assert order != sorted(order)


def test_the_victims_are_drawn_in_any_order() -> None:
    assert Counter(victims(20, 3, 1)) == {"profile": 20, "nats": 3}
    assert victims(20, 3, 1) != victims(20, 3, 2)
