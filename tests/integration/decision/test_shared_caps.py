"""Workers of one port, as real processes, are asked for the same customers at once: together they exceed no cap.

No profile service answers, so that nothing but promises can hold a cap.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from nats.js import JetStreamContext
from tests.support.decisions import a_catalog, an_action
from tests.support.profile import make_event_stream
from tests.support.standins import eventually
from tests.support.workers import Running, running_workers

from wayline.catalog.store import open_store
from wayline.v1 import decision_pb2, decision_pb2_grpc, events_pb2

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes that share a port need Linux")
CONNECTIONS = 16
CUSTOMERS = [f"customer-{number}" for number in range(150)]


@asynccontextmanager
async def workers_under(
    cap: dict[str, Any], count: int, js: JetStreamContext, nats_url: str, log: Path
) -> AsyncIterator[Running]:
    """Workers that decide by a catalogue with one action under a cap."""
    await make_event_stream(js)
    catalog = a_catalog([an_action("boots", contact={"caps": {"window": "7d", **cap}})])
    await (await open_store(js, max_bytes=64 << 20)).apply(catalog)
    async with running_workers(nats_url, log, count) as running:
        await eventually(lambda: len(running.listening()) == count, "all listen")
        yield running


class Clients:
    """Many connections, and how often which customer was met over any of them."""

    def __init__(self, channels: list[grpc.aio.Channel]) -> None:
        self._stubs = [decision_pb2_grpc.DecisionServiceStub(one) for one in channels]
        self.met: Counter[str] = Counter()
        self.answered = 0

    async def ask_together(self, customers: Iterable[str]) -> None:
        """Customer after customer, over all connections at the same time."""
        for customer in customers:
            await asyncio.gather(*(self._ask(stub, customer) for stub in self._stubs))

    async def ask_apart(self, customers: Iterable[str]) -> None:
        """The same, but no connection waits for another."""

        async def one_by_one(stub: decision_pb2_grpc.DecisionServiceStub) -> None:
            for customer in customers:
                await self._ask(stub, customer)

        await asyncio.gather(*(one_by_one(stub) for stub in self._stubs))

    async def _ask(self, stub: decision_pb2_grpc.DecisionServiceStub, customer: str) -> None:
        request = decision_pb2.DecideRequest(
            customer=events_pb2.Identifier(kind="user_id", value=customer),
            placements=[decision_pb2.PlacementRequest(placement="hero")],
        )
        try:
            answer = await stub.Decide(request, timeout=30, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, "its worker was killed"  # noqa: PT017
            return
        self.answered += 1
        self.met[customer] += len(answer.placements[0].selections)


@asynccontextmanager
async def clients(running: Running) -> AsyncIterator[Clients]:
    """Connections that the kernel spreads over all workers."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(running.address, options=options) for _ in range(CONNECTIONS)]
    try:
        yield Clients(channels)
    finally:
        for channel in channels:
            await channel.close()


def above(limit: int, met: Counter[str]) -> dict[str, int]:
    """The customers who were met more often than the cap allows."""
    return {customer: count for customer, count in met.items() if count > limit}


@pytest.mark.parametrize("cap", [{"limit": 1, "outcome": "decision"}, {"limit": 3}], ids=["decision", "impression"])
async def test_a_cap_is_used_to_the_last_contact_and_no_further_by_all_workers_together(
    cap: dict[str, Any], js: JetStreamContext, nats_url: str, tmp_path: Path
):
    async with workers_under(cap, 3, js, nats_url, tmp_path / "log") as running, clients(running) as asking:
        await asking.ask_together(CUSTOMERS)
        assert len(running.with_port(psutil.CONN_ESTABLISHED)) > 1, "all connections came to one worker"
        assert asking.met == dict.fromkeys(CUSTOMERS, cap["limit"])
        assert running.lines("sibling_holds_customer") == running.lines("promises_missed") == []


async def test_what_a_worker_promised_holds_when_it_was_killed_with_the_others_and_with_its_successor(
    js: JetStreamContext, nats_url: str, tmp_path: Path
):
    async with workers_under({"limit": 1}, 2, js, nats_url, tmp_path / "log") as running:
        victim, survivor = running.workers
        async with clients(running) as before:
            asking = asyncio.create_task(before.ask_apart(CUSTOMERS))
            await eventually(lambda: before.answered >= 5 * CONNECTIONS, "decisions are under way")
            os.kill(victim, signal.SIGKILL)
            await asking
        await eventually(lambda: len(running.listening()) == 2, "another one in its place")
        async with clients(running) as after:
            await after.ask_together(CUSTOMERS)
            reached = running.with_port(psutil.CONN_ESTABLISHED)
        assert survivor in reached
        assert len(reached) == 2, "the successor was asked, too"
        assert victim not in reached
        assert len(before.met) == len(CUSTOMERS)
        assert above(1, before.met + after.met) == {}


async def test_a_worker_that_is_stopped_does_not_hold_up_the_others(
    js: JetStreamContext, nats_url: str, tmp_path: Path
):
    async with workers_under({"limit": 1}, 2, js, nats_url, tmp_path / "log") as running, clients(running) as asking:
        await asking.ask_together(["anyone"])
        victim = running.workers[0]
        calls = asyncio.create_task(asking.ask_apart(CUSTOMERS))
        await eventually(lambda: asking.answered >= 5 * CONNECTIONS, "decisions are under way")
        os.kill(victim, signal.SIGSTOP)
        before = asking.answered
        await eventually(lambda: asking.answered >= before + len(CUSTOMERS), "the others go on")
        assert running.lines("worker_hangs") == [], "they did before the supervisor helped"
        await calls
        assert above(1, asking.met) == {}
