"""A customer is erased from the real system: no byte of her is left on the disk, and the others lack nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.support.bytescan import found_in_files, found_in_rocksdb
from tests.support.people import Person
from tests.support.postgres import PostgresServer
from tests.support.system import System, connected

from wayline.catalog.examples import example_path
from wayline.cluster import Cluster
from wayline.v1 import decision_pb2, ingestion_pb2, privacy_pb2, privacy_pb2_grpc, profile_pb2
from wayline.v1.events_pb2 import Identifier

pytestmark = pytest.mark.e2e
PATIENCE_SECONDS = 60.0


async def eventually(ask: Callable[[], Awaitable[Any]], enough: Callable[[Any], bool], what: str) -> Any:
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not enough(answer := await ask()):
        assert asyncio.get_running_loop().time() < deadline, f"expected: {what}; got {answer}"
        await asyncio.sleep(0.05)
    return answer


async def statistics(system: System) -> profile_pb2.GetStatisticsResponse:
    return await system.profile.GetStatistics(profile_pb2.GetStatisticsRequest(), timeout=20)


async def fill(system: System, *people: Person) -> dict[str, str]:
    """Events and two decisions of each; returns the id of the last decision of each, by user id."""
    decided = {}
    for person in people:
        await system.collect(*person.events())
    await eventually(lambda: statistics(system), lambda said: said.lag == 0, "all is folded")
    for person in people:
        await system.decide(Identifier(kind="anonymous_id", value=person.browser))
        answer = await system.decide(Identifier(kind="user_id", value=person.user))
        decided[person.user] = answer.decision_id
    for decision_id in decided.values():
        await eventually(lambda one=decision_id: explain(system, one), bool, "the decision is recorded")
    return decided


async def explain(system: System, decision_id: str) -> decision_pb2.ExplainResponse | None:
    try:
        return await system.decision.Explain(decision_pb2.ExplainRequest(decision_id=decision_id), timeout=20)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        return None


async def erase(system: System, person: Person, cluster: Cluster) -> dict[str, Any]:
    """The receipt. What the profile service has promised it keeps, although it is killed again and again."""
    stub = privacy_pb2_grpc.PrivacyServiceStub(system.channels["profile"])
    request = privacy_pb2.EraseCustomerRequest(
        customer=Identifier(kind="email", value=person.email), reason="request 4711"
    )
    asked = await stub.EraseCustomer(request, metadata=[("wayline-actor", "ann")], timeout=20)

    async def progress() -> privacy_pb2.GetErasureResponse:
        request = privacy_pb2.GetErasureRequest(erasure_id=asked.erasure_id)
        return await stub.GetErasure(request, timeout=20, wait_for_ready=True)

    for pause in (0.0, 0.15, 0.4):
        await asyncio.sleep(pause)
        cluster.kill("profile")
        await cluster.wait_healthy("profile")
    done = await eventually(progress, lambda said: bool(said.receipt), "the erasure is done")
    receipt: dict[str, Any] = json.loads(done.receipt)
    return receipt


async def profile_of(system: System, person: Person) -> profile_pb2.GetProfileResponse:
    request = profile_pb2.GetProfileRequest(customer=Identifier(kind="user_id", value=person.user))
    return await system.profile.GetProfile(request, timeout=20)


@asynccontextmanager
async def running(data: Path, env: dict[str, str]) -> AsyncIterator[tuple[Cluster, System]]:
    async with Cluster(data, env=env) as cluster, connected(cluster) as system:
        yield cluster, system


async def test_no_byte_of_a_customer_erased_from_rocksdb_is_left(tmp_path: Path):
    # Nothing is compressed, so that every byte on the disk can be read.
    await erase_one_of_three(tmp_path / "data", tmp_path / "data", {"WAYLINE_PROFILE_COMPRESS": "false"})
    left = found_in_rocksdb(tmp_path / "data" / "profile", Person("adalovelace").identifiers)
    assert left == []


async def test_no_byte_of_a_customer_erased_from_postgresql_is_left(tmp_path: Path):
    # As the documentation says: else the server keeps old files of its log, with what is in them, for later use.
    with PostgresServer("wal_recycle=off") as server:
        env = {"WAYLINE_PROFILE_STORE": server.new_database()}
        await erase_one_of_three(tmp_path / "data", server.files, env)


async def erase_one_of_three(data: Path, store: Path, env: dict[str, str]) -> None:
    """Fill a system, erase one customer, and look into every file while it runs and afterwards.

    Args:
        data: of the system.
        store: where the files of the profile store are.
        env: of the services.
    """
    ada, bob, eve = Person("adalovelace"), Person("bobbabbage"), Person("evehopper")

    def found(person: Person) -> list[str]:
        return [line for place in {data, store} for line in found_in_files(place, person.identifiers)]

    def names_found(person: Person) -> set[str]:
        return {line.partition(": ")[2] for line in found(person)}

    async with running(data, env) as (_, system):
        await system.apply(example_path("shoe-shop"))
        decided = await fill(system, bob, ada, eve)
        before = {one.user: (await profile_of(system, one)).profile for one in (bob, eve)}
    # After a restart what was written is in files for good, and not only in the store's log.
    for person in (ada, bob):
        assert names_found(person) == {*person.identifiers}
    async with running(data, env) as (cluster, system):
        receipt = await erase(system, ada, cluster)
        assert receipt["not_done"] == []
        assert found(ada) == []

        removed = receipt["removed"]["streams"]
        assert removed["EVENTS"]["messages"] >= len(ada.events()) - 1
        assert removed["DEAD_LETTERS"]["messages"] == 1
        assert removed["DECISIONS"]["records"] >= 2
        assert receipt["removed"]["timeline_entries"] >= len(ada.events()) - 1
        with pytest.raises(grpc.aio.AioRpcError, match="no profile has this"):
            await profile_of(system, ada)
        assert await explain(system, decided[ada.user]) is None
        for other in (bob, eve):
            assert (await profile_of(system, other)).profile == before[other.user]
            explained = await explain(system, decided[other.user])
            assert explained is not None
            assert explained.reproduced

        # Who was erased is not collected again.
        (result, *_) = await system.collect(ada.events()[-2])
        assert result.status == ingestion_pb2.EVENT_STATUS_REJECTED
        assert result.rejection.reason == "suppressed"
        # Who was erased may be asked for again, and nobody writes it down.
        for kind, value in (("user_id", ada.user), ("email", ada.email), ("anonymous_id", ada.browser)):
            answer = await system.decide(Identifier(kind=kind, value=value))
            assert await explain(system, answer.decision_id) is None
        other = await system.decide(Identifier(kind="user_id", value=bob.user))
        await eventually(lambda: explain(system, other.decision_id), bool, "a later decision is recorded")
    assert found(ada) == []
    assert names_found(bob) == {*bob.identifiers}
