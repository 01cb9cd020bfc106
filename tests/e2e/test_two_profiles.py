"""Decisions while two profile processes share the partitions on PostgreSQL, and one of them is killed or hangs.

Whatever happens, a decision that waited for an event and does not call itself stale was made with it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from tests.support.one_way import OneWay
from tests.support.postgres import PostgresServer
from tests.support.profile_process import LEASE_SECONDS, a_process, shared_by, until
from tests.support.system import System, connected

from wayline.cluster import Cluster
from wayline.v1 import decision_pb2, decision_pb2_grpc, events_pb2, ingestion_pb2, profile_pb2

pytestmark = pytest.mark.e2e

CATALOG: dict[str, Any] = {
    "name": "two-profiles",
    "traits": {"views": {"kind": "count", "event": "Product Viewed"}},
    "channels": {"web": {}},
    "placements": {"web.hero": {"channel": "web"}},
    "issues": [
        {
            "id": "all",
            "groups": [
                {
                    "id": "all",
                    "actions": [
                        {
                            "id": "count",
                            "treatments": [
                                {"id": "a", "placements": ["web.hero"], "content": {"views": "{{ profile.views }}"}}
                            ],
                        }
                    ],
                }
            ],
        }
    ],
}
PARTITIONS = 4
CUSTOMERS = 8
PATIENCE_SECONDS = 80.0
ONE_WORKER_EACH = [("grpc.use_local_subchannel_pool", 1)]


@dataclass(slots=True)
class Customer:
    """One customer, who is seen under a user id and a browser's id: events lie in two partitions."""

    name: str
    sent: int = 0
    tokens: dict[int, events_pb2.EventToken] = field(default_factory=dict)
    current: int = 0
    """Decisions that were made with all that was sent."""
    stale: int = 0

    @property
    def identifiers(self) -> list[events_pb2.Identifier]:
        return [
            events_pb2.Identifier(kind="user_id", value=f"user-{self.name}"),
            events_pb2.Identifier(kind="anonymous_id", value=f"browser-{self.name}"),
        ]

    def signs_in(self) -> events_pb2.Event:
        return self._event(events_pb2.EVENT_TYPE_IDENTIFY, user_id=f"user-{self.name}")

    def views(self) -> events_pb2.Event:
        """Now under the one id, now under the other."""
        self.sent += 1
        user = {"user_id": f"user-{self.name}"} if self.sent % 2 else {}
        event = self._event(events_pb2.EVENT_TYPE_TRACK, name="Product Viewed", **user)
        if user:
            event.ClearField("anonymous_id")
        return event

    def _event(self, kind: events_pb2.EventType, **fields: str) -> events_pb2.Event:
        return events_pb2.Event(
            message_id=f"{self.name}-{kind}-{self.sent}", type=kind, anonymous_id=f"browser-{self.name}", **fields
        )


@dataclass(frozen=True, slots=True)
class Shop:
    """Two profile processes, of which decisions ask the first, and two decision processes behind one port."""

    cluster: Cluster
    system: System
    second: asyncio.subprocess.Process
    nats_of_the_second: OneWay
    url: str
    decisions: list[Any]
    """Stubs with a connection each: the kernel spreads them over the decision processes."""

    async def send(self, customer: Customer, event: events_pb2.Event) -> None:
        (result,) = await self.system.collect(event)
        assert result.status == ingestion_pb2.EVENT_STATUS_ACCEPTED, result
        customer.tokens[result.token.partition] = result.token

    async def decide(self, customer: Customer, stub: Any) -> None:
        """A decision that is to be made with all that was sent: it is, or it says that it is not."""
        answer = await self.ask(customer, customer.identifiers[customer.current % 2], stub)
        shown = shown_in(answer)
        if answer.stale or shown is None:
            assert shown is None or shown <= customer.sent
            customer.stale += 1
        else:
            assert shown == customer.sent, "a stale view passed as current"
            customer.current += 1

    async def ask(
        self, customer: Customer, identifier: events_pb2.Identifier, stub: Any, *, wait: bool = True
    ) -> decision_pb2.DecideResponse:
        request = decision_pb2.DecideRequest(
            customer=identifier,
            placements=[decision_pb2.PlacementRequest(placement="web.hero")],
            at_least=customer.tokens.values() if wait else (),
        )
        answer: decision_pb2.DecideResponse = await stub.Decide(request, timeout=20)
        return answer


def shown_in(answer: decision_pb2.DecideResponse) -> int | None:
    """How many views the decision knew of. None: it says that the profile could not be read."""
    if answer.personalisation == decision_pb2.PERSONALISATION_UNAVAILABLE:
        return None
    if answer.personalisation == decision_pb2.PERSONALISATION_UNKNOWN_CUSTOMER:
        return 0
    assert answer.personalisation == decision_pb2.PERSONALISATION_FULL
    ((selection,),) = (one.selections for one in answer.placements)
    return int(selection.content["views"])


def _write_catalog(data: Path) -> None:
    data.mkdir()
    (data / "catalog.yaml").write_text(yaml.safe_dump(CATALOG))


