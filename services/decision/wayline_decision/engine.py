"""The engine: requests in, answers out, records beside. What it decides with is one object, swapped at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from wayline.errors import InvalidField, LimitExceeded, Retryable
from wayline.v1 import decision_pb2
from wayline_decision.answers import batch_response
from wayline_decision.breaker import REFUSED, Breaker
from wayline_decision.case import Case, case_of, prepared_of, without_models
from wayline_decision.codec import Asked, read_request
from wayline_decision.core.decide import conclude
from wayline_decision.core.decision import Prepared
from wayline_decision.core.timetable import milliseconds
from wayline_decision.deadline import Deadline
from wayline_decision.fallback import BREAKER_OPEN, OUT_OF_TIME, FellBack
from wayline_decision.ledger import Customer, Ledger
from wayline_decision.particulars import Particulars
from wayline_decision.record_writer import Written
from wayline_decision.records import RecordLog
from wayline_decision.states import State
from wayline_decision.views import ViewCache

AT_LEAST_SECONDS = 2.0
BUDGET_SECONDS = 0.25
MAX_BATCH = 1_000
_SEED_BITS = 32
"""They take five bytes of a record; 64 would take ten, and a microsecond more to write."""
_TURN = 64
"""Decisions of a batch in one go; between two goes, single requests have their turn."""
_WEIGHT = 0.1
"""Of the latest decision in what decisions take."""
_SHORT_WAIT_SECONDS = 0.02
"""Other threads are not given this one's place for less."""

M = TypeVar("M", bound=Message)


class Suppressed(Protocol):
    """The identity keys of erased customers."""

    def __len__(self) -> int:
        """How many there are."""

    def holds(self, keys: Collection[bytes]) -> bool:
        """Whether one of `keys` is among them."""


def now_utc() -> datetime:
    """The clock of decisions."""
    return datetime.fromtimestamp(time.time(), UTC)


