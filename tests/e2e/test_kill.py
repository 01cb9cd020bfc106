"""Any one process can be killed during an import: nothing is lost, and the profiles are those of a quiet run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from tests.support.trial import write_trial

from hillstrom import client
from hillstrom.collect import send, wait_until_folded
from hillstrom.decide import ask
from hillstrom.events import ASSIGNED, IDENTIFIED, batches, customer_id, identify, outcomes
from hillstrom.reader import Customer
from hillstrom.setup import use_catalog
from wayline.catalog.examples import example_path
from wayline.cluster import Cluster
from wayline.v1 import events_pb2
from wayline.v1.events_pb2 import Event, Identifier
from wayline_profile.store import Counters
from wayline_profile.store.rocksdb import RocksProfileStore

CUSTOMERS = 3_000
BATCH = 100
COLOURS = ("red", "blue", "green", "black")

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True)
class Stored:
    """What is left when everything was stopped: profiles by id as bytes, and what was counted."""

    profiles: dict[str, bytes]
    counters: Counters


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> list[list[Event]]:
    """The events of each customer, in their order."""
    customers = write_trial(tmp_path_factory.mktemp("trial") / "trial.csv", CUSTOMERS)
    return [history_of(customer) for customer in customers]


@pytest.fixture(scope="module")
def undisturbed(histories: list[list[Event]], tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """The same import with nothing killed."""
    return import_and_kill((), histories, tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("victims", [("nats",), ("ingestion",), ("profile",), ("decision", "prediction")], ids="+".join)
def test_killed_during_an_import_the_profiles_are_those_of_an_undisturbed_run(
    victims: Sequence[str], histories: list[list[Event]], undisturbed: Stored, tmp_path: Path
):
    disturbed = import_and_kill(victims, histories, tmp_path)
    assert disturbed.profiles.keys() == undisturbed.profiles.keys()
    differing = [one for one, data in undisturbed.profiles.items() if disturbed.profiles[one] != data]
    assert not differing
    assert disturbed.counters.profiles == undisturbed.counters.profiles == CUSTOMERS
    assert disturbed.counters.folded == undisturbed.counters.folded == sum(map(len, histories))
    assert disturbed.counters.poison == 0


def import_and_kill(victims: Sequence[str], histories: Sequence[Sequence[Event]], data: Path) -> Stored:
    """Import with a system of its own, kill each victim when a third is through, and look into the store at the end."""
    asyncio.run(_import_and_kill(victims, histories, data))
    store = RocksProfileStore(data / "profile")
    try:
        profiles = {one.profile_id: one.SerializeToString(deterministic=True) for one in store.profiles()}
        return Stored(profiles, store.counters())
    finally:
        store.close()


async def _import_and_kill(victims: Sequence[str], histories: Sequence[Sequence[Event]], data: Path) -> None:
    total = sum(map(len, histories))
    async with Cluster(data) as cluster:
        await use_catalog(_shop_without_contact_policy(data), cluster.addresses, histories[0][0])
        stored = 0

        def progress(more: int) -> None:
            nonlocal stored
            before, stored = stored, stored + more
            if before < total // 3 <= stored < total:
                for victim in victims:
                    cluster.kill(victim)

        assert await send(cluster.addresses.ingestion, batches(histories, BATCH), progress) == total
        await wait_until_folded(cluster.addresses.profile, lambda _: None)
        await cluster.wait_healthy()
        assert [name for name in victims if cluster.restarts(name) < 1] == []
        async with client.channel(cluster.addresses.decision) as channel:
            customer = Identifier(kind="user_id", value=customer_id(CUSTOMERS))
            decision = await client.patiently(lambda: ask(channel, customer))
            assert decision.placements[0].placement == "email.offer"


def _shop_without_contact_policy(data: Path) -> Path:
    """Where a cap counts decisions, a decision is an event like any other, and has an id and a time of its own."""
    shop = data / "shop"
    shop.mkdir(parents=True)
    for file in example_path("shoe-shop").glob("*.yaml"):
        (shop / file.name).write_text(file.read_text().partition("\ncontact:\n")[0])
    return shop


def history_of(customer: Customer) -> list[Event]:
    """What a customer of the trial did, with visits before the sign-in, and now and then a former account.

    Each event carries its time: what is folded must not depend on when it was received.
    """
    chance = Random(customer.number)
    events = [_view(customer, view, chance) for view in range((customer.number - 1) % 3)]
    signed_in = identify(customer)
    signed_in.anonymous_id = _browser(customer)
    events.append(signed_in)
    if customer.number % 10 == 0:
        events += _former_account(customer)
    return [*events, *outcomes(customer)]


def _view(customer: Customer, number: int, chance: Random) -> Event:
    event = Event(
        message_id=f"{_browser(customer)}.view-{number}",
        type=events_pb2.EVENT_TYPE_TRACK,
        anonymous_id=_browser(customer),
        name="Product Viewed",
    )
    event.properties.update({"color": chance.choice(COLOURS), "price": chance.uniform(20, 200)})
    event.timestamp.FromSeconds(int(IDENTIFIED.timestamp()) - chance.randrange(30 * 86_400))
    return event


def _former_account(customer: Customer) -> list[Event]:
    """An order under a former id, and the word that both are the same customer."""
    former = f"former-{customer.number}"
    order = Event(message_id=f"{former}.order", type=events_pb2.EVENT_TYPE_TRACK, user_id=former)
    order.name = "Order Completed"
    order.properties.update({"total": 0.1 * customer.number})
    alias = Event(message_id=f"{former}.alias", type=events_pb2.EVENT_TYPE_ALIAS, previous_id=former)
    alias.user_id = customer_id(customer.number)
    for event in (order, alias):
        event.timestamp.FromDatetime(ASSIGNED)
    return [order, alias]


def _browser(customer: Customer) -> str:
    return f"browser-{customer.number}"