@asynccontextmanager
async def a_shop(data: Path, url: str) -> AsyncIterator[Shop]:
    await asyncio.to_thread(_write_catalog, data)
    cluster = Cluster(
        data,
        services=("ingestion", "profile", "decision"),
        decision_workers=2,
        env={
            "WAYLINE_PARTITIONS": str(PARTITIONS),
            "WAYLINE_PROFILE_STORE": url,
            "WAYLINE_PROFILE_LEASE_SECONDS": str(LEASE_SECONDS),
        },
    )
    async with cluster, connected(cluster) as system:
        await system.apply(data / "catalog.yaml")
        channels = [grpc.aio.insecure_channel(cluster.addresses.decision, ONE_WORKER_EACH) for _ in range(4)]
        stubs = [decision_pb2_grpc.DecisionServiceStub(channel) for channel in channels]
        nats = OneWay(cluster.addresses.nats)
        async with nats.listening(), a_process(nats.url, url, data / "second.log") as second:
            await shared_by(url, 2, PARTITIONS, second)
            yield Shop(cluster, system, second, nats, url, stubs)
        for channel in channels:
            await channel.close()


async def kill_the_one_that_decisions_do_not_ask(shop: Shop) -> None:
    shop.second.kill()
    await shop.second.wait()
    await shared_by(shop.url, 1, PARTITIONS)


async def kill_the_one_that_decisions_ask(shop: Shop) -> None:
    shop.cluster.kill("profile")
    await shop.cluster.wait_healthy("profile")
    await shared_by(shop.url, 2, PARTITIONS, shop.second)


async def hang_for_longer_than_a_lease(shop: Shop) -> None:
    shop.second.send_signal(signal.SIGSTOP)
    await shared_by(shop.url, 1, PARTITIONS)
    shop.second.send_signal(signal.SIGCONT)
    await shared_by(shop.url, 2, PARTITIONS, shop.second)


async def test_no_decision_takes_a_stale_view_for_a_current_one_while_partitions_change_hands(
    postgres_server: PostgresServer, tmp_path: Path
):
    customers = [Customer(f"{number}") for number in range(CUSTOMERS)]
    async with a_shop(tmp_path / "data", postgres_server.new_database()) as shop, asyncio.timeout(PATIENCE_SECONDS):
        over = asyncio.Event()

        async def lives(customer: Customer) -> None:
            await shop.send(customer, customer.signs_in())
            while not over.is_set():
                await shop.send(customer, customer.views())
                await shop.decide(customer, shop.decisions[customer.sent % len(shop.decisions)])

        async with asyncio.TaskGroup() as lives_of_all:
            for customer in customers:
                lives_of_all.create_task(lives(customer))
            for trouble in (
                hang_for_longer_than_a_lease,
                kill_the_one_that_decisions_ask,
                kill_the_one_that_decisions_do_not_ask,
            ):
                await all_get_on(customers)
                await trouble(shop)
            await all_get_on(customers)
            over.set()

        for customer in customers:
            await all_know(shop, customer)
        assert len({token.partition for one in customers for token in one.tokens.values()}) == PARTITIONS
        statistics = await shop.system.profile.GetStatistics(profile_pb2.GetStatisticsRequest())
        assert statistics.events_folded == sum(1 + customer.sent for customer in customers)
        assert (statistics.profiles, statistics.poison) == (CUSTOMERS, 0)


async def test_what_a_process_committed_and_told_nobody_before_its_death_is_never_overlooked(
    postgres_server: PostgresServer, tmp_path: Path
):
    customers = [Customer(f"{number}") for number in range(CUSTOMERS)]
    async with a_shop(tmp_path / "data", postgres_server.new_database()) as shop, asyncio.timeout(PATIENCE_SECONDS):
        for customer in customers:
            await shop.send(customer, customer.signs_in())
            await shop.send(customer, customer.views())
        for customer in customers:
            await all_know(shop, customer)  # now every decision process holds every view
        shop.nats_of_the_second.mute()
        for customer in customers:
            await shop.send(customer, customer.views())
        sent = sum(1 + customer.sent for customer in customers)
        await until(shop.url, "SELECT folded FROM counters", lambda rows: rows[0][0] == sent, shop.second)

        await decide_each(shop, customers)
        assert any(one.stale for one in customers), "what nobody was told of cannot be known yet"
        shop.second.kill()
        while any(one.current < 3 * len(shop.decisions) for one in customers):
            await decide_each(shop, customers)


async def decide_each(shop: Shop, customers: list[Customer]) -> None:
    """Once for each customer, by each connection."""
    await asyncio.gather(*(shop.decide(customer, stub) for customer in customers for stub in shop.decisions))


async def all_get_on(customers: list[Customer]) -> None:
    """Until there are more current decisions for each customer."""
    former = [one.current for one in customers]
    while any(one.current < before + 5 for one, before in zip(customers, former, strict=True)):
        await asyncio.sleep(0.02)


async def all_know(shop: Shop, customer: Customer) -> None:
    """Every decision process comes to know, without being told what to wait for, all that was sent."""
    for stub in shop.decisions:
        for identifier in customer.identifiers:
            while shown_in(await shop.ask(customer, identifier, stub, wait=False)) != customer.sent:
                await asyncio.sleep(0.02)
