"""The gRPC face of the rights of customers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from uuid import uuid4

import grpc

from wayline.errors import InvalidField, NotFound, WaylineError, abort_async
from wayline.identity import identity_key
from wayline.v1 import events_pb2, privacy_pb2, privacy_pb2_grpc, profile_pb2
from wayline_profile.core.values import Reading
from wayline_profile.lookup import find, look_up
from wayline_profile.privacy.control import ControlEvents
from wayline_profile.privacy.export import Exporter
from wayline_profile.privacy.finding import of_profile
from wayline_profile.privacy.ledger import Ledger
from wayline_profile.privacy.readmission import Readmission, checked
from wayline_profile.privacy.receipts import Signer
from wayline_profile.privacy.witness import Witness, check_reason
from wayline_profile.store import ProfileStore

_ID_CHARACTERS = 32
Context = grpc.aio.ServicerContext[object, object]


class PrivacyHandlers(privacy_pb2_grpc.PrivacyServiceServicer):
    """See the contract for shapes, limits and status codes."""

    def __init__(
        self,
        store: ProfileStore,
        ledger: Ledger,
        exporter: Exporter,
        control: ControlEvents,
        signer: Signer,
        witness: Witness,
        readmission: Readmission,
        *,
        reading: Callable[[], Reading | None],
        wake: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        """Ask for erasures in `ledger`; `wake` tells whoever carries them out."""
        self._store = store
        self._ledger = ledger
        self._exporter = exporter
        self._control = control
        self._signer = signer
        self._witness = witness
        self._readmission = readmission
        self._reading = reading
        self._wake = wake
        self._now = now

    async def ExportCustomer(
        self, request: privacy_pb2.ExportCustomerRequest, context: Context
    ) -> AsyncIterator[privacy_pb2.ExportCustomerResponse]:
        """All that is held, part by part."""
        try:
            profile = find(self._store, request.customer, self._reading())
            reason = check_reason(request.reason, profile, required=False)
            await self._witness.note(context, "customer.export", profile.profile_id, outcome="begun", reason=reason)
            async for part in self._exporter.export(profile):
                yield part
            await self._witness.note(context, "customer.export", profile.profile_id, reason=reason)
        except WaylineError as error:
            await abort_async(context, error)

    async def EraseCustomer(
        self, request: privacy_pb2.EraseCustomerRequest, context: Context
    ) -> privacy_pb2.EraseCustomerResponse:
        """Begin an erasure: from the answer on it is finished whatever happens."""
        try:
            key, known = look_up(self._store, request.customer, self._reading())
            # Without a profile there is much that may be held all the same; what is found, the receipt says.
            profile = known or profile_pb2.Profile(identifiers=[request.customer])
            reason = check_reason(request.reason, profile, required=True)
            self._signer.public_key()  # before anything is done: there must be a receipt
            asked = privacy_pb2.ErasureRequest(
                erasure_id=uuid4().hex,
                identity_keys=keys_of(profile, request.customer),
                profile_id=profile.profile_id or key.hex(),
                may_return=request.may_return,
            )
            asked.requested_at.FromDatetime(self._now())
            facts = {"erasure": asked.erasure_id, "may_return": str(request.may_return).lower()}
            await self._witness.note(
                context, "customer.erase", asked.profile_id, outcome="begun", reason=reason, facts=facts
            )
            await self._ledger.ask(asked)
        except WaylineError as error:
            await abort_async(context, error)
        self._wake()
        return privacy_pb2.EraseCustomerResponse(erasure_id=asked.erasure_id, no_profile=known is None)

    async def GetErasure(
        self, request: privacy_pb2.GetErasureRequest, context: Context
    ) -> privacy_pb2.GetErasureResponse:
        """How far it is."""
        try:
            return self._progress(request.erasure_id)
        except WaylineError as error:
            await abort_async(context, error)

    async def GetReceiptKey(
        self,
        request: privacy_pb2.GetReceiptKeyRequest,  # noqa: ARG002
        context: Context,
    ) -> privacy_pb2.GetReceiptKeyResponse:
        """The public key."""
        try:
            return privacy_pb2.GetReceiptKeyResponse(public_key=self._signer.public_key())
        except WaylineError as error:
            await abort_async(context, error)

    async def RestrictCustomer(
        self, request: privacy_pb2.RestrictCustomerRequest, context: Context
    ) -> privacy_pb2.RestrictCustomerResponse:
        """Restrict, or lift it."""
        try:
            profile = find(self._store, request.customer, self._reading())
            reason = check_reason(request.reason, profile, required=True)
            action = "customer.restrict" if request.restricted else "customer.release"
            await self._witness.note(context, action, profile.profile_id, reason=reason)
            keys = keys_of(profile, request.customer)
            token = await self._control.publish_restrictions(keys, request.restricted, uuid4().hex, self._now())
        except WaylineError as error:
            await abort_async(context, error)
        return privacy_pb2.RestrictCustomerResponse(token=token)

    async def ReadmitIdentifiers(
        self, request: privacy_pb2.ReadmitIdentifiersRequest, context: Context
    ) -> privacy_pb2.ReadmitIdentifiersResponse:
        """Take events of erased identifiers again."""
        try:
            reading = self._reading()
            keys = checked(request.identifiers, reading.definitions.identity.kinds if reading else None)
            reason = check_reason(request.reason, profile_pb2.Profile(identifiers=request.identifiers), required=True)
            suppressed = await self._readmission.suppressed(keys)
            if not suppressed:
                raise NotFound("identifiers: none of them is suppressed")
            for key in suppressed:
                await self._witness.note(context, "customer.readmit", key.hex(), reason=reason)
            await self._readmission.readmit(suppressed)
        except WaylineError as error:
            await abort_async(context, error)
        return privacy_pb2.ReadmitIdentifiersResponse(readmitted=len(suppressed))

    def _progress(self, erasure_id: str) -> privacy_pb2.GetErasureResponse:
        if len(erasure_id) != _ID_CHARACTERS or not set(erasure_id) <= set("0123456789abcdef"):
            raise InvalidField("erasure_id", "expected 32 hexadecimal digits, as in the answer of EraseCustomer")
        if receipt := self._ledger.receipt(erasure_id):
            return privacy_pb2.GetErasureResponse(state=privacy_pb2.ERASURE_STATE_DONE, receipt=receipt)
        if pending := self._ledger.find(erasure_id):
            places = [place for place in pending.streams.values() if place.until > 0]
            return privacy_pb2.GetErasureResponse(
                state=pending.state,
                done=sum(place.cursor for place in places),
                total=sum(place.until for place in places),
            )
        if self._ledger.request_of(erasure_id):
            return privacy_pb2.GetErasureResponse(state=privacy_pb2.ERASURE_STATE_REQUESTED)
        raise NotFound("erasure_id: no such erasure was asked for here")


def keys_of(profile: profile_pb2.Profile, customer: events_pb2.Identifier) -> list[bytes]:
    """Every identity key of a customer, sorted."""
    return sorted(of_profile(profile) | {identity_key(customer.kind, customer.value)})
