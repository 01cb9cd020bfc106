from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext
from tests.support.models import linear_model, manifest
from tests.support.nats import NatsServer

from wayline import bus, registry
from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.errors import LimitExceeded, NotFound, Poison, Precondition, Retryable
from wayline.registry import Registry, open_registry
from wayline.v1 import prediction_pb2

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
MANIFEST = manifest(traits=["a", "b"])
ONNX = linear_model([1.0, 2.0])
PATIENCE_SECONDS = 30.0


async def register(
    models: Registry, name: str = "accept", onnx: bytes = ONNX, promote: bool = False
) -> prediction_pb2.Model:
    return await models.register(manifest(name, traits=["a", "b"]), onnx, NOW, promote)


async def files(js: JetStreamContext) -> list[str]:
    return sorted(str(one.name) for one in await (await js.object_store(bus.MODEL_BUCKET)).list(ignore_deletes=True))


async def test_what_was_registered_comes_back_with_its_file(js: JetStreamContext) -> None:
    models = await open_registry(js)
    model = await models.register(MANIFEST, ONNX, NOW, False)
    assert [one.version for one in model.versions] == [1]
    assert (model.champion, model.versions[0].size_bytes) == (0, len(ONNX))
    version, onnx = await models.fetch("accept", 1)
    assert onnx == ONNX
    assert version == model.versions[0]
    assert version.manifest == MANIFEST
    assert version.sha256 == sha256(ONNX).hexdigest()
    assert version.registered_at.ToDatetime(UTC) == NOW
    assert await models.get("accept") == model


async def test_models_are_listed_by_name_and_none_is_an_empty_list(js: JetStreamContext) -> None:
    models = await open_registry(js)
    assert await models.list() == []
    for name in ("b-model", "a_model", "c"):
        await register(models, name)
    assert [one.name for one in await models.list()] == ["a_model", "b-model", "c"]


async def test_two_registrations_at_once_both_survive(js: JetStreamContext) -> None:
    models = await open_registry(js)
    contents = [linear_model([float(i), 1.0]) for i in range(6)]
    await asyncio.gather(*(register(models, onnx=onnx) for onnx in contents))
    model = await models.get("accept")
    assert [one.version for one in model.versions] == [1, 2, 3, 4, 5, 6]
    found = [(await models.fetch("accept", number))[1] for number in range(1, 7)]
    assert sorted(found) == sorted(contents)
    assert len(await files(js)) == 6, "the losers of the race cleaned up after themselves"


async def test_two_registrations_of_the_same_file_at_once_both_survive(js: JetStreamContext) -> None:
    models = await open_registry(js)
    await asyncio.gather(*(register(models) for _ in range(4)))
    assert [one.version for one in (await models.get("accept")).versions] == [1, 2, 3, 4]
    for number in range(1, 5):
        assert (await models.fetch("accept", number))[1] == ONNX


async def test_a_registration_and_a_promotion_at_once_both_survive(js: JetStreamContext) -> None:
    models = await open_registry(js)
    await register(models)
    await asyncio.gather(register(models), models.promote("accept", 1), register(models))
    model = await models.get("accept")
    assert (len(model.versions), model.champion) == (3, 1)


async def test_two_services_that_start_at_once_open_the_same_registry(js: JetStreamContext) -> None:
    opened = await asyncio.gather(*(open_registry(js) for _ in range(4)))
    await register(opened[0])
    assert (await opened[3].get("accept")).versions[0].version == 1


async def test_promotion_and_rollback_walk_back_through_the_champions(js: JetStreamContext) -> None:
    models = await open_registry(js)
    for _ in range(3):
        await register(models)
    for version in (1, 3, 2):
        assert (await models.promote("accept", version)).champion == version
    assert list((await models.get("accept")).former_champions) == [1, 3]
    assert (await models.rollback("accept")).champion == 3
    assert (await models.rollback("accept")).champion == 1
    with pytest.raises(Precondition, match="no former champion"):
        await models.rollback("accept")


async def test_what_is_not_known_is_said_to_be_so(js: JetStreamContext) -> None:
    models = await open_registry(js)
    for call in (models.get("ghost"), models.promote("ghost", 1), models.rollback("ghost"), models.fetch("ghost", 1)):
        with pytest.raises(NotFound, match="model 'ghost' is not known"):
            await call
    await register(models)
    for call in (models.promote("accept", 7), models.fetch("accept", 7)):
        with pytest.raises(NotFound, match="no version 7"):
            await call


async def test_a_file_that_was_changed_behind_our_back_is_not_used(js: JetStreamContext) -> None:
    models = await open_registry(js)
    await register(models)
    (name,) = await files(js)
    await (await js.object_store(bus.MODEL_BUCKET)).put(name, linear_model([9.0, 9.0]))
    with pytest.raises(Poison, match="not the one that was registered"):
        await models.fetch("accept", 1)


async def test_a_file_that_a_killed_process_left_behind_is_no_version(js: JetStreamContext) -> None:
    models = await open_registry(js)
    await (await js.object_store(bus.MODEL_BUCKET)).put(f"accept/1-{sha256(ONNX).hexdigest()[:16]}", b"half")
    assert await models.list() == []
    await register(models)
    assert (await models.fetch("accept", 1))[1] == ONNX


