"""Writes down who asked for what before it is done: what cannot be written down is not done."""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from wayline.audit import AuditLog, actor_of
from wayline.errors import InvalidField
from wayline.v1 import profile_pb2

MAX_REASON_CHARACTERS = 200
_SHORTEST_NAME = 3
Context = grpc.aio.ServicerContext[object, object]
_EMPTY: Mapping[str, str] = {}


class Witness:
    """The audit log, as handlers of gRPC use it.

    Reads are treated as all else: when NATS is away, a person who wants to look at a profile has to wait. Decisions do
    not come by here.
    """

    def __init__(self, audit: AuditLog) -> None:
        """Write to `audit`."""
        self._audit = audit

    async def note(
        self,
        context: Context,
        action: str,
        subject: str,
        *,
        outcome: str = "done",
        reason: str = "",
        facts: Mapping[str, str] = _EMPTY,
    ) -> None:
        """Write an entry, and wait until it is stored.

        Raises:
            Retryable, LimitExceeded: it could not be stored; do not go on.
        """
        said = {str(key): value for key, value in context.invocation_metadata() or ()}
        await self._audit.append(
            action, actor=actor_of(said), subject=subject, outcome=outcome, reason=reason, facts=facts
        )

    async def note_audience(self, context: Context, action: str, audience: str, customers: int) -> None:
        """The same for a read of many.

        Raises: see `note`.
        """
        await self.note(context, action, f"audience:{audience}", facts={"customers": str(customers)})


def check_reason(reason: str, profile: profile_pb2.Profile, *, required: bool) -> str:
    """The reason as it may be kept: the audit log outlives the customer's data, so it must not name her.

    Raises:
        InvalidField: it is missing, too long, not printable, or holds one of the customer's identifiers.
    """
    text = " ".join(reason.split())
    if not text and required:
        raise InvalidField("reason", "expected a few words, for instance the number of the request")
    if len(text) > MAX_REASON_CHARACTERS or not text.isprintable():
        raise InvalidField("reason", f"expected at most {MAX_REASON_CHARACTERS} printable characters")
    lower = text.lower()
    if any(len(one.value) >= _SHORTEST_NAME and one.value.lower() in lower for one in profile.identifiers):
        raise InvalidField("reason", "expected no identifier of the customer: the audit log is kept after an erasure")
    return text
