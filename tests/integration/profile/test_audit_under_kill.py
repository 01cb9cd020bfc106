"""The audit log holds when the profile service is killed: no entry lost that was answered, no gap, no fork."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import nats
from nats.js import JetStreamContext
from tests.support.events import track
from tests.support.ports import free_port
from tests.support.profile import make_event_stream, publish
from typer.testing import CliRunner

from wayline.audit import Line, entries
from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.cli import app
from wayline.v1 import events_pb2, privacy_pb2, privacy_pb2_grpc, profile_pb2, profile_pb2_grpc

ADA = events_pb2.Identifier(kind="user_id", value="ada")
READERS = 6
KILLS = 4
PATIENCE_SECONDS = 60.0


@asynccontextmanager
async def a_process(nats_url: str, data: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service; killed at the end, whatever it is doing."""
    with (data / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wayline_profile"),
            stdout=log,
            stderr=log,
            env={
                **os.environ,
                "WAYLINE_NATS_URL": nats_url,
                "WAYLINE_PROFILE_DATA": str(data / "store"),
                "WAYLINE_PROFILE_PORT": str(port),
            },
        )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def read_profile(channel: grpc.aio.Channel, actor: str) -> bool:
    """Whether the service answered, which it does once it is written down."""
    request = profile_pb2.GetProfileRequest(customer=ADA)
    stub = profile_pb2_grpc.ProfileServiceStub(channel)
    try:
        await stub.GetProfile(request, timeout=5, metadata=[("wayline-actor", actor)])
    except grpc.aio.AioRpcError as error:
        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.CANCELLED):
            raise
        return False
    return True


async def read_for_ever(port: int, reader: int, answered: set[str]) -> None:
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{port}", options=[("grpc.max_reconnect_backoff_ms", 50)]
    ) as channel:
        for number in range(1_000_000):
            actor = f"reader-{reader}-{number}"
            if await read_profile(channel, actor):
                answered.add(actor)
            else:
                await asyncio.sleep(0.02)


async def more_than(answered: set[str], count: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(answered) <= count:
            await asyncio.sleep(0.005)


async def erase(port: int) -> str:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = privacy_pb2_grpc.PrivacyServiceStub(channel)
        request = privacy_pb2.EraseCustomerRequest(
            customer=events_pb2.Identifier(kind="user_id", value="bob"), reason="4711"
        )
        return (await stub.EraseCustomer(request, timeout=20)).erasure_id


async def finished(port: int, erasure_id: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = privacy_pb2_grpc.PrivacyServiceStub(channel)
        request = privacy_pb2.GetErasureRequest(erasure_id=erasure_id)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (await stub.GetErasure(request, timeout=20, wait_for_ready=True)).receipt:
                await asyncio.sleep(0.05)


async def test_what_was_answered_is_written_down_and_the_chain_holds(
    js: JetStreamContext, nats_url: str, tmp_path: Path
) -> None:
    await make_event_stream(js)
    await (await open_store(js)).apply(Catalog.model_validate({"traits": {}}))
    await publish(js, [track("Viewed", user=name) for name in ("ada", "bob")])
    chance, port, answered = random.Random(7), free_port(), set[str]()
    readers = [asyncio.create_task(read_for_ever(port, reader, answered)) for reader in range(READERS)]
    erasures = []
    for _ in range(KILLS):
        async with a_process(nats_url, tmp_path, port):
            await more_than(answered, len(answered) + chance.randint(5, 60))
            erasures.append(await erase(port))
            await more_than(answered, len(answered) + chance.randint(5, 60))
    async with a_process(nats_url, tmp_path, port):
        await asyncio.gather(*(finished(port, one) for one in erasures))
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    lines = await written(nats_url)
    assert all(line.intact for line in lines)
    assert [line.sequence for line in lines] == list(range(1, len(lines) + 1))
    assert len({line.entry.previous for line in lines}) == len(lines), "no two entries follow the same one"
    reads = [line.entry.actor for line in lines if line.entry.action == "profile.read"]
    assert answered <= set(reads)
    assert len(reads) == len(set(reads))
    for one in erasures:
        of_it = [line.entry.action for line in lines if line.entry.facts.get("erasure") == one]
        # One that was killed before it could keep the receipt has written down once more that it erased.
        assert of_it[0] == "customer.erase"
        assert set(of_it[1:]) == {"customer.erased"}
    verified = await asyncio.to_thread(CliRunner().invoke, app, ["audit", "verify", "--nats", nats_url])
    assert verified.exit_code == 0, verified.output
    assert f"{len(lines):,} entries: the chain holds" in verified.output


async def written(nats_url: str) -> list[Line]:
    client = await nats.connect(nats_url)
    lines = [line async for line in entries(client)]
    await client.close()
    return lines
