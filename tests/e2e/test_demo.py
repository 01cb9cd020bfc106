"""`wayline demo`, as a newcomer types it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.system import System, connected

from wayline.catalog.examples import example_path
from wayline.cluster import Cluster

pytestmark = pytest.mark.e2e
WAYLINE = str(Path(sys.executable).with_name("wayline"))


@pytest.fixture(scope="module")
def steps() -> list[dict[str, Any]]:
    """What the journey printed."""
    ran = subprocess.run([WAYLINE, "demo", "--once", "--json"], check=True, capture_output=True, timeout=100)
    found: list[dict[str, Any]] = json.loads(ran.stdout)["steps"]
    return found


def test_each_step_says_what_was_decided_where_and_why(steps: list[dict[str, Any]]):
    assert {frozenset(step) for step in steps} == {
        frozenset({"name", "placement", "actions", "content", "reasons", "ms", "decision_id"})
    }
    assert all(step["actions"] and step["content"] and step["reasons"] and step["ms"] > 0 for step in steps)
    assert len({step["decision_id"] for step in steps}) == len(steps)
    assert {step["placement"] for step in steps} == {"web.hero", "web.list", "chat.suggestion", "email.offer"}


def test_the_hero_is_not_about_red_shoes_before_she_looked_at_any(steps: list[dict[str, Any]]):
    before, _, _ = heroes(steps)
    assert before["actions"] != ["red-shoes"]
    assert before["reasons"] == ["contextual: the customer is not known"]


def test_after_red_shoes_the_hero_is_about_red_shoes_and_says_why(steps: list[dict[str, Any]]):
    _, after, _ = heroes(steps)
    assert after["actions"] == ["red-shoes"]
    assert after["content"]["title"] == "Red is your colour"
    assert after["reasons"] == ["Looked at red shoes lately"]


def test_after_consent_was_withdrawn_the_hero_is_what_everybody_sees_and_says_why(steps: list[dict[str, Any]]):
    before, _, withdrawn = heroes(steps)
    assert withdrawn["actions"] == before["actions"]
    assert withdrawn["content"] == before["content"]
    assert withdrawn["reasons"] == ["contextual: no consent for personalisation: the customer said no"]


def test_after_the_sign_in_an_email_offer_is_made_with_its_conditions(steps: list[dict[str, Any]]):
    (offer,) = (step for step in steps if step["placement"] == "email.offer")
    assert len(offer["actions"]) == 1
    assert "red" in offer["content"]["subject"]


async def test_what_an_outdated_app_sent_is_found_in_the_quality_report_and_among_the_dead_letters(tmp_path: Path):
    async with (
        Cluster(tmp_path, env={"WAYLINE_QUALITY_INTERVAL_SECONDS": "0.2"}) as cluster,
        connected(cluster) as shop,
    ):
        await shop.apply(example_path("shoe-shop"))
        code, said = await shop.wayline("demo")
        assert code == 0, said
        assert "wayline quality report" in said
        rows = await reported(shop)
        _, dead_letters = await shop.wayline("rejected", "list")
    assert rows["outdated-app", "Product Viewed"]["unplanned_properties"] == {"colour": 1}
    assert rows["outdated-app", "Product Viewed"]["flagged"] == 1
    assert rows["outdated-app", "Order Completed"]["refused"] == {"violation": 1}
    assert [one["flagged"] for (source, _), one in rows.items() if source == "guided-journey" and one["flagged"]] == []
    assert "version 1 of 'Order Completed'" in " ".join(dead_letters.split())


async def test_the_journey_and_the_first_decision_end_with_commands_that_explain(tmp_path: Path):
    async with Cluster(tmp_path) as cluster, connected(cluster) as shop:
        await shop.apply(example_path("shoe-shop"))
        _, journey = await shop.wayline("demo")
        first = await asyncio.to_thread(first_decision, shop)
        explained = [await shop.wayline(*command) for command in (explaining(journey), explaining(first))]
    assert [code for code, _ in explained] == [0, 0]
    assert "no consent" in explained[0][1]
    assert "Looked at blue shoes lately" in first
    assert "blue-shoes" in explained[1][1]


def first_decision(shop: System) -> str:
    """What the example prints, sent to this system."""
    program = (Path(__file__).parents[2] / "examples" / "first_decision.py").read_text()
    program = program.replace("127.0.0.1:7001", shop.addresses.ingestion)
    program = program.replace("127.0.0.1:7004", shop.addresses.decision)
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def explaining(said: str) -> list[str]:
    """The command that was printed, without `wayline`."""
    (command,) = re.findall(r"wayline (decisions show [0-9a-f]+)", said)
    return str(command).split()


async def reported(shop: System) -> dict[tuple[str, str], dict[str, Any]]:
    """The report, as soon as it tells of the outdated app: figures are published now and then."""
    async with asyncio.timeout(30):
        while True:
            code, said = await shop.wayline("quality", "report", "--since", "1h", "--json")
            assert code == 0, said
            rows = {(one["source"], one["event"]): one for one in json.loads(said)["rows"]}
            if {("outdated-app", "Order Completed"), ("outdated-app", "Product Viewed")} <= rows.keys():
                return rows


def heroes(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The hero at first, after the red shoes, and after consent was withdrawn."""
    return [step for step in steps if step["placement"] == "web.hero"]
