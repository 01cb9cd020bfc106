"""The breaker in the running service: a profile service that hangs opens it, and it closes by itself afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from nats.js import JetStreamContext
from structlog.testing import capture_logs
from tests.support.decisions import a_catalog, an_action
from tests.support.ports import free_port
from tests.support.profile import make_event_stream
from tests.support.slow_profile import SlowProfile, slow_profile

from wayline.catalog.store import open_store
from wayline.v1 import decision_pb2, decision_pb2_grpc, events_pb2
from wayline_decision.app import build
from wayline_decision.settings import DecisionSettings

REASON = "the breaker is open: too many of the last decisions took too long or missed their deadline"


@dataclass
class Service:
    """The decision service, with a profile service that hangs."""

    stub: decision_pb2_grpc.DecisionServiceStub
    profile: SlowProfile

    async def decide(self, within: float = 10) -> decision_pb2.DecideResponse:
        request = decision_pb2.DecideRequest(
            customer=events_pb2.Identifier(kind="user_id", value="ada"),
            placements=[decision_pb2.PlacementRequest(placement="hero")],
        )
        return await self.stub.Decide(request, timeout=within)

    async def until_reason(self, reason: str) -> decision_pb2.DecideResponse:
        """Ask again and again, until the answer says so first; empty: until it has nothing to say."""
        async with asyncio.timeout(20):
            while True:
                answer = await self.decide()
                if next(iter(answer.placements[0].reasons), "") == reason:
                    return answer
                await asyncio.sleep(0.01)


@pytest.fixture
async def service(js: JetStreamContext, nats_url: str) -> AsyncIterator[Service]:
    await make_event_stream(js)
    async with slow_profile() as profile:
        settings = DecisionSettings(
            nats_url=nats_url,
            decision_port=free_port(),
            profile_address=f"127.0.0.1:{profile.port}",
            profile_timeout_seconds=0.06,
            decision_budget_seconds=0.05,
            breaker_least=5,
            breaker_pause_seconds=0.2,
            decisions_max_bytes=64 << 20,
            models_max_bytes=64 << 20,
            shutdown_grace_seconds=0.5,
        )
        async with (
            build(settings),
            grpc.aio.insecure_channel(f"127.0.0.1:{settings.decision_port}") as channel,
        ):
            service = Service(decision_pb2_grpc.DecisionServiceStub(channel), profile)
            await (await open_store(js)).apply(a_catalog([an_action("plain")]))
            async with asyncio.timeout(20):
                while True:
                    try:
                        await service.decide()
                        break
                    except grpc.aio.AioRpcError:
                        await asyncio.sleep(0.01)
            yield service


async def test_a_profile_service_that_hangs_opens_the_breaker_and_it_closes_when_that_is_well(service: Service) -> None:
    with capture_logs() as lines:
        answer = await service.until_reason(REASON)
        assert MessageToDict(answer.placements[0].fallback) == {"title": "Welcome"}
        service.profile.well.set()
        answer = await service.until_reason("")
        assert answer.personalisation == decision_pb2.PERSONALISATION_FULL
    changes = [line["event"] for line in lines if line["event"].startswith("breaker")]
    assert changes[0] == "breaker_open"
    assert changes[-2:] == ["breaker_tries", "breaker_closed"]
    # While it hangs, each trial is late: it opens once more. No line comes twice in a row.
    assert all(one != other for one, other in pairwise(changes))


async def test_what_the_open_breaker_answered_is_explained_from_its_record(service: Service) -> None:
    answer = await service.until_reason(REASON)
    request = decision_pb2.ExplainRequest(decision_id=answer.decision_id)
    async with asyncio.timeout(20):
        while True:
            try:
                explained = await service.stub.Explain(request, timeout=10)
                break
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    raise
                await asyncio.sleep(0.01)
    assert (explained.reproduced, explained.decision) == (True, answer)
    assert list(explained.record.notes) == [REASON]


async def test_a_hanging_profile_service_does_not_cost_the_callers_their_deadline(service: Service) -> None:
    for _ in range(3):
        answer = await service.decide(within=0.5)  # a call that is not answered by then raises
        assert answer.personalisation == decision_pb2.PERSONALISATION_UNAVAILABLE
