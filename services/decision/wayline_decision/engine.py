"""The engine: requests in, answers out, records beside. What it decides with is one object, swapped at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from wayline.errors import InvalidField, Retryable
from wayline.v1 import decision_pb2
from wayline_decision.codec import Asked, Templates, question_of, read_request, write_record, write_response
from wayline_decision.core.decide import decide
from wayline_decision.core.plan import Plan
from wayline_decision.core.score import ModelInUse
from wayline_decision.records import RecordLog
from wayline_decision.views import Entry, ViewCache

AT_LEAST_SECONDS = 2.0
_RESERVE = 0.1
"""The part of a caller's remaining time that is kept for deciding and for the way back, at least 20 ms."""
_LEAST_RESERVE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class State:
    """A plan and the models that fit it. Requests hold on to the one they began with."""

    plan: Plan
    models: tuple[ModelInUse, ...]
    templates: Templates
    versions: Mapping[str, int]
    """Model to version."""


def state_of(plan: Plan, models: tuple[ModelInUse, ...]) -> State:
    """Put a state together."""
    return State(plan, models, Templates(plan), {model.name: model.version for model in models})


class Seen(NamedTuple):
    """What a decision knew of its customer."""

    entry: Entry | None
    reachable: bool = True


def now_utc() -> datetime:
    """The clock of decisions."""
    return datetime.fromtimestamp(time.time(), UTC)


class Engine:
    """Decides, with whatever state is current."""

    def __init__(self, views: ViewCache, records: RecordLog, clock: Callable[[], datetime] = now_utc) -> None:
        """Begin without a state: decisions wait for the first catalogue."""
        self._views = views
        self._records = records
        self._clock = clock
        self._state: State | None = None

    @property
    def state(self) -> State:
        """The current state.

        Raises:
            Retryable: no catalogue was applied yet.
        """
        if self._state is None:
            raise Retryable("no catalogue was applied yet; apply one with: wayline catalog apply DIR")
        return self._state

    def use(self, plan: Plan, models: tuple[ModelInUse, ...]) -> None:
        """Decide with another plan or other models from the next request on."""
        self._state = state_of(plan, models)

    def decide(
        self, request: decision_pb2.DecideRequest, remaining_seconds: float | None
    ) -> decision_pb2.DecideResponse:
        """One decision.

        Args:
            request: from outside.
            remaining_seconds: of the caller's deadline; None when it has none.

        Raises:
            InvalidField: the request is wrong.
            Retryable: no catalogue yet.
        """
        state = self.state
        asked = read_request(request, state.plan)
        stale = bool(request.at_least) and not self._await_events([request], remaining_seconds)
        looked = self._views.get((asked.key,), remaining_seconds)
        seen = Seen(looked.entries.get(asked.key), looked.reachable)
        return self._answer(state, [asked], [seen], stale=stale)[0]

    def decide_batch(
        self, requests: Sequence[decision_pb2.DecideRequest], remaining_seconds: float | None
    ) -> decision_pb2.DecideBatchResponse:
        """Decisions for many customers, each model run once. A request that is wrong harms no other.

        Raises:
            Retryable: no catalogue yet.
        """
        state = self.state
        asked: list[Asked] = []
        errors: dict[int, str] = {}
        for position, request in enumerate(requests):
            try:
                asked.append(read_request(request, state.plan, f"requests[{position}]."))
            except InvalidField as error:
                errors[position] = str(error)
        waiting = [one.request for one in asked if one.request.at_least]
        stale = bool(waiting) and not self._await_events(waiting, remaining_seconds)
        looked = self._views.get([one.key for one in asked], remaining_seconds)
        seen = [Seen(looked.entries.get(one.key), one.key in looked.entries or looked.reachable) for one in asked]
        answers = iter(self._answer(state, asked, seen, stale=stale))
        response = decision_pb2.DecideBatchResponse()
        for position in range(len(requests)):
            result = response.results.add()
            if position in errors:
                result.error = errors[position]
            else:
                result.decision.CopyFrom(next(answers))
        return response

    def _answer(
        self, state: State, asked: Sequence[Asked], seen: Sequence[Seen], *, stale: bool
    ) -> list[decision_pb2.DecideResponse]:
        now = self._clock()
        questions = [
            question_of(one, known.entry, state.plan, reachable=known.reachable)
            for one, known in zip(asked, seen, strict=True)
        ]
        answers: list[decision_pb2.DecideResponse] = []
        for one, known, decision in zip(asked, seen, decide(state.plan, state.models, questions, now), strict=True):
            response = write_response(
                _decision_id(now),
                one,
                decision,
                state.plan,
                state.templates,
                stale=stale and bool(one.request.at_least),
                explain=one.request.explain,
            )
            record = write_record(response, one, decision, state.versions, now)
            self._records.append(record, known.entry.encoded if known.entry else b"")
            answers.append(response)
        return answers

    def _await_events(self, requests: Sequence[decision_pb2.DecideRequest], remaining_seconds: float | None) -> bool:
        tokens = [token for request in requests for token in request.at_least]
        patience = AT_LEAST_SECONDS
        if remaining_seconds is not None:
            reserve = max(_LEAST_RESERVE_SECONDS, _RESERVE * remaining_seconds)
            patience = max(0.0, min(patience, remaining_seconds - reserve))
        return self._views.wait_for(tokens, patience)


def _decision_id(now: datetime) -> str:
    """32 hexadecimal digits: 48 bits of milliseconds, by which `Explain` finds the record, and 80 random bits."""
    return f"{int(now.timestamp() * 1_000):012x}{random.getrandbits(80):020x}"
