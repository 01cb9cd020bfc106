"""What all tests share: a real NATS server, emptied before each test, and PostgreSQL."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import nats
import pytest
from nats.js import JetStreamContext
from tests.support.nats import NatsServer
from tests.support.postgres import PostgresServer

# Tests start services hundreds of times, each in a third of the time when no module is compiled anew. For whoever
# wants no bytecode beside the sources it is kept in build/.
if sys.dont_write_bytecode:
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(Path(__file__).parents[1] / "build" / "bytecode")
    os.environ["PYTHONDONTWRITEBYTECODE"] = ""
    sys.dont_write_bytecode = False

# How long an example takes says nothing about it on a machine that does something else as well.
hypothesis.settings.register_profile("wayline", deadline=None)
hypothesis.settings.load_profile("wayline")


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One server for the whole run. A test that kills a server starts its own `NatsServer`."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    """Where the run's server listens, with no stream, bucket or object store yet."""
    nats_server.empty()
    return nats_server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for the whole run; each test makes a database of its own. A test that kills a server starts one."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
async def js(nats_url: str) -> AsyncIterator[JetStreamContext]:
    """JetStream on the run's server."""
    client = await nats.connect(nats_url)
    yield client.jetstream()
    await client.close()
