"""`wayline simulate`, from the command line down to the streams of a real NATS server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from nats.js import JetStreamContext
from tests.integration.decision.conftest import System
from tests.support.decisions import a_catalog, an_action
from tests.support.events import track
from tests.support.models import linear_model, manifest
from tests.support.profile import make_event_stream, publish
from tests.support.records import a_record, make_decision_stream, publish_records

from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.registry import open_registry

ACTIONS = [an_action("red", value=2), an_action("blue", value=1)]
CATALOG = a_catalog(ACTIONS)


async def simulate(nats_url: str, *arguments: str) -> tuple[int, str, str]:
    """Run the command: exit code, standard output and standard error."""
    code = "from wayline.cli import main; main()"
    command = [sys.executable, "-c", code, "simulate", "--nats", nats_url, *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def written(path: Path, catalog: Catalog) -> str:
    path.write_text(yaml.safe_dump(catalog.model_dump(mode="json", by_alias=True, exclude_unset=True)))
    return str(path)


@pytest.fixture
async def recorded(js: JetStreamContext) -> JetStreamContext:
    """600 decisions of the last hour: a third showed blue, and half of those were clicked."""
    await make_event_stream(js)
    await make_decision_stream(js)
    await (await open_store(js)).apply(CATALOG)
    at = datetime.now(UTC) - timedelta(minutes=30)
    records = []
    for number in range(600):
        action, probability = ("blue", 1 / 3) if number % 3 == 0 else ("red", 2 / 3)
        tier = {"tier": "gold" if number % 2 else "silver"}
        records.append(a_record(CATALOG, {"hero": [action]}, probability=probability, profile=tier, at=at))
    await publish_records(js, records)
    clicked = [one for one in records if one.selections[0].action == "blue"][::2]
    await publish(js, [track("Click", {"decision_id": one.decision_id, "action": "blue"}) for one in clicked])
    return js


async def test_it_says_what_would_change_and_what_that_is_worth(
    recorded: JetStreamContext, nats_url: str, tmp_path: Path
):
    catalog = written(tmp_path / "new.yaml", a_catalog([an_action("red", value=1), an_action("blue", value=2)]))
    code, said, _ = await simulate(nats_url, "--catalog", catalog, "--since", "1h", "--segment", "tier", "--json")
    assert code == 0
    found = json.loads(said)
    assert found["changes"]["decisions"] == {"decisions": 600, "changed": 400, "share": pytest.approx(2 / 3)}
    assert found["changes"]["actions"]["blue"] == {"before": 200, "after": 600, "gained": 400, "lost": 0}
    assert set(found["changes"]["segments"]["tier"]) == {"gold", "silver"}
    value = found["value"]
    assert (value["reward"], value["outcomes"], value["slots"], value["unsupported"]) == ("click", 100, 600, 0)
    assert value["later_slots"] == []
    assert value["recorded"]["value"] == pytest.approx(1 / 6)
    for name in ("ips", "snips"):
        assert value["new"][name]["value"] == pytest.approx(0.5)
    for one in value["new"].values():
        assert one["low"] < 0.5 < one["high"]


async def test_people_get_tables(recorded: JetStreamContext, nats_url: str):
    code, said, _ = await simulate(nats_url, "--since", "1h")
    assert code == 0
    assert "600 decisions since" in said
    assert "200 of them would change (33.3%)" in " ".join(said.split())
    for words in ("By action", "By channel", "By personalisation", "Clicks per first slot", "doubly robust"):
        assert words in said


async def test_the_later_slots_of_a_list_are_valued_given_those_before_them(js: JetStreamContext, nats_url: str):
    await make_event_stream(js)
    await make_decision_stream(js)
    listed = [{"id": "main", "placements": ["list"]}]
    places = {"list": {"channel": "web", "slots": 2, "exploration": {"method": "epsilon_greedy", "epsilon": 1.0}}}
    catalog = a_catalog([an_action(name, treatments=listed) for name in ("red", "blue")], placements=places)
    await (await open_store(js)).apply(catalog)
    at = datetime.now(UTC) - timedelta(minutes=30)
    orders = [["red", "blue"], ["blue", "red"]] * 30
    records = [a_record(catalog, {"list": order}, probability=0.5, at=at) for order in orders]
    for record in records:
        record.selections[1].selection_probability = 1.0  # who is left
    await publish_records(js, records)
    clicked = [track("Click", {"decision_id": one.decision_id, "action": "blue"}) for one in records[::2]]
    await publish(js, clicked)
    code, said, wrong = await simulate(nats_url, "--since", "1h", "--json")
    assert code == 0, wrong
    (second,) = json.loads(said)["value"]["later_slots"]
    assert (second["slot"], second["slots"], second["rewards"], second["without_probability"]) == (2, 60, 30, 0)
    assert second["new"]["snips"]["value"] == second["recorded"]["value"] == 0.5
    assert second["new"]["snips"]["effective_sample_size"] == pytest.approx(60)


async def test_another_version_of_a_model_is_tried_without_being_promoted(
    recorded: JetStreamContext, nats_url: str, tmp_path: Path
):
    registry, now = await open_registry(recorded, max_bytes=64 << 20), datetime.now(UTC)
    for bias in ([0.0, 0.0], [-3.0, 3.0]):  # the second one sees blue far ahead
        model = linear_model([[0.0, 0.0]], bias)
        await registry.register(manifest("accept", traits=["spend"], actions=["red", "blue"]), model, now)
    await registry.promote("accept", 1)
    scored = [{**one, "propensity": {"model": "accept", "base": 0.1}} for one in ACTIONS]
    catalog = written(tmp_path / "scored.yaml", a_catalog(scored))
    for arguments, lost in ((("--model", "accept=2"), 400), ((), 0)):
        code, said, wrong = await simulate(nats_url, "--catalog", catalog, "--since", "1h", "--json", *arguments)
        assert code == 0, wrong
        assert json.loads(said)["changes"]["actions"]["red"]["lost"] == lost
        assert json.loads(said)["models"] == {"accept": 2 if arguments else 1}


async def test_what_cannot_be_simulated_is_said_in_one_line(recorded: JetStreamContext, nats_url: str, tmp_path: Path):
    for arguments, words in (
        (("--model", "none=3"), "model: expected one that an action of the catalogue names (none), got 'none'"),
        (("--segment", "views"), "segment: expected a trait of type string or boolean (tier), got 'views'"),
        (("--since", "yesterday"), "expected an age such as 90m, 24h or 7d"),
        (("--model", "accept"), "expected NAME=VERSION"),
    ):
        code, _, said = await simulate(nats_url, *arguments)
        assert code != 0
        assert words in " ".join(said.replace("│", " ").split())
        assert "Traceback" not in said


async def test_before_anything_was_decided_it_says_so(js: JetStreamContext, nats_url: str):
    await (await open_store(js)).apply(CATALOG)
    code, _, said = await simulate(nats_url)
    assert code == 1
    assert "nothing was recorded yet" in said
    await make_decision_stream(js)
    code, said, _ = await simulate(nats_url)
    assert code == 0
    assert "0 decisions since" in said


@pytest.mark.parametrize("exploration", [{"method": "epsilon_greedy", "epsilon": 0.5}, {"method": "thompson"}])
async def test_what_the_service_decided_is_decided_the_same_by_the_same_catalogue(
    system: System, nats_url: str, exploration: Mapping[str, Any]
):
    exploring = {"hero": {"channel": "web", "exploration": exploration}}
    await system.apply(a_catalog([*ACTIONS, an_action("green", value=1.5)], placements=exploring))
    for number in range(100):
        await system.decide(f"customer-{number}")
    async with asyncio.timeout(30):
        while True:
            code, said, wrong = await simulate(nats_url, "--since", "1h", "--json")
            assert code == 0, wrong
            found = json.loads(said)
            if found["changes"]["decisions"]["decisions"] >= 100:  # the last records have arrived
                break
    assert found["changes"]["decisions"]["changed"] == 0
    assert len(found["changes"]["actions"]) >= 2
    assert found["value"]["without_probability"] == 0
    value = found["value"]
    assert value["slots"] == found["changes"]["decisions"]["decisions"]
    assert value["new"]["ips"]["effective_sample_size"] == pytest.approx(value["slots"], rel=0.01)


async def test_of_decisions_whose_catalogue_is_gone_the_chances_are_not_known(js: JetStreamContext, nats_url: str):
    await make_decision_stream(js)
    exploring = a_catalog(ACTIONS, placements={"hero": {"channel": "web", "exploration": "thompson"}})
    await (await open_store(js)).apply(exploring)
    records = [a_record(exploring, {"hero": ["red"]}, probability=None, at=datetime.now(UTC)) for _ in range(3)]
    for record in records:
        record.catalog_revision = 99
    await publish_records(js, records)
    code, said, wrong = await simulate(nats_url, "--since", "1h", "--json")
    assert code == 0, wrong
    assert json.loads(said)["value"]["without_probability"] == 3
    assert json.loads(said)["changes"]["decisions"]["decisions"] == 3
