"""The cache of views, fed by several profile workers that die, take over, and are heard in any order."""

from __future__ import annotations

import json
import random
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import pytest

from wayline.identity import identity_key
from wayline.v1 import events_pb2, profile_pb2
from wayline_decision.views import ViewCache

CUSTOMERS = [identity_key("user_id", name) for name in ("ada", "bob", "cyd")]
PARTITIONS, WORKERS = range(3), range(3)
STEPS = 1_500
View = profile_pb2.CustomerView
Positions = dict[int, int]


@dataclass
class Process:
    """One worker of the profile service: what it believes to own, and what of its feed was not heard yet."""

    feed: str = ""
    number: int = 0
    positions: Positions = field(default_factory=dict)
    published: Positions = field(default_factory=dict)
    unpublished: list[tuple[list[View], Positions]] = field(default_factory=list)
    under_way: deque[profile_pb2.ViewUpdate] = field(default_factory=deque)

    def say(self, views: list[View], positions: Positions) -> None:
        self.number += 1
        tokens = [events_pb2.EventToken(partition=at, sequence=position) for at, position in positions.items()]
        update = profile_pb2.ViewUpdate(feed_id=self.feed, number=self.number, views=views, watermarks=tokens)
        self.under_way.append(update)


class ManyFeeds:
    """Customers have events in any partition. A view names the latest of each, which shows whether it is old."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.cache = ViewCache(self, size=2, timeout_seconds=1, now_ms=lambda: 0)  # type: ignore[arg-type]
        self.cache.follow(True)
        self.stream: list[tuple[int, bytes]] = []
        self.stored: Positions = dict.fromkeys(PARTITIONS, 0)
        self.latest: dict[bytes, Positions] = defaultdict(dict)
        self.commits = self.feeds = 0
        self.current = 0
        """How often a view that was held had to be current."""
        self.processes = [Process() for _ in WORKERS]
        self.owner = dict(enumerate(WORKERS))
        for worker in WORKERS:
            self.begin_anew(worker)

    def step(self) -> None:
        """Something happens somewhere; what disturbs the order is rare."""
        happenings = {
            self.an_event_comes: 20,
            self.a_worker_commits: 20,
            self.it_publishes: 20,
            self.its_feed_is_heard: 60,
            self.a_customer_is_asked_for: 30,
            self.it_beats: 5,
            self.it_dies_and_another_process_begins: 1,
            self.a_partition_is_taken_over: 1,
            self.a_message_is_lost: 1,
        }
        (happening,) = self.chance.choices(list(happenings), list(happenings.values()))
        happening(self.chance.choice(WORKERS))

    def an_event_comes(self, _: int) -> None:
        self.stream.append((self.chance.choice(PARTITIONS), self.chance.choice(CUSTOMERS)))

    def a_worker_commits(self, worker: int) -> None:
        process = self.processes[worker]
        if any(self.stored[at] != position for at, position in process.positions.items()):
            self.begin_anew(worker)  # the store has refused
            return
        read = [
            (sequence, partition, customer)
            for sequence, (partition, customer) in enumerate(self.stream, start=1)
            if sequence > process.positions.get(partition, len(self.stream))
        ]
        if read:
            for sequence, partition, customer in read:
                self.latest[customer][partition] = sequence
            self.commits += 1
            process.positions = dict.fromkeys(process.positions, read[-1][0])
            self.stored |= process.positions
            views = [self.view_of(customer) for customer in sorted({customer for _, _, customer in read})]
            process.unpublished.append((views, dict(process.positions)))

    def it_publishes(self, worker: int) -> None:
        process = self.processes[worker]
        if process.unpublished:
            views, positions = process.unpublished.pop(0)
            process.say(views[:1], {})
            process.say(views[1:], positions)
            process.published = positions

    def it_beats(self, worker: int) -> None:
        self.processes[worker].say([], self.processes[worker].published)

    def it_dies_and_another_process_begins(self, worker: int) -> None:
        self.begin_anew(worker)

    def a_partition_is_taken_over(self, worker: int) -> None:
        """Its owner does not know, and what it has not published yet comes later."""
        self.owner[self.chance.choice(PARTITIONS)] = worker
        self.begin_anew(worker)

    def its_feed_is_heard(self, worker: int) -> None:
        if self.processes[worker].under_way:
            self.cache.apply(self.processes[worker].under_way.popleft())

    def a_message_is_lost(self, worker: int) -> None:
        if self.processes[worker].under_way:
            self.processes[worker].under_way.popleft()

    def a_customer_is_asked_for(self, _: int) -> None:
        """No event may be missing of those that the cache says are folded."""
        customer = self.chance.choice(CUSTOMERS)
        folded = {
            partition: sequence
            for sequence, (partition, of) in enumerate(self.stream, start=1)
            if of == customer
            and self.cache.wait_for([events_pb2.EventToken(partition=partition, sequence=sequence)], 0)
        }
        self.current += bool(folded) and customer in self.cache._entries
        found = self.cache.get([customer]).entries.get(customer)
        shown = {int(at): sequence for at, sequence in json.loads(found.view.traits).items()} if found else {}
        assert all(shown.get(partition, 0) >= sequence for partition, sequence in folded.items())

    def begin_anew(self, worker: int) -> None:
        """A process takes over what it owns. What it had committed before, and not published, is never published."""
        process = self.processes[worker]
        self.feeds += 1
        process.feed, process.number, process.unpublished = f"feed-{self.feeds}", 0, []
        process.positions = {at: self.stored[at] for at, owner in self.owner.items() if owner == worker}
        process.published = process.positions
        process.say([], process.published)

    def view_of(self, customer: bytes) -> View:
        held = json.dumps(self.latest[customer]).encode()
        return View(profile_id=customer.hex(), identity_keys=[customer], version=self.commits, traits=held)

    def BatchGetViews(self, request: Any, timeout: float) -> profile_pb2.BatchGetViewsResponse:
        """Any process answers, from the store that they share. Before the answer arrives, much may happen."""
        views = [self.view_of(key) for key in request.identity_keys if key in self.latest]
        tokens = [events_pb2.EventToken(partition=at, sequence=position) for at, position in self.stored.items()]
        if self.chance.random() < 0.3:
            worker = self.chance.choice(WORKERS)
            for happening in (
                self.an_event_comes,
                self.a_worker_commits,
                *[self.it_publishes, self.its_feed_is_heard] * 4,
            ):
                happening(worker)
        return profile_pb2.BatchGetViewsResponse(views=views, watermarks=tokens)


@pytest.mark.parametrize("seed", range(20))
def test_no_view_is_served_as_current_that_lacks_an_event(seed: int) -> None:
    world = ManyFeeds(random.Random(seed))
    for _ in range(STEPS):
        world.step()
    assert world.current > STEPS // 50, "views that were held had to be current"
