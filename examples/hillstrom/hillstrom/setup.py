"""Makes the trial's catalogue the one that serves, and waits until it does."""

from __future__ import annotations

from pathlib import Path

import grpc

from hillstrom import client, collect
from hillstrom.decide import ask
from wayline.catalog.load import load
from wayline.catalog.model import Catalog
from wayline.catalog.store import open_store
from wayline.cli.support import connection
from wayline.cluster import Addresses
from wayline.errors import Retryable
from wayline.v1 import events_pb2, profile_pb2, profile_pb2_grpc

_CALL_SECONDS = 10.0


async def use_catalog(path: Path, addresses: Addresses, someone: events_pb2.Event) -> Catalog:
    """Apply the catalogue at `path`, and wait until the profile and decision services use it.

    Events are folded by the definitions of the moment at which they are folded: none may come before the new ones.

    Args:
        path: of the catalogue.
        addresses: of a running system.
        someone: an event of any customer, by whom the services are asked.

    Raises:
        CatalogInvalid: the catalogue has a problem.
        Retryable: a service did not take it up in time.
    """
    catalog = load(path)
    async with connection(addresses.nats) as nc:
        revision = await (await open_store(nc.jetstream())).apply(catalog)
    await collect.send(addresses.ingestion, [[someone]], lambda _: None)
    customer = events_pb2.Identifier(kind="user_id", value=someone.user_id)
    await _until_read(addresses.profile, customer, catalog)
    async with client.channel(addresses.decision) as channel:

        async def decided() -> None:
            decision = await ask(channel, customer)
            if decision.catalog_revision < revision:
                raise Retryable(f"decisions still use revision {decision.catalog_revision} of the catalogue")

        await client.patiently(decided)
    return catalog


async def _until_read(address: str, customer: events_pb2.Identifier, catalog: Catalog) -> None:
    async with client.channel(address) as channel:
        stub = profile_pb2_grpc.ProfileServiceStub(channel)

        async def read() -> None:
            request = profile_pb2.GetProfileRequest(customer=customer)
            try:
                response = await stub.GetProfile(request, timeout=_CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                if error.code() == grpc.StatusCode.NOT_FOUND:
                    raise Retryable("the first event is not folded yet") from error
                raise
            if set(response.values.fields) != set(catalog.effective_traits()):
                raise Retryable("profiles are still read by the former catalogue")

        await client.patiently(read)