async def test_a_sweep_deletes_what_killed_processes_left_behind_and_nothing_else(js: JetStreamContext) -> None:
    models = await open_registry(js)
    await register(models)
    await register(models, onnx=linear_model([3.0, 4.0]))
    store = await js.object_store(bus.MODEL_BUCKET)
    await store.put("accept/3-0123456789abcdef", ONNX)  # killed before the entry was written
    await js.publish(f"$O.{bus.MODEL_BUCKET}.C.half", bytes(1_000))  # killed in the middle of the file
    assert await models.sweep(datetime.now(UTC) - timedelta(minutes=10)) == 0, "they may be under way"
    assert await models.sweep(datetime.now(UTC) + timedelta(minutes=10)) == 2
    assert len(await files(js)) == 2
    for number in (1, 2):
        await models.fetch("accept", number)
    messages = (await store.status()).stream_info.state.messages
    assert messages == 4, "of each file one part and its description"
    assert await models.sweep(datetime.now(UTC) + timedelta(minutes=10)) == 0


async def test_a_sweep_of_nothing_is_no_error(js: JetStreamContext) -> None:
    assert await (await open_registry(js)).sweep(datetime.now(UTC)) == 0


async def test_a_full_store_refuses_and_keeps_what_it_has(js: JetStreamContext) -> None:
    models = await open_registry(js, max_bytes=1 << 20)
    await register(models)
    with pytest.raises(LimitExceeded, match="registry is full"):
        await register(models, onnx=bytes(1 << 20))
    assert [one.version for one in (await models.get("accept")).versions] == [1]
    assert (await models.fetch("accept", 1))[1] == ONNX
    await register(models)


async def test_the_oldest_versions_make_room_and_their_files_go_with_them(
    js: JetStreamContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_VERSIONS", 4)
    models = await open_registry(js)
    await register(models)
    await register(models, promote=True)
    for _ in range(4):
        await register(models)
    model = await models.get("accept")
    assert [one.version for one in model.versions] == [2, 4, 5, 6]
    assert [name.split("-")[0] for name in await files(js)] == ["accept/2", "accept/4", "accept/5", "accept/6"]


async def test_an_entry_stays_within_one_message_however_large_its_manifests_are(
    js: JetStreamContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_PLAIN_BYTES", 2_000)
    models = await open_registry(js)
    for _ in range(30):
        model = await register(models)
    assert model.ByteSize() <= 2_000
    assert model.versions[-1].version == 30
    assert 1 < len(model.versions) < 30


async def eventually(check: Callable[[], Awaitable[bool] | bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            result = check()
            if result if isinstance(result, bool) else await result:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    with NatsServer(tmp_path / "nats") as server:
        yield server


async def test_a_watch_gives_each_model_and_each_change_also_after_nats_was_killed(own_server: NatsServer) -> None:
    async with bus.connect(own_server.url, "writer") as writer, bus.connect(own_server.url, "reader") as reader:
        models = await open_registry(writer.jetstream(timeout=1))
        watched = await open_registry(reader.jetstream(timeout=1))
        await register(models, "first")
        seen: list[tuple[str, int, int]] = []

        async def watch() -> None:
            async with aclosing(watched.watch()) as changes:
                async for model in changes:
                    facts = (model.name, len(model.versions), model.champion)
                    seen.append(facts)

        watching = asyncio.create_task(watch())
        await eventually(lambda: seen == [("first", 1, 0)])
        await models.promote("first", 1)
        await eventually(lambda: seen[1:] == [("first", 1, 1)])
        for _ in range(2):
            own_server.kill()
            with pytest.raises(Retryable):
                await models.get("first")
            own_server.start()

            async def registered() -> bool:
                try:
                    await register(models, "second")
                except Retryable:
                    return False
                return True

            await eventually(registered)
            versions = len((await models.get("second")).versions)
            await eventually(lambda versions=versions: seen[-1] == ("second", versions, 0))
        assert seen.count(("first", 1, 1)) == 1, "what was seen is not given again"
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_catalogue_watch_also_survives_a_kill_of_nats(own_server: NatsServer) -> None:
    async with bus.connect(own_server.url, "both") as client:
        store = await open_store(client.jetstream(timeout=1))
        seen: list[int] = []

        async def watch() -> None:
            async with aclosing(store.watch()) as revisions:
                async for revision, _ in revisions:
                    seen.append(revision)

        watching = asyncio.create_task(watch())
        await store.apply(Catalog())
        await eventually(lambda: seen == [1])
        own_server.kill()
        own_server.start()

        async def applied() -> bool:
            try:
                await store.apply(Catalog(name="second"))
            except (nats.errors.Error, OSError):
                return False
            return True

        await eventually(applied)
        revision = await store.current_revision()
        await eventually(lambda: seen[-1] == revision)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_watch_ends_with_its_connection(js: JetStreamContext, nats_url: str) -> None:
    async with bus.connect(nats_url, "short") as client:
        models = await open_registry(client.jetstream())
        await register(models)
        changes = models.watch()
        assert (await anext(changes)).name == "accept"
    with pytest.raises(nats.errors.ConnectionClosedError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await anext(changes)
