"""What the end-to-end tests share: the whole system with the shoe shop, started once for each module that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.system import System, connected

from wayline.catalog.examples import example_path
from wayline.cluster import Cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Every service on free ports. Tests that use it run in the module's event loop."""
    async with Cluster(tmp_path_factory.mktemp("shop")) as cluster, connected(cluster) as system:
        await system.apply(example_path("shoe-shop"))
        yield system
