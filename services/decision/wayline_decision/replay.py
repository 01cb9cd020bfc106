"""Explain: find a decision's record, and decide anew from it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from math import isclose

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from wayline.bus import DECISION_SUBJECT, DECISIONS
from wayline.catalog.store import CatalogStore
from wayline.errors import InvalidField, NotFound, Retryable
from wayline.registry import Registry
from wayline.v1 import decision_pb2
from wayline_decision.codec import question_of, read_request
from wayline_decision.core.decide import decide
from wayline_decision.core.plan import compile_plan
from wayline_decision.engine import State, state_of
from wayline_decision.models import fit, load
from wayline_decision.views import Entry

_LATEST = timedelta(seconds=60)
"""A record that is not in the stream so long after its decision never was."""
_EARLIEST_MS, _LATEST_MS = 1_577_836_800_000, 7_258_118_400_000
"""2020 to 2200: no decision was made at any other time."""
_FETCH = 64
_FLOAT32_ROUNDING = 1e-5
_KEPT_STATES = 4


class Replayer:
    """Decides recorded decisions anew, under the catalogue and the models that they were made with."""

    def __init__(self, js: JetStreamContext, catalogs: CatalogStore, registry: Registry) -> None:
        """Read records, catalogues and models from JetStream."""
        self._js = js
        self._catalogs = catalogs
        self._registry = registry
        self._states: OrderedDict[tuple[object, ...], State] = OrderedDict()

    async def explain(self, decision_id: str) -> decision_pb2.ExplainResponse:
        """The record, and the decision made anew with all that was dropped.

        Raises:
            InvalidField: this is no decision id.
            NotFound: there is no such record, or it is over its age.
            Retryable: JetStream cannot be reached.
        """
        try:
            record = await self.find(decision_id)
            state = await self._state(record)
        except (nats.errors.Error, APIError, TimeoutError) as error:
            raise Retryable(f"decision records cannot be read: {error!r}") from error
        decision = decide_anew(record, state)
        return decision_pb2.ExplainResponse(record=record, decision=decision, reproduced=_same(record, decision))

    async def find(self, decision_id: str) -> decision_pb2.DecisionRecord:
        """The record of a decision: its id says when it was made, and records arrive within moments of that.

        Raises: see `explain`.
        """
        made = _made_at(decision_id)
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=made,
            filter_subject=DECISION_SUBJECT,
            inactive_threshold=10.0,
            mem_storage=True,
        )
        subscription = await self._js.pull_subscribe(DECISION_SUBJECT, stream=DECISIONS, config=config)
        try:
            while True:
                try:
                    messages = await subscription.fetch(_FETCH, timeout=0.5)
                except (TimeoutError, nats.errors.TimeoutError):
                    raise _not_found(decision_id) from None
                for message in messages:
                    if decision_id.encode() in message.data:
                        for record in decision_pb2.DecisionRecordBundle.FromString(message.data).records:
                            if record.decision_id == decision_id:
                                return record
                if messages[-1].metadata.timestamp.astimezone(UTC) > made + _LATEST:
                    raise _not_found(decision_id)
        finally:
            await subscription.unsubscribe()

    async def _state(self, record: decision_pb2.DecisionRecord) -> State:
        key = (record.catalog_revision, *sorted(record.model_versions.items()))
        if key not in self._states:
            catalog = await self._catalogs.fetch(record.catalog_revision)
            plan = await asyncio.to_thread(compile_plan, catalog, record.catalog_revision)
            champions = {
                name: await load(self._registry, name, version) for name, version in record.model_versions.items()
            }
            self._states[key] = state_of(plan, fit(plan, champions))
            while len(self._states) > _KEPT_STATES:
                self._states.popitem(last=False)
        self._states.move_to_end(key)
        return self._states[key]


def decide_anew(record: decision_pb2.DecisionRecord, state: State) -> decision_pb2.DecideResponse:
    """Decide from a record, by its own clock, and say all that was dropped."""
    asked = read_request(record.request, b"", state.plan, state.situations)
    entry = None
    if record.HasField("view"):
        entry = Entry(record.view)
    reachable = record.personalisation != decision_pb2.PERSONALISATION_UNAVAILABLE
    question = question_of(asked, entry, state.plan, reachable=reachable)
    now = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=record.decided_at.ToMicroseconds())
    decision = decide(state.plan, state.models, [question], now)[0]
    data = state.writer.response(
        record.decision_id, decision, asked.situation.warnings, stale=record.stale, explain=True
    )
    return decision_pb2.DecideResponse.FromString(data)


def _same(record: decision_pb2.DecisionRecord, decision: decision_pb2.DecideResponse) -> bool:
    """Whether the same was chosen with the same priorities.

    Priorities may differ in what float32 cannot hold: a model that scores a batch adds up in another order than for one
    customer.
    """
    made = [(filled.placement, one) for filled in decision.placements for one in filled.selections]
    return len(made) == len(record.selections) and all(
        (placement, one.action, one.treatment) == (kept.placement, kept.action, kept.treatment)
        and isclose(one.score.priority, kept.priority, rel_tol=_FLOAT32_ROUNDING)
        for (placement, one), kept in zip(made, record.selections, strict=True)
    )


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
