"""A second start on the same data goes on where the first one stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.models import linear_model, manifest
from tests.support.system import System, connected
from tests.support.trial import write_trial

from hillstrom.client import patiently
from hillstrom.collect import send, wait_until_folded
from hillstrom.decide import wait_for_model
from hillstrom.events import batches, customer_id, events_of, identify, outcomes
from hillstrom.setup import use_catalog
from hillstrom.trial import CATALOG
from wayline.cluster import Cluster
from wayline.v1 import decision_pb2, prediction_pb2, profile_pb2
from wayline.v1.events_pb2 import Identifier
from wayline.v1.ingestion_pb2 import EVENT_STATUS_ACCEPTED

pytestmark = pytest.mark.e2e
CUSTOMERS = 200
ARMS = ("mens-email", "no-email", "womens-email")


@asynccontextmanager
async def wayline(data: Path) -> AsyncIterator[System]:
    async with Cluster(data) as cluster, connected(cluster) as system:
        yield system


async def test_profiles_catalogue_models_and_decisions_are_there_after_a_restart(tmp_path: Path):
    customers = write_trial(tmp_path / "trial.csv", CUSTOMERS)
    (someone, *_) = (one for one in customers if not one.training)
    identifier = Identifier(kind="user_id", value=customer_id(someone.number))

    async with wayline(tmp_path / "data") as first:
        await use_catalog(CATALOG, first.addresses, identify(customers[0]))
        await send(first.addresses.ingestion, batches(map(events_of, customers), 100), lambda _: None)
        statistics = await wait_until_folded(first.addresses.profile, lambda _: None)
        await register_and_promote(first)
        await wait_for_model(first.addresses.decision, someone, "model:visit@1")
        decision = await first.decide(identifier, "email.offer")
    assert statistics.profiles == CUSTOMERS

    async with wayline(tmp_path / "data") as second:
        # The first answers after a start may come before the model is loaded.
        await wait_for_model(second.addresses.decision, someone, "model:visit@1")
        again = await second.decide(identifier, "email.offer")
        assert without_id(again) == without_id(decision)

        held = await second.profile.GetStatistics(profile_pb2.GetStatisticsRequest())
        assert held == statistics

        explained = await patiently(
            lambda: second.decision.Explain(decision_pb2.ExplainRequest(decision_id=decision.decision_id), timeout=20)
        )
        assert explained.reproduced

        results = await second.collect(*outcomes(someone))
        assert [result.status for result in results] == [EVENT_STATUS_ACCEPTED] * len(results)
        await wait_until_folded(second.addresses.profile, lambda _: None)
        now = await second.profile.GetStatistics(profile_pb2.GetStatisticsRequest())
        assert (now.profiles, now.events_folded) == (CUSTOMERS, statistics.events_folded + len(results))
        assert now.duplicates == statistics.duplicates


async def register_and_promote(system: System) -> None:
    weights = [[0.01, 0.02, 0.03], [0.5, 0.1, 0.2]]
    request = prediction_pb2.RegisterModelRequest(
        manifest=manifest("visit", traits=["recency", "mens"], actions=ARMS), onnx=linear_model(weights), promote=True
    )
    await system.prediction.RegisterModel(request, timeout=20)


def without_id(decision: decision_pb2.DecideResponse) -> decision_pb2.DecideResponse:
    kept = decision_pb2.DecideResponse()
    kept.CopyFrom(decision)
    kept.decision_id = ""
    return kept
