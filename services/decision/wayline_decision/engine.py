"""The engine: requests in, answers out, records beside. What it decides with is one object, swapped at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from wayline.errors import InvalidField, LimitExceeded, Retryable
from wayline.v1 import decision_pb2
from wayline_decision.codec import Asked, question_of, read_request
from wayline_decision.core.decide import Prepared, conclude, prepare
from wayline_decision.core.experiments import AS_EVERYBODY, Assignment
from wayline_decision.ledger import Customer, Ledger
from wayline_decision.records import RecordLog
from wayline_decision.states import AS_IS, State, variant_of
from wayline_decision.views import Entry, ViewCache
from wayline_decision.wire import Particulars, Written, batch_response

AT_LEAST_SECONDS = 2.0
MAX_BATCH = 1_000
_SEED_BITS = 32
"""They take five bytes of a record; 64 would take ten, and a microsecond more to write."""
_TURN = 64
"""Decisions of a batch in one go; between two goes, single requests have their turn."""
_RESERVE = 0.1
"""The part of a caller's remaining time that is kept for deciding and for the way back, at least 20 ms."""
_LEAST_RESERVE_SECONDS = 0.02


M = TypeVar("M", bound=Message)


class Case(NamedTuple):
    """A request with what is known of its customer, and the state that decides it."""

    state: State
    asked: Asked
    entry: Entry | None
    reachable: bool
    lot: bytes
    assignment: Assignment


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
    ) -> None:
        """Begin without a state: decisions wait for the first catalogue. What waits for events does so in `waiting`."""
        self._views = views
        self._records = records
        self._ledger = Ledger() if ledger is None else ledger
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

    def use(self, state: State) -> None:
        """Decide with another plan or other models from the next request on."""
        self._state = state

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
        case = case_of(state, asked, looked.entries.get(asked.key), reachable=looked.reachable)
        with self._turn:
            return self._answer([case], self._clock(), stale=stale)[0]

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
        cases = [
            case_of(state, one, looked.entries.get(one.key), reachable=one.key in looked.entries or looked.reachable)
            for one in asked
        ]
        answers: list[bytes] = []
        for start in range(0, len(cases), _TURN):
            with self._turn:
                answers += self._answer(cases[start : start + _TURN], self._clock(), stale=stale)
        taken = iter(answers)
        return batch_response(
            errors[position] if position in errors else next(taken) for position in range(len(requests))
        )

    def _answer(self, cases: Sequence[Case], now: datetime, *, stale: bool) -> list[bytes]:
        """Score all at once, then decide one after the other: each takes what it chose before the next is decided."""
        seeds = [random.getrandbits(_SEED_BITS) for _ in cases]
        return [
            self._conclude(case, one, seed, now, stale=stale and bool(case.asked.request.at_least))
            for case, one, seed in zip(cases, _prepared(cases, seeds, now), seeds, strict=True)
        ]

    def _conclude(self, case: Case, prepared: Prepared, seed: int, now: datetime, *, stale: bool) -> bytes:
        plan, asked = case.state.plan, case.asked
        request = asked.request
        customer = Customer(case.entry.profile_id if case.entry else asked.key, request.customer)
        limits, exhausted = self._ledger.limits(plan, customer, prepared.question.known, now)
        decision = conclude(plan, case.state.models, prepared, now, limits)
        decision_id = _decision_id(now)
        self._ledger.take(plan, customer, decision, decision_id, now)
        view = case.entry.encoded if case.entry else b""
        particulars = Particulars(decision_id, asked.data, view, seed, now, stale, exhausted, limits.reserved)
        writer = case.state.writer
        self._records.append(Written(writer, particulars, decision))
        return writer.response(decision_id, decision, asked.situation.warnings, stale=stale, explain=request.explain)

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


def case_of(state: State, asked: Asked, entry: Entry | None, *, reachable: bool) -> Case:
    """Draw the lots of experiments, and see which state decides then."""
    plan = state.plan
    lot = (entry.lot if entry else b"") or asked.key
    if plan.experiments.empty:
        return Case(state, asked, entry, reachable, lot, AS_EVERYBODY)
    assignment = plan.experiments.assign(lot, [one.id for one, _ in asked.placements])
    wanted = variant_of(assignment)
    if wanted == AS_IS:
        return Case(state, asked, entry, reachable, lot, assignment)
    variant = state.variants.get(wanted)
    try:
        if variant is None:
            raise InvalidField("catalog", "the revision that an arm names is not there")
        asked = read_request(asked.request, asked.data, variant.plan, variant.situations)
    except InvalidField:
        # Another revision may lack the placement, or declare the context in another way. Who gets what everybody gets
        # must not count as a customer of the arm.
        return Case(state, asked, entry, reachable, lot, replace(assignment, arms=(), control=None))
    # Rows of the variant's catalogue have other numbers.
    withheld = variant.plan.experiments.assign(lot, ()).withheld
    return Case(variant, asked, entry, reachable, lot, replace(assignment, withheld=withheld))


def _prepared(cases: Sequence[Case], seeds: Sequence[int], now: datetime) -> list[Prepared]:
    """The cases' questions, scored: those of one state at once."""
    questions = [
        question_of(
            case.asked,
            case.entry,
            case.state.plan,
            reachable=case.reachable,
            lot=case.lot,
            assignment=case.assignment,
            seed=seed,
        )
        for case, seed in zip(cases, seeds, strict=True)
    ]
    first = cases[0].state
    if len(cases) == 1 or all(case.state is first for case in cases):
        return prepare(first.plan, first.models, questions, now)
    found: dict[int, Prepared] = {}
    for state in {id(case.state): case.state for case in cases}.values():
        places = [at for at, case in enumerate(cases) if case.state is state]
        prepared = prepare(state.plan, state.models, [questions[at] for at in places], now)
        found.update(zip(places, prepared, strict=True))
    return [found[at] for at in range(len(cases))]


def _parse(kind: type[M], data: bytes) -> M:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidField("request", f"the bytes are not a {kind.DESCRIPTOR.name}") from None


def _decision_id(now: datetime) -> str:
    """32 hexadecimal digits: 48 bits of milliseconds, by which `Explain` finds the record, and 80 random bits."""
    return f"{int(now.timestamp() * 1_000):012x}{random.getrandbits(80):020x}"
