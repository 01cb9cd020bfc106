"""The gRPC face of merges: shown, taken back, and let happen again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc

from wayline.errors import NotFound, Precondition, Retryable, WaylineError, abort_async
from wayline.identifiers import IdentityRules
from wayline.identity import check_identifier
from wayline.v1 import customers_pb2, customers_pb2_grpc, events_pb2, profile_pb2
from wayline_profile.core.clusters import Ends, ends_of
from wayline_profile.core.values import Reading
from wayline_profile.lookup import in_use
from wayline_profile.merges import Relations, relations_of
from wayline_profile.privacy.control import ControlEvents
from wayline_profile.privacy.witness import Witness
from wayline_profile.store import ProfileStore

WAIT_SECONDS = 10.0
_LOOK_SECONDS = 0.02
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Context = grpc.aio.ServicerContext[object, object]


class CustomerHandlers(customers_pb2_grpc.CustomerServiceServicer):
    """See the contract for shapes, limits and status codes."""

    def __init__(
        self,
        store: ProfileStore,
        reading: Callable[[], Reading | None],
        control: ControlEvents,
        witness: Witness,
        *,
        now: Callable[[], datetime],
    ) -> None:
        """Answer from `store`, under the catalogue in use; `control` publishes rulings, `witness` notes who asked."""
        self._store = store
        self._reading = reading
        self._control = control
        self._witness = witness
        self._now = now

    async def ListMerges(
        self, request: customers_pb2.ListMergesRequest, context: Context
    ) -> customers_pb2.ListMergesResponse:
        """How a customer's identifiers hang together."""
        try:
            known = self._find(request.customer, "customer")
            profile = known.profile or profile_pb2.Profile()
            await self._witness.note(context, "merges.read", profile.profile_id)
        except WaylineError as error:
            await abort_async(context, error)
        return customers_pb2.ListMergesResponse(
            profile_id=profile.profile_id, identifiers=profile.identifiers, merges=known.merges()
        )

    async def Unmerge(self, request: customers_pb2.UnmergeRequest, context: Context) -> customers_pb2.UnmergeResponse:
        """Take an identifier out."""
        try:
            stays = self._find(request.customer, "customer")
            goes = self._find(request.identifier, "identifier")
            pairs = goes.linked() if stays.key == goes.key else [ends_of(stays.key, goes.key)]
            if goes.key not in stays.group or not pairs or not goes.cluster.edges:
                raise Precondition("identifier: it is no part of this customer, so there is nothing to take back")
            await self._note(context, "customer.unmerge", goes)
            await self._rule(pairs, goes, apart=True)
        except WaylineError as error:
            await abort_async(context, error)
        return customers_pb2.UnmergeResponse(profiles=self._profiles((stays.key, goes.key)), rulings=len(pairs))

    async def Join(self, request: customers_pb2.JoinRequest, context: Context) -> customers_pb2.JoinResponse:
        """Lift rulings."""
        try:
            customer = self._find(request.customer, "customer")
            comes = self._find(request.identifier, "identifier")
            pairs = comes.ruled_apart(customer)
            if not pairs:
                raise Precondition("identifier: no ruling keeps it from this customer, so there is nothing to lift")
            await self._note(context, "customer.join", comes)
            await self._rule(pairs, comes, apart=False)
        except WaylineError as error:
            await abort_async(context, error)
        return customers_pb2.JoinResponse(profiles=self._profiles((customer.key, comes.key)), rulings=len(pairs))

    async def _note(self, context: Context, action: str, known: Relations) -> None:
        await self._witness.note(context, action, known.profile.profile_id if known.profile else known.key.hex())

    async def _rule(self, pairs: Iterable[Ends], known: Relations, *, apart: bool) -> None:
        """Write rulings, and wait until they are folded."""
        until: dict[int, int] = {}
        for one, other in pairs:
            # Later than the last word on the pair, whatever the clock of the machine that wrote that.
            at = max(self._now(), _EPOCH + known.latest_ms((one, other)) * _MILLISECOND + _MILLISECOND)
            ruling = events_pb2.Ruling(one=one, other=other, apart=apart)
            token = await self._control.publish_ruling(ruling, uuid4().hex, at)
            until[token.partition] = max(token.sequence, until.get(token.partition, 0))
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not self._is_folded(until):
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise Retryable(
                f"the rulings are written, and not folded after {WAIT_SECONDS:.0f} s; look again with ListMerges"
            ) from None

    def _is_folded(self, until: dict[int, int]) -> bool:
        positions = self._store.positions()
        return all(positions.get(partition, 0) >= sequence for partition, sequence in until.items())

    def _profiles(self, keys: tuple[bytes, ...]) -> list[profile_pb2.Profile]:
        led = self._store.resolve(keys)
        found = self._store.get_many(set(led.values()))
        return [found[profile_id] for profile_id in dict.fromkeys(led[key] for key in keys if key in led)]

    def _find(self, identifier: events_pb2.Identifier, field: str) -> Relations:
        rules = self._rules()
        key = check_identifier(identifier, field, rules.kinds)
        known = relations_of(self._store, key, rules)
        if known is None:
            raise NotFound(f"{field}: no customer has this {identifier.kind}")
        return known

    def _rules(self) -> IdentityRules:
        return in_use(self._reading()).definitions.identity
