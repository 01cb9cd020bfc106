"""Customers who are judged: events are folded into a store, and time passes by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc
from nats.js import JetStreamContext
from tests.support.events import NOON_MS, identify, page, track
from tests.support.ports import free_port
from tests.support.profile import make_event_stream, publish, read_up_to

from wayline.bus import CHANGES
from wayline.catalog.load import load_text
from wayline.catalog.store import open_store
from wayline.identity import identity_key
from wayline.v1 import audiences_pb2, audiences_pb2_grpc, events_pb2, profile_pb2_grpc
from wayline_profile.app import build
from wayline_profile.core.changes import Commit, Read
from wayline_profile.core.loading import load
from wayline_profile.core.projector import Projector
from wayline_profile.core.values import Reading, reading_of
from wayline_profile.due import Rejudging
from wayline_profile.settings import ProfileSettings
from wayline_profile.standings import Standings
from wayline_profile.store import ProfileStore, UnitOfWork
from wayline_profile.store.records import CHANGE, STANDING
from wayline_profile.writes import Writer

CATALOG = """
traits:
  orders: {kind: count, event: Order Completed}
  away: {kind: recency, event: page}
audiences:
  buyers: profile.orders > 0
  lapsed: {rule: profile.away >= 14 && profile.away < 36500, description: No visit for two weeks}
"""


class Customers:
    """A store, what judges the customers in it, and a clock."""

    def __init__(self, connect: Callable[[], ProfileStore], now_ms: int, catalog: str = CATALOG) -> None:
        """`connect` opens the same store each time."""
        self.connect = connect
        self.now_ms = now_ms
        self.use(catalog)
        self.open()

    def use(self, catalog: str) -> None:
        """Judge under another catalogue."""
        self.reading: Reading = reading_of(load_text(catalog))

    def open(self) -> None:
        """Begin anew with what is stored, as after a crash."""
        self.store = self.connect()
        self.store.take_over({0})
        self.writer = Writer(self.store, None, chance=random.Random(0))
        self.standings = Standings()
        self.rejudging = Rejudging(self.store, self.writer, self.standings, now_ms=lambda: self.now_ms)

    def reopen(self) -> None:
        """Nothing but the store is left, a second later."""
        self.store.close()
        self.now_ms += 1_000
        self.open()

    async def fold(self, *events: events_pb2.Event) -> None:
        """One batch, as the worker does it."""
        start = max(self.store.positions().values(), default=0)
        batch = [Read(0, start + number, event, b"") for number, event in enumerate(events, 1)]

        def project(unit: UnitOfWork) -> Commit:
            loaded = load(unit, events, self.reading.definitions)
            commit = Projector(self.reading.definitions, loaded).project(batch)
            commit.positions = {0: start + len(batch)}
            self.standings.add_to(commit, commit.profiles, self.reading, self.now_ms, source=unit)
            return commit

        await self.writer.write(project)

    async def judge_all(self) -> int:
        """Take turns until there is nothing to do; how many changed."""
        changed = 0
        while (views := await self.rejudging.turn(self.reading)) is not None:
            changed += len(views)
        return changed

    def standing(self, user: str) -> audiences_pb2.Standing:
        """What is stored of a customer."""
        key = identity_key("user_id", user)
        profile_id = bytes.fromhex(self.store.resolve([key])[key])
        return audiences_pb2.Standing.FromString(self.store.records(STANDING, [profile_id]).get(profile_id, b""))

    def members(self, audience: str) -> set[str]:
        """Profile ids."""
        rows = self.store.scan(STANDING, at_most=10_000)
        return {key.hex() for key, data in rows if audience in audiences_pb2.Standing.FromString(data).audiences}

    def untold(self) -> list[audiences_pb2.Change]:
        """Changes that wait to be published."""
        return [audiences_pb2.Change.FromString(data) for _, data in self.store.scan(CHANGE, at_most=10_000)]


def summary(changes: Iterable[audiences_pb2.Change]) -> list[tuple[str, str]]:
    """What happened, and to which audience or from which stage to which."""
    names = {
        audiences_pb2.CHANGE_KIND_ENTERED: "entered",
        audiences_pb2.CHANGE_KIND_EXITED: "exited",
        audiences_pb2.CHANGE_KIND_STAGE: "stage",
    }
    return [(names[one.kind], one.audience or f"{one.from_stage}>{one.to_stage}") for one in changes]


SERVED = """
purposes: {marketing: {default: denied}}
traits:
  orders: {kind: count, event: Order Completed}
  city: {kind: attribute}
audiences:
  buyers: {rule: profile.orders > 0, description: Bought something, because: Has bought}
  gone: profile.stage == "lost"
  regulars: {rule: profile.orders > 5, purpose: marketing}
lifecycle: default
"""


@dataclass
class Served:
    """A running service, clients of it, and its clock."""

    address: str
    audiences: Any
    profiles: Any
    js: JetStreamContext
    now_ms: int = NOON_MS

    async def all_told(self) -> audiences_pb2.GetAudienceStatusResponse:
        """Until everybody was judged, and every change is on the stream."""
        async with asyncio.timeout(20):
            while True:
                status = await self.audiences.GetAudienceStatus(audiences_pb2.GetAudienceStatusRequest())
                if not (status.judging or status.due or status.unpublished):
                    return cast("audiences_pb2.GetAudienceStatusResponse", status)
                await asyncio.sleep(0.02)


@asynccontextmanager
async def serving_audiences(js: JetStreamContext, nats_url: str, data: Path) -> AsyncIterator[Served]:
    """Ada and Cleo have bought, Bob has looked; Ada allows marketing. Time stands still until a test moves it."""
    await make_event_stream(js)
    await (await open_store(js)).apply(load_text(SERVED))
    address = f"127.0.0.1:{free_port()}"
    configured = ProfileSettings(
        nats_url=nats_url, profile_port=int(address[10:]), profile_data=data, shutdown_grace_seconds=0.5
    )
    async with grpc.aio.insecure_channel(address) as channel:
        audiences = audiences_pb2_grpc.AudienceServiceStub(channel)
        served = Served(address, audiences, profile_pb2_grpc.ProfileServiceStub(channel), js)
        async with build(configured, now_ms=lambda: served.now_ms):
            events = [
                identify({"email": "ada@example.com"}, user="ada", consent={"marketing": True}),
                track("Order Completed", user="ada"),
                track("Order Completed", user="cleo"),
                page(user="bob"),
            ]
            await read_up_to(served.profiles, await publish(js, events))
            await served.all_told()
            yield served


async def stored_changes(js: JetStreamContext) -> list[tuple[str, audiences_pb2.Change]]:
    """All changes on the stream, with their subjects."""
    last = (await js.stream_info(CHANGES)).state.last_seq
    found = [await js.get_msg(CHANGES, sequence) for sequence in range(1, last + 1)]
    return [(one.subject or "", audiences_pb2.Change.FromString(one.data or b"")) for one in found]
