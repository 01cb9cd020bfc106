"""Explain: find a decision's record, and decide anew from it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

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
from wayline_decision.core.decide import Decision, Limits, Question, decide
from wayline_decision.engine import Case, case_of
from wayline_decision.models import load
from wayline_decision.states import State, compiled, fitted
from wayline_decision.views import Entry, met_of

_LATEST = timedelta(seconds=60)
"""A record that is not in the stream so long after its decision never was."""
_EARLIEST_MS, _LATEST_MS = 1_577_836_800_000, 7_258_118_400_000
"""2020 to 2200: no decision was made at any other time."""
_FETCH = 64
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
        anew = decide_anew(record, state)
        response = anew.response(record)
        return decision_pb2.ExplainResponse(record=record, decision=response, reproduced=reproduced(record, response))

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
            plan, variants = await compiled(catalog, record.catalog_revision, self._catalogs)
            champions = {
                name: await load(self._registry, name, version) for name, version in record.model_versions.items()
            }
            self._states[key] = await asyncio.to_thread(fitted, plan, variants, champions)
            while len(self._states) > _KEPT_STATES:
                self._states.popitem(last=False)
        self._states.move_to_end(key)
        return self._states[key]


class Anew(NamedTuple):
    """A recorded decision, made anew."""

    case: Case
    question: Question
    decision: Decision

    def response(self, record: decision_pb2.DecisionRecord) -> decision_pb2.DecideResponse:
        """As it would be answered, with all that was dropped."""
        data = self.case.state.writer.response(
            record.decision_id, self.decision, self.case.asked.situation.warnings, stale=record.stale, explain=True
        )
        return decision_pb2.DecideResponse.FromString(data)


def decide_anew(record: decision_pb2.DecisionRecord, state: State) -> Anew:
    """Decide from a record, by its own clock, seed and propensities, under the state that it names."""
    asked = read_request(record.request, b"", state.plan, state.situations)
    entry = Entry(record.view) if record.HasField("view") else None
    case = case_of(state, asked, entry, reachable=record.personalisation != decision_pb2.PERSONALISATION_UNAVAILABLE)
    plan = case.state.plan
    question = question_of(
        case.asked,
        entry,
        plan,
        reachable=case.reachable,
        lot=case.lot,
        assignment=case.assignment,
        seed=record.seed,
        recorded=record.propensities or None,
    )
    now = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=record.decided_at.ToMicroseconds())
    limits = Limits(plan.budgets.rows_of(record.exhausted), tuple(met_of(one) for one in record.reserved))
    return Anew(case, question, decide(plan, case.state.models, [question], now, limits)[0])


def reproduced(record: decision_pb2.DecisionRecord, decision: decision_pb2.DecideResponse) -> bool:
    """Whether the same was chosen with the same figures, bit for bit."""
    made = [
        decision_pb2.RecordedSelection(
            placement=filled.placement,
            action=one.action,
            treatment=one.treatment,
            priority=one.score.priority,
            propensity=one.score.propensity,
            selection_probability=one.selection_probability if one.HasField("selection_probability") else None,
        )
        for filled in decision.placements
        for one in filled.selections
    ]
    return made == list(record.selections) and dict(decision.experiments) == dict(record.experiments)


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
