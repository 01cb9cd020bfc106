"""A current catalogue that cannot be used, and arms whose revision cannot: decisions go on, also after a restart."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from nats.js import JetStreamContext
from structlog.testing import capture_logs
from tests.integration.decision.conftest import System
from tests.integration.decision.test_workers import SERVICE
from tests.support.decisions import a_catalog, an_action
from tests.support.ports import free_port
from tests.support.profile import make_event_stream
from tests.support.standins import eventually
from tests.support.workers import running_workers
from typer.testing import CliRunner, Result

from wayline.bus import CATALOG_BUCKET
from wayline.catalog.model import Catalog
from wayline.catalog.store import CatalogStore, Uptake, open_store
from wayline.cli import app
from wayline.cli.catalog import apply_if_new
from wayline.health import probe
from wayline.v1 import decision_pb2, decision_pb2_grpc
from wayline_decision.app import build
from wayline_decision.settings import DecisionSettings

GOOD = a_catalog([an_action("good")])
BROKEN = a_catalog([an_action("bad", eligibility="profile.nonsense == 1")])
NAMELESS = a_catalog([an_action("lost", treatments=[{"id": "main", "placements": ["nowhere"]}])])


def with_arm(revision: int, action: str = "new") -> Catalog:
    """Half of the customers are decided by another revision."""
    arms = {"now": {"share": 0.5}, "then": {"share": 0.5, "catalog": revision}}
    return a_catalog([an_action(action)], experiments=[{"id": "e", "arms": arms}])


@pytest.fixture
async def store(js: JetStreamContext) -> CatalogStore:
    await make_event_stream(js)
    return await open_store(js)


@asynccontextmanager
async def serving(store: CatalogStore, js: JetStreamContext, nats_url: str) -> AsyncIterator[System]:
    """A start of the decision service, which knows no more than what is stored. No profile service answers."""
    port = free_port()
    settings = DecisionSettings(
        decision_port=port,
        profile_address=f"127.0.0.1:{free_port()}",
        decisions_max_bytes=64 << 20,
        models_max_bytes=64 << 20,
        nats_url=nats_url,
        shutdown_grace_seconds=0.5,
    )
    address = f"127.0.0.1:{port}"
    async with build(settings), grpc.aio.insecure_channel(address) as channel:
        yield System(decision_pb2_grpc.DecisionServiceStub(channel), js, store, address, nats_url)


async def ready(system: System) -> None:
    async with asyncio.timeout(20):
        while not (await probe(system.address, SERVICE)).healthy:
            await asyncio.sleep(0.02)


async def reported(store: CatalogStore, *, in_use: int, refused: int = 0) -> Uptake:
    async with asyncio.timeout(20):
        while (found := await store.uptake())[:2] != (in_use, refused):
            await asyncio.sleep(0.02)
    return found


def actions(decision: decision_pb2.DecideResponse) -> list[str]:
    return [one.action for one in decision.placements[0].selections]


@pytest.mark.parametrize("bad", [BROKEN, NAMELESS], ids=["does not compile", "names what is not there"])
async def test_a_restart_on_a_broken_current_catalogue_serves_the_last_good_one(
    bad: Catalog, store: CatalogStore, js: JetStreamContext, nats_url: str
) -> None:
    async with serving(store, js, nats_url) as first:
        await first.apply(a_catalog([an_action("older")]))
        await first.apply(GOOD)
        await store.apply(bad)
        await store.apply(bad)
        uptake = await reported(store, in_use=2, refused=4)
        assert uptake.because
        assert actions(await first.decide("ada")) == ["good"]

    with capture_logs() as log:
        async with serving(store, js, nats_url) as second:
            await ready(second)
            decision = await second.decide("ada")
            assert (decision.catalog_revision, actions(decision)) == (2, ["good"])
            await reported(store, in_use=2, refused=4)
            assert await second.apply(a_catalog([an_action("mended")])) == 5
            await reported(store, in_use=5)
    told = [(line["event"], line["revision"]) for line in log if line["event"].startswith("catalog_")]
    assert told == [("catalog_refused", 4), ("catalog_refused", 3), ("catalog_in_use", 2), ("catalog_in_use", 5)]


async def test_a_restart_on_a_current_catalogue_that_cannot_be_read_serves_the_last_good_one(
    store: CatalogStore, js: JetStreamContext, nats_url: str
) -> None:
    await store.apply(GOOD)
    bucket = await js.key_value(CATALOG_BUCKET)
    await bucket.put("revision.2", b"from another time")
    await bucket.put("current", b"2")
    async with serving(store, js, nats_url) as system:
        await ready(system)
        assert (await system.decide("ada")).catalog_revision == 1
        assert "cannot be read" in (await reported(store, in_use=1, refused=2)).because


async def test_where_no_catalogue_can_be_used_the_service_lives_and_takes_the_first_that_can(
    store: CatalogStore, js: JetStreamContext, nats_url: str
) -> None:
    await store.apply(BROKEN)
    await store.apply(BROKEN)
    async with serving(store, js, nats_url) as system:
        await reported(store, in_use=0, refused=2)
        assert (await probe(system.address)).healthy
        assert not (await probe(system.address, SERVICE)).healthy
        assert await system.apply(GOOD) == 3


async def test_an_arm_whose_revision_is_not_there_is_left_out_and_its_customers_get_what_everybody_gets(
    store: CatalogStore, js: JetStreamContext, nats_url: str
) -> None:
    await store.apply(GOOD)
    await store.apply(with_arm(99))
    for _ in range(2):  # a restart is no different
        async with serving(store, js, nats_url) as system:
            await ready(system)
            decisions = [await system.decide(f"customer-{number}") for number in range(20)]
            assert {one.catalog_revision for one in decisions} == {2}
            assert all(actions(one) == ["new"] for one in decisions)
            counted = [dict(one.experiments) for one in decisions]
            assert {"e": "now"} in counted
            assert {} in counted
            assert {"e": "then"} not in counted


async def test_an_arm_whose_revision_does_not_compile_is_left_out(
    store: CatalogStore, js: JetStreamContext, nats_url: str
) -> None:
    await store.apply(BROKEN)
    await store.apply(with_arm(1))
    async with serving(store, js, nats_url) as system:
        await ready(system)
        decisions = [await system.decide(f"customer-{number}") for number in range(20)]
        assert {one.catalog_revision for one in decisions} == {2}
        assert {one.experiments.get("e", "") for one in decisions} == {"now", ""}


@pytest.mark.skipif(sys.platform != "linux", reason="processes that share a port need Linux")
async def test_all_workers_start_on_the_last_good_catalogue(
    store: CatalogStore, js: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    await store.apply(GOOD)
    await store.apply(BROKEN)
    async with running_workers(nats_url, tmp_path / "log") as running:
        await eventually(lambda: len(running.listening()) == 2, "both listen")
        assert (await probe(running.address, SERVICE)).healthy
        assert [line["revision"] for line in running.lines("catalog_in_use")] == [1, 1]


LINES = [
    "channels: {web: {}}",
    "placements: {hero: {channel: web}}",
    "issues:",
    "  - id: sales",
    "    groups:",
    "      - id: shoes",
    "        actions:",
    "          - {id: red-shoes, treatments: [{id: a, placements: [hero]}]}",
    "experiments:",
    "  - id: autumn",
    "    arms:",
    "      now: {share: 0.5}",
    "      then: {share: 0.5, catalog: 99}",
]


def written(directory: Path, lines: list[str]) -> str:
    file = directory / "shop.yaml"
    file.write_text("\n".join(lines))
    return str(file)


async def applied(system: System, file: str, *more: str) -> Result:
    """`wayline catalog apply`, in a thread: it runs its own event loop."""
    where = ["--nats", system.nats_url, "--decision", system.address]
    return await asyncio.to_thread(CliRunner().invoke, app, ["catalog", "apply", file, *where, *more])


async def test_apply_waits_until_decisions_use_it(
    store: CatalogStore, js: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    async with serving(store, js, nats_url) as system:
        result = await applied(system, written(tmp_path, LINES[:8]), "--json")
        said: dict[str, Any] = json.loads(result.stdout[result.stdout.index("{") :])  # after the log of the service
        assert (said["revision"], said["in_use"]) == (1, True)
        assert (await system.decide("ada")).catalog_revision == 1
        assert (
            "Revision 2 serves: 1 actions" in (await applied(system, written(tmp_path, ["name: b", *LINES[:8]]))).stdout
        )
        again = await applied(system, written(tmp_path, ["name: b", *LINES[:8]]))
        assert (again.stdout, again.stderr) == ("Nothing to do: the current revision 2 is the same.\n", "")


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        (99, "there is no revision 99 of the catalogue (the current one is 2)"),
        (1, "revision 1 of the catalogue cannot"),
    ],
    ids=["not there", "does not compile"],
)
async def test_apply_refuses_an_arm_whose_revision_cannot_decide(
    revision: int, said: str, store: CatalogStore, nats_url: str, js: JetStreamContext, tmp_path: Path
) -> None:
    await store.apply(BROKEN)
    await store.apply(GOOD)
    file = written(tmp_path, [*LINES[:-1], LINES[-1].replace("99", str(revision))])
    result = await applied(System(None, js, store, "127.0.0.1:1", nats_url), file)
    assert result.exit_code == 1
    assert f"{file}:13:35: experiments[autumn].arms.then.catalog: {said}" in result.stderr
    assert await store.current_revision() == 2
    file = written(tmp_path, [*LINES[:-1], LINES[-1].replace("99", "2")])
    assert (await applied(System(None, js, store, "127.0.0.1:1", nats_url), file)).exit_code == 0


async def test_apply_tells_what_the_service_refuses(
    store: CatalogStore, js: JetStreamContext, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checks find it first, so they are made to find nothing."""
    monkeypatch.setattr("wayline.catalog.load.check", lambda _: [])
    async with serving(store, js, nats_url) as system:
        await system.apply(GOOD)
        rule = LINES[7].replace("id: red-shoes", "id: red-shoes, eligibility: profile.nonsense == 1")
        result = await applied(system, written(tmp_path, [*LINES[:7], rule]))
        assert result.exit_code == 1
        assert "Revision 2 is stored" in result.stdout
        assert "refuses revision 2 and goes on with revision 1" in " ".join(result.stderr.split())
        assert (await system.decide("ada")).catalog_revision == 1


async def test_where_it_is_not_known_where_the_arm_is_written_it_is_told_and_the_catalogue_applied(
    store: CatalogStore, nats_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `wayline up --catalog` does, which would start nothing otherwise."""
    assert await apply_if_new(with_arm(99), nats_url) == (1, True)
    assert "arm 'then': there is no revision 99 of the catalogue (none was applied yet)" in capsys.readouterr().err
