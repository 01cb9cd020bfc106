"""Explain: find a decision's record, and decide anew from it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import nats.errors
from nats.js import JetStreamContext
from nats.js.errors import APIError

from wayline.bus import DECISION_SUBJECT, DECISIONS, rewritten_subject
from wayline.catalog.store import CatalogStore
from wayline.errors import InvalidField, NotFound, Retryable
from wayline.registry import Registry
from wayline.v1 import decision_pb2
from wayline_decision.explanation import explanation
from wayline_decision.history import stored_since
from wayline_decision.past import PastStates

_LATEST = timedelta(seconds=60)
"""A record that is not in the stream so long after its decision never was."""
_EARLIEST_MS, _LATEST_MS = 1_577_836_800_000, 7_258_118_400_000
"""2020 to 2200: no decision was made at any other time."""
_FETCH = 64
_IDLE_SECONDS = 10.0


class Replayer:
    """Decides recorded decisions anew, under the catalogue and the models that they were made with."""

    def __init__(self, js: JetStreamContext, catalogs: CatalogStore, registry: Registry) -> None:
        """Read records, catalogues and models from JetStream."""
        self._js = js
        self._states = PastStates(catalogs, registry)
        self._turn = asyncio.Lock()

    async def explain(self, decision_id: str) -> decision_pb2.ExplainResponse:
        """The record, the decision made anew with all that was dropped, and what led to it.

        Raises:
            InvalidField: this is no decision id.
            NotFound: there is no such record, or it is over its age.
            Retryable: JetStream cannot be reached.
        """
        try:
            record = await self.find(decision_id)
            # One at a time: what a state keeps is for one thread.
            async with self._turn:
                past = await self._states.of(record)
                return await asyncio.to_thread(explanation, record, past)
        except (nats.errors.Error, APIError, TimeoutError) as error:
            raise Retryable(f"decision records cannot be read: {error!r}") from error

    async def find(self, decision_id: str) -> decision_pb2.DecisionRecord:
        """The record of a decision: its id says when it was made, and records arrive within moments of that.

        Its bundle may have been written anew since, without the decisions for a customer who was erased: then its
        subject says the hour of its first decision.

        Raises: see `explain`.
        """
        made = _made_at(decision_id)
        record = await self._find(decision_id, DECISION_SUBJECT, made, made + _LATEST)
        near = (made + _LATEST, made, made - timedelta(hours=1))
        for subject in dict.fromkeys(rewritten_subject(int(at.timestamp())) for at in near):
            record = record or await self._find(decision_id, subject, made, None)
        if record is None:
            raise _not_found(decision_id)
        return record

    async def _find(
        self, decision_id: str, subject: str, since: datetime, until: datetime | None
    ) -> decision_pb2.DecisionRecord | None:
        subscription = await stored_since(self._js, DECISIONS, subject, since, _IDLE_SECONDS)
        try:
            if until is None and not (await subscription.consumer_info()).num_pending:
                return None
            while True:
                try:
                    messages = await subscription.fetch(_FETCH, timeout=0.5)
                except (TimeoutError, nats.errors.TimeoutError):
                    return None
                for message in messages:
                    if decision_id.encode() in message.data:
                        for record in decision_pb2.DecisionRecordBundle.FromString(message.data).records:
                            if record.decision_id == decision_id:
                                return record
                if until is not None and messages[-1].metadata.timestamp.astimezone(UTC) > until:
                    return None
        finally:
            await subscription.unsubscribe()


def _made_at(decision_id: str) -> datetime:
    if len(decision_id) != 32 or not set(decision_id) <= set("0123456789abcdef"):
        raise InvalidField("decision_id", "expected 32 hexadecimal digits, as in the answer of Decide")
    milliseconds = int(decision_id[:12], 16)
    if not _EARLIEST_MS <= milliseconds < _LATEST_MS:
        raise _not_found(decision_id)
    # A clock that is a little behind must not hide the record.
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds - 1_000)


def _not_found(decision_id: str) -> NotFound:
    return NotFound(
        f"decision_id: no record of {decision_id}. Records arrive within a second and are kept for a limited time "
        "(WAYLINE_DECISIONS_MAX_AGE_DAYS)"
    )
