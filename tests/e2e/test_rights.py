"""A data protection officer at work, by the command line; and what the logs say of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.people import Person
from tests.support.system import System, connected

from wayline.catalog.examples import example_path
from wayline.cluster import Cluster
from wayline.v1 import decision_pb2, profile_pb2
from wayline.v1.events_pb2 import Identifier

pytestmark = pytest.mark.e2e


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[System]:
    async with Cluster(data, env={"WAYLINE_LOG_LEVEL": "DEBUG"}) as cluster, connected(cluster) as system:
        await system.apply(example_path("shoe-shop"))
        yield system


async def run(system: System, *arguments: str) -> str:
    code, said = await system.wayline(*arguments)
    assert code == 0, said
    return said


async def folded(system: System) -> None:
    async with asyncio.timeout(30):
        while (await system.profile.GetStatistics(profile_pb2.GetStatisticsRequest(), timeout=20)).lag:
            await asyncio.sleep(0.05)


async def test_export_restriction_and_erasure_by_the_command_line_and_no_word_of_it_in_the_logs(tmp_path: Path):
    ada, bob = Person("adalovelace"), Person("bobbabbage")
    by_user = f"user_id:{ada.user}"
    async with running(tmp_path / "data") as system:
        await system.collect(*bob.events())
        results = await system.collect(*ada.events())
        await folded(system)
        await system.decide(Identifier(kind="user_id", value=ada.user), at_least=[one.token for one in results[:-1]])
        await system.decide(Identifier(kind="user_id", value=bob.user))
        await recorded(system, ada)

        await run(system, "customers", "show", f"email:{ada.email.upper()}", "--as", "ann")
        await run(system, "customers", "export", by_user, "-o", str(tmp_path / "ada.json"), "--reason", "request 1")
        held = json.loads((tmp_path / "ada.json").read_text())
        check_export(held, ada, bob)

        await run(system, "customers", "restrict", by_user, "--reason", "contested")
        await folded(system)
        restricted = await system.profile.GetProfile(
            profile_pb2.GetProfileRequest(customer=Identifier(kind="email", value=ada.email)), timeout=20
        )
        assert restricted.profile.restricted.holds
        answer = await system.decide(Identifier(kind="user_id", value=ada.user))
        assert answer.personalisation != decision_pb2.PERSONALISATION_FULL
        await run(system, "customers", "release", by_user, "--reason", "settled")

        code, said = await system.wayline("customers", "erase", by_user, "--yes", "--reason", f"of {ada.email}")
        assert (code, "expected no identifier of the customer" in said) == (1, True)
        receipt = tmp_path / "receipt.json"
        await run(system, "customers", "erase", by_user, "--yes", "--reason", "request 2", "-o", str(receipt))
        assert "Genuine" in await run(system, "receipts", "verify", str(receipt))
        receipt.write_text(receipt.read_text().replace('"not_done":[]', '"not_done":["?"]'))
        code, said = await system.wayline("receipts", "verify", str(receipt))
        assert (code, "was changed" in said) == (1, True)

        code, said = await system.wayline("customers", "export", by_user, "-o", str(tmp_path / "again.json"))
        assert (code, "no profile has this" in said) == (1, True)
        await audited(system, ada)
        assert "1 of 1" in await run(system, "customers", "readmit", by_user, "--reason", "request 3", "--as", "ann")
        code, said = await system.wayline("customers", "readmit", by_user, "--reason", "request 3")
        assert (code, "none of them is suppressed" in said) == (1, True)
    assert not [line for line in log_lines(tmp_path / "data") if any(one in line for one in words_of(ada, bob))]


async def recorded(system: System, person: Person) -> None:
    """Records reach their stream a moment after the answer."""
    async with asyncio.timeout(30):
        while "decision_id" not in await run(system, "customers", "export", f"user_id:{person.user}", "-o", "-"):
            await asyncio.sleep(0.1)


def check_export(held: dict[str, Any], ada: Person, bob: Person) -> None:
    assert {one["value"] for one in held["profile"][0]["identifiers"]} == {
        *(ada.user, ada.email.lower(), ada.phone, ada.browser, ada.other_browser)
    }
    assert len(held["events"]) == len(ada.events()) - 1
    assert held["profile"][0]["consents"]["personalisation"]["granted"] is True
    assert held["profile"][0]["consents"]["personalisation"]["source"] == "banner"
    assert len(held["decisions"]) == 1
    assert len(held["dead_letters"]) == 1
    assert held["merges"]
    assert {"profile.read", "customer.export"} <= {one["action"] for one in held["audit"]}
    text = json.dumps(held)
    assert not any(one in text for one in bob.identifiers)


async def audited(system: System, person: Person) -> None:
    listed = json.loads(await run(system, "audit", "list", "--customer", f"user_id:{person.user}", "--json"))
    actions = [one["action"] for one in listed]
    assert next(one["actor"] for one in listed if one["action"] == "profile.read") == "ann"
    assert actions[-2:] == ["customer.erase", "customer.erased"]
    assert {"customer.restrict", "customer.release", "customer.export"} <= set(actions)
    assert "the chain holds" in await run(system, "audit", "verify")


def words_of(*people: Person) -> set[str]:
    """Identifiers, and what else is the customer's own; logs do not say in which case they write."""
    return {word.lower() for one in people for word in (*one.identifiers, "Europe/Paris")}


def log_lines(data: Path) -> list[str]:
    lines = [line.lower() for path in (data / "logs").iterdir() for line in path.read_text().splitlines()]
    assert len(lines) > 20, "the services have written logs"
    return lines
