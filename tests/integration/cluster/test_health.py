"""The probe of containers and supervisors: `python -m wayline.health`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from wayline.cluster import free_ports
from wayline.health import probe, probe_nats
from wayline.lifecycle import aio_server
from wayline.settings import Settings

SERVICE = "wayline.v1.ProfileService"
PORT = free_ports().profile
ADDRESS = f"127.0.0.1:{PORT}"


@pytest.fixture
async def served() -> AsyncIterator[None]:
    """A server that lives, but is not ready for traffic."""
    async with aio_server(Settings(), PORT, SERVICE, lambda server: None) as health:
        await health.set_ready(False)
        yield


async def run(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wayline.health", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, told = await process.communicate()
    return process.returncode, said.decode().strip(), told.decode().strip()


async def test_a_process_that_lives_ends_the_probe_with_0(served: None):
    assert await run(ADDRESS) == (0, "serving", "")


async def test_a_service_that_is_not_ready_ends_the_probe_with_1(served: None):
    assert await run(ADDRESS, "--service", SERVICE) == (1, "", "not serving")


async def test_nobody_there_ends_the_probe_with_1():
    assert await run(ADDRESS) == (1, "", f"nothing answers at {ADDRESS}")


async def test_a_service_that_the_server_does_not_know_is_named(served: None):
    found = await probe(ADDRESS, "wayline.v1.NoService")
    assert (found.healthy, found.detail) == (False, "the server does not know the service 'wayline.v1.NoService'")


async def test_a_nats_server_with_jetstream_is_well(nats_url: str):
    found = await probe_nats(nats_url)
    assert found.healthy
    assert found.detail.startswith("serving, version ")


async def test_something_else_at_the_address_of_nats_is_not_taken_for_it():
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ready\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await probe_nats(f"nats://127.0.0.1:{port}")
    assert (found.healthy, found.detail) == (False, "something else than NATS listens there")


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever():
    released = asyncio.Event()

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(keep_silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await probe_nats(f"nats://127.0.0.1:{port}", timeout_seconds=0.1)
        released.set()
    assert (found.healthy, found.detail) == (False, "no answer within 0.1 s")
