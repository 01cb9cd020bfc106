"""Reads customers back from the profile service, as decisions read them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hillstrom import client
from hillstrom.events import customer_id
from hillstrom.reader import Customer
from wayline.catalog.schema import Schema
from wayline.errors import WaylineError
from wayline.identity import identity_key
from wayline.v1 import profile_pb2, profile_pb2_grpc

_CHUNK = 1_000
_CALL_SECONDS = 20.0


class EventsLost(WaylineError):
    """What the profile service holds is not what was sent."""


@dataclass(frozen=True, slots=True)
class Known:
    """A customer and the message of the declared traits (`profile` in rules)."""

    customer: Customer
    traits: Any


async def read_back(address: str, customers: Sequence[Customer], schema: Schema) -> AsyncIterator[list[Known]]:
    """The profiles of all customers, in their order, a thousand at a time.

    Raises:
        EventsLost: a customer is not there, or its outcomes are not those of the file.
        grpc.aio.AioRpcError: the profile service stayed away.
    """
    async with client.channel(address) as channel:
        stub = profile_pb2_grpc.ProfileServiceStub(channel)
        for start in range(0, len(customers), _CHUNK):
            chunk = customers[start : start + _CHUNK]
            keys = [identity_key("user_id", customer_id(one.number)) for one in chunk]
            request = profile_pb2.BatchGetViewsRequest(identity_keys=keys)
            response = await client.patiently(partial(stub.BatchGetViews, request, timeout=_CALL_SECONDS))
            found = {key: view.traits for view in response.views for key in view.identity_keys}
            yield [_known(one, found.get(key), schema) for one, key in zip(chunk, keys, strict=True)]


def _known(customer: Customer, traits: bytes | None, schema: Schema) -> Known:
    if traits is None:
        raise EventsLost(f"row {customer.number} has no profile")
    profile: Any = schema.traits.FromString(traits)
    told = customer.training
    expected = (
        customer.arm if told else "",
        int(told and customer.visit),
        int(told and customer.conversion),
        customer.spend if told else 0.0,
    )
    held = (profile.arm, profile.visits, profile.orders, profile.spend)
    if held != expected:
        raise EventsLost(
            f"row {customer.number}: expected arm, visits, orders, spend {expected}, the profile has {held}"
        )
    return Known(customer, profile)