class Engine:
    """Decides, with whatever state is current."""

    def __init__(
        self,
        views: ViewCache,
        records: RecordLog,
        ledger: Ledger | None = None,
        *,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], datetime] = now_utc,
        breaker: Breaker | None = None,
        budget_seconds: float = BUDGET_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        suppressed: Suppressed | None = None,
    ) -> None:
        """Begin without a state: decisions wait for the first catalogue.

        Args:
            views: of customers.
            records: takes the records.
            ledger: what decisions take from each other; None: with the usual limits.
            waiting: what waits for others does so in it.
            clock: by which rules are judged.
            breaker: is told of decisions that came too late; None: one with the usual limits.
            budget_seconds: later than that is too late, whatever the caller's deadline.
            monotonic: by which deadlines are.
            suppressed: whose decisions are made as for strangers, and are neither recorded nor told to anybody. It may
                grow and shrink meanwhile; None: nobody's.
        """
        self._views = views
        self._records = records
        self._ledger = Ledger() if ledger is None else ledger
        self._waiting = waiting
        self._clock = clock
        self._breaker = Breaker() if breaker is None else breaker
        self._budget_seconds = budget_seconds
        self._monotonic = monotonic
        self._suppressed = suppressed
        self._typical_seconds = 0.0
        """What a decision takes of late, once it is its turn."""
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

    def use(self, state: State) -> None:
        """Decide with another plan or other models from the next request on."""
        self._state = state

    def decide(self, data: bytes, remaining_seconds: float | None) -> bytes:
        """One decision. What is not ready within the caller's deadline is left out, and the answer says so.

        Args:
            data: a DecideRequest, as it came: the record keeps these bytes.
            remaining_seconds: of the caller's deadline; None when it has none.

        Returns:
            A DecideResponse, encoded.

        Raises:
            InvalidField: the request is wrong.
            Retryable: no catalogue yet.
        """
        answer = self.decide_at_once(data, remaining_seconds)
        return answer if isinstance(answer, bytes) else answer()

    def decide_at_once(self, data: bytes, remaining_seconds: float | None) -> bytes | Callable[[], bytes]:
        """The same, if it has to wait for nothing: else what is left to do, to be called where waiting does no harm."""
        begun = self._monotonic()
        state = self.state
        asked = read_request(_parse(decision_pb2.DecideRequest, data), data, state.plan, state.situations)
        ticket = self._breaker.admit(begun)
        if ticket == REFUSED:
            return self._fall_back(state, asked, BREAKER_OPEN, stale=asked.waits)
        deadline = Deadline(begun, remaining_seconds, self._typical_seconds)
        erased = self._is_erased(asked)
        entry = None if erased else self._views.held(asked.key)
        ready = (erased or entry is not None) and (not asked.waits or self._views.wait_for(asked.request.at_least, 0.0))
        if not ready or not self._turn.acquire(blocking=False):
            return lambda: self._timed(ticket, deadline, lambda: self._decide_patiently(state, asked, deadline))
        try:
            return self._timed(
                ticket,
                deadline,
                lambda: self._answer_one(case_of(state, asked, entry, reachable=True), deadline, stale=False),
            )
        finally:
            self._turn.release()

    def _timed(self, ticket: int, deadline: Deadline, answer: Callable[[], bytes]) -> bytes:
        """Answer, and tell the breaker whether that came too late."""
        ended, breached = self._monotonic(), True  # a defect counts as one
        try:
            given = answer()
            ended = self._monotonic()
            breached = deadline.breached(ended, self._budget_seconds)
            return given
        finally:
            self._breaker.record(ticket, ended, breached=breached)

    def _decide_patiently(self, state: State, asked: Asked, deadline: Deadline) -> bytes:
        stale = asked.waits and not self._await_events([asked], deadline)
        if self._is_erased(asked):
            case = case_of(state, asked, None, reachable=True)
        else:
            looked = self._views.get((asked.key,), deadline.patience(self._monotonic()))
            case = case_of(state, asked, looked.entries.get(asked.key), reachable=looked.reachable)
        if not self._turn.acquire(blocking=False) and not self._wait_for_turn(deadline):
            return self._fall_back(state, asked, OUT_OF_TIME, stale=stale)
        try:
            return self._answer_one(case, deadline, stale=stale)
        finally:
            self._turn.release()

    def _answer_one(self, case: Case, deadline: Deadline, *, stale: bool) -> bytes:
        """On its turn."""
        begun = self._monotonic()
        if deadline.presses(begun):
            case = without_models(case)
        answer = self._answer([case], self._clock(), stale=stale)[0]
        self._typical_seconds += _WEIGHT * (self._monotonic() - begun - self._typical_seconds)
        return answer

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
        deadline = Deadline(self._monotonic(), remaining_seconds, self._typical_seconds)
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
        waiting = [one for one in asked if one.waits]
        stale = bool(waiting) and not self._await_events(waiting, deadline)
        erased = {one.key for one in asked if self._is_erased(one)}
        looked = self._views.get(
            [one.key for one in asked if one.key not in erased], deadline.patience(self._monotonic())
        )
        cases = [
            case_of(
                state,
                one,
                looked.entries.get(one.key),
                reachable=one.key in erased or one.key in looked.entries or looked.reachable,
            )
            for one in asked
        ]
        answers: list[bytes] = []
        for start in range(0, len(cases), _TURN):
            if self._turn.acquire(blocking=False) or self._wait_for_turn(deadline):
                try:
                    answers += self._answer(cases[start : start + _TURN], self._clock(), stale=stale)
                finally:
                    self._turn.release()
            else:
                answers += [
                    self._fall_back(state, one, OUT_OF_TIME, stale=stale and one.waits)
                    for one in asked[start : start + _TURN]
                ]
        taken = iter(answers)
        return batch_response(
            [errors[position] if position in errors else next(taken) for position in range(len(requests))]
        )

    def _answer(self, cases: Sequence[Case], now: datetime, *, stale: bool) -> list[bytes]:
        """Score all at once, then decide one after the other: each takes what it chose before the next is decided."""
        seeds = [random.getrandbits(_SEED_BITS) for _ in cases]
        prepared = prepared_of(cases, seeds, now)
        return [
            self._conclude(case, prepared[at], seeds[at], now, stale=stale and case.asked.waits)
            for at, case in enumerate(cases)
        ]

    def _conclude(self, case: Case, prepared: Prepared, seed: int, now: datetime, *, stale: bool) -> bytes:
        plan, asked = case.state.plan, case.asked
        request = asked.request
        customer = Customer((asked.key, case.entry.profile_id) if case.entry else (asked.key,), request.customer)
        decision_id = _decision_id(now)
        with self._ledger.alone(plan, customer):
            limits, exhausted = self._ledger.limits(plan, customer, prepared.question.known, now)
            decision = conclude(plan, case.state.models, prepared, now, limits)
            erased = self._is_erased(asked)
            if not erased:
                self._ledger.take(plan, case.state.counted, customer, decision, decision_id, now)
        if not erased:
            view = case.entry.encoded if case.entry else b""
            particulars = Particulars(decision_id, asked.data, view, seed, now, stale, exhausted, limits.reserved)
            self._records.append(Written(case.state.records, particulars, decision))
        return case.state.answers.response(
            decision_id, decision, asked.situation.warnings, stale=stale, explain=request.explain
        )

    def _fall_back(self, state: State, asked: Asked, reason: str, *, stale: bool) -> bytes:
        now = self._clock()
        fell_back = FellBack(state.plan, asked, _decision_id(now), now, stale, reason)
        if not self._is_erased(asked):
            self._records.append(fell_back)
        return fell_back.response().SerializeToString()

    def _is_erased(self, asked: Asked) -> bool:
        """Asked anew before each step, since the customer may be erased between two of them."""
        suppressed = self._suppressed
        return suppressed is not None and bool(len(suppressed)) and suppressed.holds((asked.key,))

    def _wait_for_turn(self, deadline: Deadline) -> bool:
        """Whether the turn came in time; then the caller gives it back."""
        patience = deadline.patience_for_turn(self._monotonic())
        if self._turn.acquire(timeout=min(patience, _SHORT_WAIT_SECONDS)):
            return True
        if patience <= _SHORT_WAIT_SECONDS:
            return False
        with self._waiting():  # something hangs: other requests must have a thread that tells them so
            return self._turn.acquire(timeout=patience - _SHORT_WAIT_SECONDS)

    def turn_comes(self, within_seconds: float) -> bool:
        """Whether a decision would have its turn in that time: none of those before it hangs."""
        if not self._turn.acquire(timeout=within_seconds):
            return False
        self._turn.release()
        return True

    def _await_events(self, asked: Sequence[Asked], deadline: Deadline) -> bool:
        tokens = [token for one in asked for token in one.request.at_least]
        if self._views.wait_for(tokens, 0.0):
            return True
        begun = self._monotonic()
        with self._waiting():
            patience = deadline.patience_for_events(begun)
            arrived = self._views.wait_for(tokens, max(0.0, min(AT_LEAST_SECONDS, patience)))
        deadline.waited_seconds = self._monotonic() - begun
        return arrived


def _parse(kind: type[M], data: bytes) -> M:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidField("request", f"the bytes are not a {kind.DESCRIPTOR.name}") from None


def _decision_id(now: datetime) -> str:
    """32 hexadecimal digits: 48 bits of milliseconds, by which `Explain` finds the record, and 80 random bits."""
    return (milliseconds(now) << 80 | random.getrandbits(80)).to_bytes(16, "big").hex()
