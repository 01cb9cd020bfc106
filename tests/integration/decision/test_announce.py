"""What one replica promises, the others hear of, over real NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import nats
from structlog.testing import capture_logs
from tests.support.decisions import NOW, a_catalog, an_action
from tests.support.nats import NatsServer

from wayline import bus
from wayline_decision.announce import Announcer
from wayline_decision.core.contact import Met, compile_contact
from wayline_decision.reservations import Reservations

NOW_MS = int(NOW.timestamp() * 1_000)
KEY = bytes(range(16))
KEYS = (KEY, "profile of ada")


class Replica:
    """What one process promises and hears."""

    def __init__(self, announcer: Announcer, reservations: Reservations) -> None:
        self.announcer = announcer
        self.reservations = reservations

    def chooses(self, action: str, decision: str = "d1") -> None:
        """As the ledger does it, without holding it here: that shows whether it comes back."""
        self.announcer.announce(KEYS, [Met("impression", action, "web", NOW_MS, decision)])

    def held(self, key: str | bytes = KEY) -> list[str]:
        """The impressions that it knows to be promised."""
        return [one.action for one in self.reservations.held(key, (), NOW_MS) if one.outcome == "impression"]


@asynccontextmanager
async def replica(url: str, port: str = "") -> AsyncIterator[Replica]:
    async with bus.connect(url, "replica") as client:
        reservations = Reservations(ttl_seconds=10.0**9)
        announcer = Announcer(client, reservations, port=port)
        await announcer.listen()
        running = asyncio.create_task(announcer.run())
        try:
            yield Replica(announcer, reservations)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def test_what_one_replica_promised_counts_in_the_other_whatever_it_knows_the_customer_by(nats_url: str) -> None:
    async with replica(nats_url) as one, replica(nats_url) as other:
        one.chooses("boots")
        await until(lambda: other.held() == ["boots"])
        assert other.held("profile of ada") == ["boots"]
        met = other.reservations.held(KEY, (), NOW_MS)[1]
        assert met == Met("impression", "boots", "web", NOW_MS, "d1")


async def test_the_last_contact_is_not_used_by_the_other_replica_too(nats_url: str) -> None:
    catalog = a_catalog([an_action("boots", contact={"caps": {"limit": 1, "window": "7d"}})])
    plan = compile_contact(catalog, ["boots"])
    async with replica(nats_url) as one, replica(nats_url) as other:
        one.chooses("boots")
        await until(lambda: other.reservations.holds_any(KEY))
        assert plan.judge(other.reservations.held(KEY, (), NOW_MS), "", NOW).blocked("web")


async def test_a_replica_does_not_hear_itself(nats_url: str) -> None:
    async with replica(nats_url) as one, replica(nats_url) as other:
        for number in range(10):
            one.chooses(f"action-{number}")
        other.chooses("last")
        await until(lambda: len(other.held()) == 10)
        await until(lambda: one.held() == ["last"])


async def test_workers_of_one_port_tell_other_replicas_and_not_each_other(nats_url: str) -> None:
    """They know before it is told."""
    async with (
        replica(nats_url, "a") as one,
        replica(nats_url, "a") as sibling,
        replica(nats_url, "ab") as worker_elsewhere,
        replica(nats_url) as single,
    ):
        one.chooses("boots")
        sibling.chooses("tote")
        for other in (worker_elsewhere, single):
            await until(lambda other=other: sorted(other.held()) == ["boots", "tote"])
        single.chooses("scarf")
        worker_elsewhere.chooses("hat")
        for worker in (one, sibling):
            await until(lambda worker=worker: sorted(worker.held()) == ["hat", "scarf"])


async def test_many_at_once_all_arrive(nats_url: str) -> None:
    async with replica(nats_url) as one, replica(nats_url) as other:
        for at in range(3_000):
            one.announcer.announce([f"customer-{at}"], [Met("impression", "boots", "web", NOW_MS, "")])
        await until(lambda: len(other.reservations) == 3_000)


async def test_what_cannot_be_read_is_left_out_and_said(nats_url: str) -> None:
    with capture_logs() as lines:
        async with replica(nats_url) as one, replica(nats_url) as other:
            client = await nats.connect(nats_url)
            for payload in (b"\xff", b"{}", b'[{"ids": ["x"]}]', b'[{"ids": [], "keys": ["zz"], "contacts": []}]'):
                await client.publish("reserved.somebody", payload)
            await client.flush()
            await client.close()
            one.chooses("boots")
            await until(lambda: other.held() == ["boots"])
    assert {line["event"] for line in lines} == {"announcement_unreadable"}


async def test_what_was_promised_while_nats_was_away_is_not_told_later(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        async with replica(server.url) as one, replica(server.url) as other:
            server.kill()
            await until(lambda: not one.announcer._client.is_connected)
            one.chooses("old")
            await until(lambda: not one.announcer._waiting)
            server.start()
            await until(lambda: one.announcer._client.is_connected and other.announcer._client.is_connected)
            await until(lambda: _told(one, other))
            assert "old" not in other.held()


def _told(one: Replica, other: Replica) -> bool:
    one.chooses("new", decision="d2")
    return "new" in other.held()
