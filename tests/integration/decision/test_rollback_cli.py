"""`wayline catalog rollback`, followed by a running decision service."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.decision.conftest import System
from tests.support.decisions import a_catalog, an_action
from typer.testing import CliRunner, Result

from wayline.cli import app

OLDER, GOOD = a_catalog([an_action("older")]), a_catalog([an_action("good")])
BROKEN = a_catalog(
    [an_action("good", eligibility={"rule": "profile.nothing > 1", "because": "There is no such trait"})]
)


async def wayline(system: System, *arguments: str) -> Result:
    where = ["--nats", system.nats_url, "--decision", system.address]
    return await asyncio.to_thread(CliRunner().invoke, app, ["catalog", *arguments, *where], env={"COLUMNS": "200"})


async def decided(system: System) -> str:
    return (await system.decide("ada")).placements[0].selections[0].action


async def test_going_back_ends_when_the_decision_service_decides_so(system: System) -> None:
    await system.apply(OLDER)
    await system.apply(GOOD)
    assert await decided(system) == "good"

    result = await wayline(system, "rollback")

    assert result.exit_code == 0, result.output
    assert "Revision 3 serves, as revision 1 was: 1 actions" in result.stdout
    assert await decided(system) == "older"


@pytest.mark.parametrize("refused", [1, 2])
async def test_from_a_revision_that_is_refused_one_goes_back_to_what_decides(system: System, refused: int) -> None:
    await system.apply(OLDER)
    await system.apply(GOOD)
    for _ in range(refused):
        current = await system.catalogs.apply(BROKEN)
    async with asyncio.timeout(20):
        while (await system.catalogs.uptake()).refused != current:
            await asyncio.sleep(0.01)

    result = await wayline(system, "rollback")

    assert f"Revision {current + 1} serves, as revision 2 was" in result.stdout, result.output
    assert await decided(system) == "good"
    assert (await system.catalogs.uptake()).refused == 0
