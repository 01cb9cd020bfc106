"""`wayline decisions`, from the command line down to a running decision service on a real NATS server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.integration.decision.conftest import System
from tests.integration.decision.test_decision_service import explained
from tests.support.decisions import a_catalog, an_action
from tests.support.events import track
from tests.support.models import linear_model, manifest
from tests.support.records import publish_records

from wayline.registry import Registry, open_registry
from wayline.v1 import decision_pb2
from wayline_decision.explanation import explanation
from wayline_decision.past import PastStates

SCORED = {"model": "accept", "base": 0.1, "evidence": 30}
ACTIONS = [
    an_action("plain", propensity=SCORED),
    an_action("dear", propensity=SCORED, value=2),
    an_action("loyal", eligibility={"rule": "profile.views >= 3 && context.device == 'mobile'", "because": "Regulars"}),
]
PLACES = {"hero": {"channel": "web", "exploration": "thompson", "slots": 1}}
CATALOG = a_catalog(ACTIONS, placements=PLACES)
MANIFEST = manifest("accept", traits=["views", "spend"], context=["hour"], actions=["plain", "dear"])


async def run(system: System, *arguments: str) -> tuple[int, str, str]:
    """Run the command: exit code, standard output and standard error, on one line each."""
    command = [sys.executable, "-c", "from wayline.cli import main; main()", "decisions", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, " ".join(done.stderr.split())


async def as_json(system: System, *arguments: str) -> Any:
    code, said, wrong = await run(system, *arguments, "--json")
    assert code == 0, wrong
    return json.loads(said)


async def learned(system: System, registry: Registry, bias: float) -> int:
    """Register a version and wait until it scores."""
    model = linear_model([[1.0, 0.5], [0.0, 0.0], [0.01, 0.0]], [bias, bias])
    version = (await registry.register(MANIFEST, model, datetime.now(UTC), True)).versions[-1].version
    seen = await system.publish(track("Cart Viewed", user="probe"))
    async with asyncio.timeout(20):
        while True:
            response = await system.decide("probe", at_least=[seen])
            if response.placements[0].selections[0].score.propensity_source == f"model:accept@{version}":
                return version
            await asyncio.sleep(0.01)


@pytest.fixture
async def decided(system: System) -> decision_pb2.DecideResponse:
    """One decision for a customer who looked at two products."""
    await system.apply(CATALOG)
    await learned(system, await open_registry(system.js), -1.0)
    seen = await system.publish(*(track("Product Viewed", user="ada") for _ in range(2)))
    response = await system.decide("ada", at_least=[seen])
    await explained(system, response.decision_id)  # the record has arrived
    return response


async def test_explain_returns_the_funnel_the_features_and_the_chance_in_hindsight(
    system: System, decided: decision_pb2.DecideResponse
) -> None:
    found = await explained(system, decided.decision_id)
    assert found.reproduced
    steps = [(decision_pb2.Stage.Name(one.stage), one.entered, one.dropped) for one in found.funnel]
    assert steps[0] == ("STAGE_CONSENT", 3, 0)
    assert ("STAGE_ELIGIBILITY", 3, 1) in steps
    assert steps[-1] == ("STAGE_ARBITRATION", 2, 1)
    (selection,) = found.decision.placements[0].selections
    assert not decided.placements[0].selections[0].HasField("selection_probability")
    assert 0 < selection.selection_probability < 1
    assert selection.score.drawn_propensity == decided.placements[0].selections[0].score.drawn_propensity
    (feature,) = found.features  # nothing was spent, and the hour is the default
    assert (feature.action, feature.feature, feature.value) == (selection.action, "profile.views", 2.0)
    assert 0 < feature.effect < 1


async def test_people_see_the_arithmetic_and_why_others_were_dropped(
    system: System, decided: decision_pb2.DecideResponse
) -> None:
    code, said, _ = await run(system, "show", decided.decision_id, "--decision", system.address)
    assert code == 0
    for words in ("identical, bit for bit", "x lever 1 = priority", "drawn propensity", "profile.views", "not met"):
        assert words in " ".join(said.replace("│", " ").split()), said
    whole = await as_json(system, "show", decided.decision_id, "--decision", system.address)
    assert whole["reproduced"] is True
    assert whole["priority_rule"] == {"exponents": {"propensity": 1.0, "context": 1.0, "value": 1.0, "lever": 1.0}}
    assert whole["record"]["decision_id"] == decided.decision_id


async def test_why_not_names_the_stage_the_rule_and_what_would_have_to_change(
    system: System, decided: decision_pb2.DecideResponse
) -> None:
    where = ("--decision", system.address)
    found = await as_json(system, "why-not", decided.decision_id, "loyal", *where)
    (drop,) = found["placements"][0]["dropped"]
    assert (drop["stage"], drop["reason"]) == ("eligibility", "not met: Regulars")
    assert drop["change"] == (
        'profile.views is 2; it would have to be at least 3; and context.device is "desktop"; '
        "it would have to be 'mobile'"
    )
    chosen = decided.placements[0].selections[0].action
    code, said, _ = await run(system, "why-not", decided.decision_id, chosen, *where)
    assert code == 0
    assert f"{chosen} was chosen for hero" in said
    code, _, wrong = await run(system, "why-not", decided.decision_id, "loyale", *where)
    assert code == 1
    assert "'loyale' has no treatment for hero" in wrong
    assert "Did you mean loyal?" in " ".join(wrong.split())


async def test_decisions_are_listed_for_whoever_has_no_id(system: System, decided: decision_pb2.DecideResponse) -> None:
    nats = ("--nats", system.nats_url)
    (found,) = (await as_json(system, "list", "--customer", "user_id:ada", *nats))["decisions"]
    assert (found["decision_id"], found["customer"]) == (decided.decision_id, {"kind": "user_id", "value": "ada"})
    chosen = decided.placements[0].selections[0]
    assert found["placements"] == [
        {"placement": "hero", "chosen": [{"action": chosen.action, "treatment": chosen.treatment}]}
    ]
    by_channel = await as_json(system, "list", "--channel", "web", "--action", chosen.action, "--last", "1", *nats)
    assert [one["decision_id"] for one in by_channel["decisions"]] == [decided.decision_id]
    code, said, wrong = await run(system, "list", "--since", "1h", "--last", "1", *nats)
    assert code == 0, wrong
    for words in (decided.decision_id, "user_id:ada", "full", f"hero: {chosen.action}", "wayline decisions show ID"):
        assert words in said
    code, said, _ = await run(system, "list", "--customer", "user_id:nobody", *nats)
    assert (code, "No such decision" in said) == (0, True)


async def test_a_list_that_is_not_whole_says_so(system: System, decided: decision_pb2.DecideResponse) -> None:
    record = (await explained(system, decided.decision_id)).record
    record.catalog_revision = 99
    await publish_records(system.js, [record] * 100, bundle=1)
    code, _, wrong = await run(
        system, "list", "--channel", "web", "--action", "none", "--read", "10", "--nats", system.nats_url
    )
    assert code == 0
    assert "Stopped after 16 decisions" in wrong
    assert "Raise the limit with --read" in wrong
    code, _, wrong = await run(system, "list", "--channel", "web", "--nats", system.nats_url)
    assert code == 0
    assert "the catalogue's revision 99, which cannot be read" in wrong


async def test_replay_holds_after_catalogues_and_models_have_moved_on(system: System) -> None:
    registry = await open_registry(system.js)
    asked: list[str] = []
    for value, bias in ((2, -1.0), (3, -2.0), (4, -0.5)):
        await system.apply(a_catalog([ACTIONS[0], {**ACTIONS[1], "value": value}], placements=PLACES))
        await learned(system, registry, bias)
        seen = await system.publish(track("Product Viewed", user="ada"))
        asked += [(await system.decide("ada", at_least=[seen])).decision_id for _ in range(20)]
        asked += [(await system.decide(f"nobody-{value}")).decision_id]
    await explained(system, asked[-1])
    code, said, wrong = await run(system, "replay", *asked[:3], "--decision", system.address)
    assert (code, "3 decisions made anew: 3 identical" in said) == (0, True), wrong
    result = await as_json(system, "replay", "--since", "1h", "--nats", system.nats_url)
    assert result["decisions"] >= len(asked)
    assert result["identical"] == result["decisions"]
    limited = await as_json(system, "replay", "--since", "1h", "--limit", "7", "--nats", system.nats_url)
    assert limited["decisions"] == 7


async def test_a_decision_that_comes_out_otherwise_is_told_by_exit_code_1(
    system: System, decided: decision_pb2.DecideResponse
) -> None:
    record = (await explained(system, decided.decision_id)).record
    record.decision_id = record.decision_id[:12] + "0" * 20
    record.selections[0].priority *= 2
    await publish_records(system.js, [record])
    code, said, _ = await run(system, "replay", "--since", "1h", "--nats", system.nats_url)
    assert code == 1
    assert f"{record.decision_id} differs" in said
    code, said, _ = await run(system, "replay", record.decision_id, "--decision", system.address)
    assert code == 1
    assert "with other figures" in said
    code, said, _ = await run(system, "show", record.decision_id, "--decision", system.address)
    assert "DIFFERS" in said


async def test_a_model_that_is_gone_leaves_the_rest_of_the_explanation(
    system: System, decided: decision_pb2.DecideResponse
) -> None:
    record = (await explained(system, decided.decision_id)).record
    record.model_versions["accept"] = 99
    past = await PastStates(system.catalogs, await open_registry(system.js)).of(record)
    found = explanation(record, past)
    assert found.reproduced
    assert not found.features
    assert list(found.decision.warnings) == [
        "model:accept@99 is no longer in the registry: its propensities are those of the record"
    ]


async def test_what_cannot_be_done_is_said_in_one_line(system: System) -> None:
    await system.apply(CATALOG)
    for arguments, words in (
        (("replay",), "either their ids, or --since"),
        (("replay", "f" * 32, "--since", "1h"), "either their ids, or --since"),
        (("replay", "f" * 32, "--limit", "3"), "--limit goes with --since"),
        (("replay", "--since", "yesterday"), "expected an age such as 90m, 24h or 7d"),
        (("list", "--since", "yesterday"), "expected an age such as 90m, 24h or 7d"),
        (("list", "--customer", "ada"), "expected KIND:VALUE"),
        (("list", "--customer", "Mail:ada"), "expected one of user_id"),
        (("show", "x", "--decision", system.address), "expected 32 hexadecimal digits"),
        (("show", "f" * 32, "--decision", system.address), "NOT_FOUND"),
        (("show", "f" * 32, "--decision", "127.0.0.1:9"), "wayline up"),
    ):
        code, _, said = await run(system, *arguments)
        assert code != 0
        assert words in said.replace("│ ", "").replace(" │", "")
        assert "Traceback" not in said
