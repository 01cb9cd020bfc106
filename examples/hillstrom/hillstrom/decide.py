"""Asks which e-mail each customer is to get."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc

from hillstrom import client
from hillstrom.events import customer_id
from hillstrom.reader import Customer
from wayline.errors import Retryable, WaylineError
from wayline.v1 import decision_pb2, decision_pb2_grpc
from wayline.v1.decision_pb2 import DecideBatchRequest, DecideRequest, DecideResponse, PlacementRequest
from wayline.v1.events_pb2 import Identifier

PLACEMENT = "email.offer"
CHUNK = 500
IN_FLIGHT = 2
_CALL_SECONDS = 30.0


class NotDecided(WaylineError):
    """A decision was not what was asked for."""


async def ask(channel: grpc.aio.Channel, customer: Identifier) -> DecideResponse:
    """One decision."""
    stub = decision_pb2_grpc.DecisionServiceStub(channel)
    response: DecideResponse = await stub.Decide(_request(customer), timeout=_CALL_SECONDS)
    return response


async def wait_for_model(address: str, customer: Customer, source: str) -> None:
    """Wait until decisions are scored by `source`, 'model:NAME@VERSION'.

    Raises:
        Retryable: they are not after a while.
    """
    async with client.channel(address) as channel:

        async def scored() -> None:
            decision = await ask(channel, _identifier(customer))
            if (found := _source(decision)) != source:
                raise Retryable(f"decisions are scored by {found}, not by {source}")

        await client.patiently(scored)


async def decide_all(
    address: str, customers: Sequence[Customer], source: str, on_progress: Callable[[int], None]
) -> list[str]:
    """The action for each customer, in their order.

    Args:
        address: of the decision service.
        customers: any number.
        source: the model that must have scored them.
        on_progress: told how many more were decided.

    Raises:
        NotDecided: a customer got no decision, or not a personal one by that model.
        grpc.aio.AioRpcError: the service stayed away.
    """
    chunks = [customers[start : start + CHUNK] for start in range(0, len(customers), CHUNK)]
    chosen: list[list[str]] = [[] for _ in chunks]
    async with client.channel(address) as channel:
        stub = decision_pb2_grpc.DecisionServiceStub(channel)

        async def decide(at: int) -> None:
            chosen[at] = await client.patiently(lambda: _decide(stub, chunks[at], source))
            on_progress(len(chosen[at]))

        await client.in_parallel(range(len(chunks)), decide, IN_FLIGHT)
    return [action for chunk in chosen for action in chunk]


async def _decide(stub: decision_pb2_grpc.DecisionServiceStub, customers: Sequence[Customer], source: str) -> list[str]:
    """One batch on a stream of its own, so that nothing else has to be repeated when it breaks."""
    request = DecideBatchRequest(requests=[_request(_identifier(one)) for one in customers])
    responses = stub.DecideBatch(iter([request]), timeout=_CALL_SECONDS)
    return [_action(result, source) async for response in responses for result in response.results]


def _action(result: decision_pb2.DecideBatchResult, source: str) -> str:
    if result.error:
        raise NotDecided(result.error)
    if result.decision.personalisation == decision_pb2.PERSONALISATION_UNAVAILABLE:
        # A page does without the profile; a batch has the time to ask again.
        raise Retryable("a profile could not be read in time")
    if (found := _source(result.decision)) != source:
        raise NotDecided(f"expected a decision by {source}, got one by {found}")
    return result.decision.placements[0].selections[0].action


def _source(decision: DecideResponse) -> str:
    selections = decision.placements[0].selections
    return selections[0].score.propensity_source if selections else "nobody"


def _request(customer: Identifier) -> DecideRequest:
    return DecideRequest(customer=customer, placements=[PlacementRequest(placement=PLACEMENT)])


def _identifier(customer: Customer) -> Identifier:
    return Identifier(kind="user_id", value=customer_id(customer.number))
