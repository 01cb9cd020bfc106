"""Merges, rulings and erasures leave the same bytes in every store, in whatever order and batches they are read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.events import NOON_MS, alias, identify, restriction, ruling, track
from tests.support.identity import Event, World

from wayline.identity import identity_key
from wayline_profile.core.changes import Read
from wayline_profile.core.loading import load
from wayline_profile.core.projector import Projector
from wayline_profile.core.records import CLUSTER, CLUSTER_OF, STRAND
from wayline_profile.store import ProfileStore
from wayline_profile.store.postgres import PostgresProfileStore
from wayline_profile.store.rocksdb import RocksProfileStore

EVENTS = 600
USERS, BROWSERS = [f"u{n}" for n in range(25)], [f"b{n}" for n in range(40)]


@pytest.fixture(params=["rocksdb", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProfileStore]:
    if request.param == "rocksdb":
        opened: ProfileStore = RocksProfileStore(tmp_path / "store")
    else:
        opened = PostgresProfileStore(request.getfixturevalue("postgres_server").new_database())
    opened.take_over([0])
    yield opened
    opened.close()


def told(rng: random.Random) -> list[Event]:
    """A busy week of some customers and their devices."""
    events: list[Event] = []
    for number in range(EVENTS):
        user, browser, at_ms = rng.choice(USERS), rng.choice(BROWSERS), NOON_MS + rng.randrange(1_000)
        kind = rng.random()
        if kind < 0.5:
            event = track("Viewed", user=rng.choice(["", user]), browser=browser, at_ms=at_ms)
        elif kind < 0.9:
            email = {"email": f"{user}@b.eu"} if kind < 0.6 else {}
            event = identify(email, user=rng.choice(["", user]), browser=rng.choice([browser, "kiosk"]), at_ms=at_ms)
        elif kind < 0.93:
            event = alias(user, rng.choice(USERS), at_ms=at_ms)
        elif kind < 0.98:
            event = ruling(("user_id", user), ("anonymous_id", browser), apart=rng.random() < 0.7, at_ms=at_ms)
        else:
            event = restriction(("user_id", user), restricted=True, at_ms=at_ms)
        event.message_id = f"m{number}"
        events.append(event)
    return events


def test_a_store_holds_what_the_events_say_and_nothing_of_their_order(store: ProfileStore) -> None:
    rng = random.Random(7)
    events, world = told(rng), World()
    for event in events:
        world.take(event)
    rng.shuffle(events)
    sequence = 0
    while sequence < len(events):
        batch = [
            Read(0, sequence + place, event, event.SerializeToString())
            for place, event in enumerate(events[sequence : sequence + rng.randrange(1, 60)], start=1)
        ]
        with store.begin() as unit:
            commit = Projector(world.definitions, load(unit, [one.event for one in batch], world.definitions)).project(
                batch
            )
            sequence += len(batch)
            commit.positions = {0: sequence}
            unit.commit(commit)
    expected = world.state()
    assert {one.profile_id: one.SerializeToString(deterministic=True) for one in store.profiles()} == world.data
    kinds = (STRAND, CLUSTER, CLUSTER_OF)
    held = {(kind, key): value for kind in kinds for key, value in store.scan(kind, at_most=10_000)}
    assert held == expected["records"]
    named = [("user_id", one) for one in USERS] + [("anonymous_id", one) for one in (*BROWSERS, *USERS, "kiosk")]
    named += [("email", f"{one}@b.eu") for one in USERS]
    assert store.resolve([identity_key(*pair) for pair in named]) == world.identities
    assert store.counters().profiles == world.created == len(world.data)
    assert any(len(one.strands) > 2 for one in store.profiles())
