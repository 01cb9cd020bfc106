"""Ten thousand decisions of the real services, made anew after catalogues and models have moved on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.models import linear_model
from tests.support.system import System, connected

from wayline.cluster import Cluster
from wayline.v1 import decision_pb2, events_pb2, ingestion_pb2, prediction_pb2

CUSTOMERS = 500
LOOKERS = 400
"""Customers more, whom nothing else is decided for: looking at what serves uses up their caps."""
PER_TIME = 2_000
BATCH = 500
OFFERS = 12


def a_catalog(edition: int) -> dict[str, Any]:
    """What is offered changes from one edition to the next: values, rules, a formula, who competes."""
    actions = [
        {
            "id": f"offer-{number}",
            "value": 1 + (number * edition) % 7,
            "propensity": {"model": "accept", "base": 0.05},
            "suitability": [f"profile.visits >= {float(number % (edition + 2))}"],
            "contact": {"caps": [{"limit": 1 + number % 3, "window": "7d", "outcome": "decision"}]},
            "treatments": [
                {"id": "t", "placements": ["hero", "list"], "content": {"text": "{{ profile.visits }} visits"}}
            ],
            **({"budget": {"total": 300}} if number % 5 == 0 else {}),
        }
        for number in range(OFFERS)
    ]
    arms = {"usual": {"share": 0.5}, "lots": {"share": 0.2, "control": "random"}}
    arms["other"] = {"share": 0.3, "formula": f"propensity * value * {edition}.0 + context"}
    return {
        "name": "replayed",
        "traits": {"visits": {"kind": "attribute", "type": "number", "default": 0.0}},
        "context": {"device": {"default": "desktop"}},
        "purposes": {"personalisation": {"default": "denied"}},
        "personalisation": "personalisation",
        "channels": {"web": {}},
        "placements": {
            "hero": {"channel": "web", "exploration": "thompson"},
            "list": {"channel": "web", "slots": 3, "exploration": "squarecb" if edition % 2 else "epsilon_greedy"},
        },
        "arbitration": {
            "smoothing": {"evidence": 50 * edition},
            "exclusions": [{"id": "either", "actions": ["offer-1", "offer-2"]}],
        },
        "holdout": {"share": 0.05},
        "experiments": [{"id": "formulas", "arms": arms}],
        "issues": [{"id": "sales", "groups": [{"id": "offers", "most": 3, "actions": actions}]}],
    }


def a_request(customer: int) -> decision_pb2.DecideRequest:
    return decision_pb2.DecideRequest(
        customer=events_pb2.Identifier(kind="user_id", value=f"customer-{customer}"),
        placements=[decision_pb2.PlacementRequest(placement=name) for name in ("hero", "list")],
    )


async def register(system: System, bias: float) -> None:
    outputs = [
        prediction_pb2.ModelOutput(tensor="probabilities", column=at, action=f"offer-{at}", responses=100 * (1 + at))
        for at in range(OFFERS)
    ]
    manifest = prediction_pb2.ModelManifest(
        name="accept", inputs=[prediction_pb2.ModelInput(trait="visits")], outputs=outputs
    )
    weights = [[0.1 * (at - 5) for at in range(OFFERS)]]
    await system.prediction.RegisterModel(
        prediction_pb2.RegisterModelRequest(manifest=manifest, onnx=linear_model(weights, bias), promote=True)
    )


async def decided_by(system: System, revision: int, source: str) -> None:
    """Wait until a revision of the catalogue and a version of the model are in use."""
    for looker in range(LOOKERS):
        answer = await system.decision.Decide(a_request(CUSTOMERS + looker))
        sources = {one.score.propensity_source for filled in answer.placements for one in filled.selections}
        if answer.catalog_revision == revision and source in sources:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"revision {revision} with {source} did not come into use")


async def decide(system: System, times: int) -> int:
    """So many decisions, in batches; how many slots they filled."""
    batches = [
        decision_pb2.DecideBatchRequest(requests=[a_request(at % CUSTOMERS) for at in range(first, first + BATCH)])
        for first in range(0, times, BATCH)
    ]
    filled = 0
    async for answer in system.decision.DecideBatch(iter(batches)):
        for result in answer.results:
            assert result.HasField("decision"), result.error
            filled += sum(len(one.selections) for one in result.decision.placements)
    return filled


async def known(system: System) -> None:
    """All customers have a profile."""
    events = []
    for number in range(CUSTOMERS + LOOKERS):
        event = events_pb2.Event(
            message_id=f"m-{number}", type=events_pb2.EVENT_TYPE_IDENTIFY, user_id=f"customer-{number}"
        )
        event.traits.update({"visits": number % 9})
        event.context.consent.category_preferences["personalisation"] = number % 10 != 0
        events.append(event)
    response = await system.ingestion.Collect(ingestion_pb2.CollectRequest(events=events))
    request = a_request(0)
    request.at_least.append(response.results[-1].token)
    assert not (await system.decision.Decide(request)).stale


@pytest.mark.timeout(300)
async def test_ten_thousand_decisions_are_made_anew_bit_for_bit_after_catalogues_and_models_moved_on(
    tmp_path: Path,
) -> None:
    async def apply(edition: int) -> None:
        file = tmp_path / f"{edition}.yaml"
        file.write_text(yaml.safe_dump(a_catalog(edition)))
        await system.apply(file)

    async with Cluster(tmp_path / "data") as cluster, connected(cluster) as system:
        await apply(1)
        await register(system, -2.0)
        await known(system)
        await decided_by(system, 1, "model:accept@1")
        filled = await decide(system, PER_TIME)
        await apply(2)
        await decided_by(system, 2, "model:accept@1")
        filled += await decide(system, PER_TIME)
        await register(system, -1.0)
        await decided_by(system, 2, "model:accept@2")
        filled += await decide(system, PER_TIME)
        await apply(3)
        await decided_by(system, 3, "model:accept@2")
        filled += await decide(system, PER_TIME)
        await register(system, -3.0)
        await decided_by(system, 3, "model:accept@3")
        await apply(4)
        await decided_by(system, 4, "model:accept@3")
        filled += await decide(system, PER_TIME)
        await asyncio.sleep(0.5)  # the last records are on their way
        code, said = await system.wayline("decisions", "replay", "--since", "1h", "--json")
    result = json.loads(said[said.index("{") :])
    assert code == 0, said
    assert filled > PER_TIME
    assert result["decisions"] >= 5 * PER_TIME
    assert (result["different"], result["not_replayed"], result["models_gone"]) == (0, {}, [])
    assert result["identical"] == result["decisions"]
