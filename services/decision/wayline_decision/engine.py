"""The engine: requests in, answers out, records beside. What it decides with is one object, swapped at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from wayline.errors import InvalidField, LimitExceeded, Retryable
from wayline.v1 import decision_pb2
from wayline_decision.codec import Asked, Situations, question_of, read_request
from wayline_decision.core.decide import decide
from wayline_decision.core.plan import Plan
from wayline_decision.core.score import ModelInUse
from wayline_decision.records import RecordLog
from wayline_decision.views import Entry, ViewCache
from wayline_decision.wire import Writer, batch_response

AT_LEAST_SECONDS = 2.0
MAX_BATCH = 1_000
_TURN = 64
"""Decisions of a batch in one go; between two goes, single requests have their turn."""
_RESERVE = 0.1
"""The part of a caller's remaining time that is kept for deciding and for the way back, at least 20 ms."""
_LEAST_RESERVE_SECONDS = 0.02


M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class State:
    """A plan and the models that fit it. Requests hold on to the one they began with."""

    plan: Plan
    models: tuple[ModelInUse, ...]
    writer: Writer
    situations: Situations


def state_of(plan: Plan, models: tuple[ModelInUse, ...]) -> State:
    """Put a state together."""
    return State(plan, models, Writer(plan, {model.name: model.version for model in models}), Situations(plan.schema))


class Seen(NamedTuple):
    """What a decision knew of its customer."""

    entry: Entry | None
    reachable: bool = True


def now_utc() -> datetime:
    """The clock of decisions."""
    return datetime.fromtimestamp(time.time(), UTC)


class Engine:
    """Decides, with whatever state is current."""

    def __init__(
        self,
        views: ViewCache,
        records: RecordLog,
        *,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        """Begin without a state: decisions wait for the first catalogue. What waits for events does so in `waiting`."""
        self._views = views
        self._records = records
        self._waiting = waiting
        self._clock = clock
        self._state: State | None = None
        # One decision at a time: CEL and ONNX let go of the interpreter's lock for microseconds, and threads that
        # take turns at each of these spend more on switching than on deciding.
        self._turn = threading.Lock()

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

    def decide(self, data: bytes, remaining_seconds: float | None) -> bytes:
        """One decision.

        Args:
            data: a DecideRequest, as it came: the record keeps these bytes.
            remaining_seconds: of the caller's deadline; None when it has none.

        Returns:
            A DecideResponse, encoded.

        Raises:
            InvalidField: the request is wrong.
            Retryable: no catalogue yet.
        """
        state = self.state
        asked = read_request(_parse(decision_pb2.DecideRequest, data), data, state.plan, state.situations)
        stale = bool(asked.request.at_least) and not self._await_events([asked], remaining_seconds)
        looked = self._views.get((asked.key,), remaining_seconds)
        seen = Seen(looked.entries.get(asked.key), looked.reachable)
        return self._answer(state, [asked], [seen], stale=stale)[0]

    def decide_batch(self, data: bytes, remaining_seconds: float | None) -> bytes:
        """Decisions for many customers, each model run once. A request that is wrong harms no other.

        Args:
            data: a DecideBatchRequest.
            remaining_seconds: of the caller's deadline; None when it has none.

        Returns:
            A DecideBatchResponse, encoded.

        Raises:
            InvalidField: there are no requests.
            LimitExceeded: there are too many.
            Retryable: no catalogue yet.
        """
        requests = _parse(decision_pb2.DecideBatchRequest, data).requests
        if not requests:
            raise InvalidField("requests", f"expected 1 to {MAX_BATCH}, got none")
        if len(requests) > MAX_BATCH:
            raise LimitExceeded(f"requests: at most {MAX_BATCH} in one message, got {len(requests)}")
        state = self.state
        asked: list[Asked] = []
        errors: dict[int, str] = {}
        for position, request in enumerate(requests):
            try:
                prefix = f"requests[{position}]."
                asked.append(read_request(request, request.SerializeToString(), state.plan, state.situations, prefix))
            except InvalidField as error:
                errors[position] = str(error)
        waiting = [one for one in asked if one.request.at_least]
        stale = bool(waiting) and not self._await_events(waiting, remaining_seconds)
        looked = self._views.get([one.key for one in asked], remaining_seconds)
        seen = [Seen(looked.entries.get(one.key), one.key in looked.entries or looked.reachable) for one in asked]
        answers: list[bytes] = []
        for start in range(0, len(asked), _TURN):
            part = slice(start, start + _TURN)
            answers += self._answer(state, asked[part], seen[part], stale=stale)
        taken = iter(answers)
        return batch_response(
            errors[position] if position in errors else next(taken) for position in range(len(requests))
        )

    def _answer(self, state: State, asked: Sequence[Asked], seen: Sequence[Seen], *, stale: bool) -> list[bytes]:
        with self._turn:
            return self._answer_now(state, asked, seen, self._clock(), stale=stale)

    def _answer_now(
        self, state: State, asked: Sequence[Asked], seen: Sequence[Seen], now: datetime, *, stale: bool
    ) -> list[bytes]:
        questions = [
            question_of(one, known.entry, state.plan, reachable=known.reachable)
            for one, known in zip(asked, seen, strict=True)
        ]
        answers: list[bytes] = []
        for one, known, decision in zip(asked, seen, decide(state.plan, state.models, questions, now), strict=True):
            decision_id = _decision_id(now)
            late = stale and bool(one.request.at_least)
            view = known.entry.encoded if known.entry else b""
            self._records.append(state.writer.record(decision_id, one.data, view, decision, now, stale=late))
            explain = one.request.explain
            answers.append(
                state.writer.response(decision_id, decision, one.situation.warnings, stale=late, explain=explain)
            )
        return answers

    def _await_events(self, asked: Sequence[Asked], remaining_seconds: float | None) -> bool:
        tokens = [token for one in asked for token in one.request.at_least]
        patience = AT_LEAST_SECONDS
        if remaining_seconds is not None:
            reserve = max(_LEAST_RESERVE_SECONDS, _RESERVE * remaining_seconds)
            patience = max(0.0, min(patience, remaining_seconds - reserve))
        if self._views.wait_for(tokens, 0.0):
            return True
        with self._waiting():
            return self._views.wait_for(tokens, patience)


def _parse(kind: type[M], data: bytes) -> M:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidField("request", f"the bytes are not a {kind.DESCRIPTOR.name}") from None


def _decision_id(now: datetime) -> str:
    """32 hexadecimal digits: 48 bits of milliseconds, by which `Explain` finds the record, and 80 random bits."""
    return f"{int(now.timestamp() * 1_000):012x}{random.getrandbits(80):020x}"
