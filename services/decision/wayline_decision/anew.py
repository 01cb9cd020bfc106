"""Replay: a recorded decision is made anew, from its record alone, and compared bit for bit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, NoReturn

from wayline.v1 import decision_pb2
from wayline_decision.case import Case, case_of
from wayline_decision.codec import read_request
from wayline_decision.core.decide import decide
from wayline_decision.core.decision import Decision, Limits
from wayline_decision.core.experiments import AS_EVERYBODY
from wayline_decision.core.plan import Plan
from wayline_decision.core.score import Models
from wayline_decision.fallback import FellBack, reason_of
from wayline_decision.states import State
from wayline_decision.views import Entry, met_of

_FAILED = re.compile(r"model:(.+)@(\d+) failed")


class Anew(NamedTuple):
    """A recorded decision, made anew."""

    case: Case
    decision: Decision
    fell_back: FellBack | None = None
    """There was no time to decide: this was answered."""

    @property
    def plan(self) -> Plan:
        """By which it was decided: an experiment's arm may have its own."""
        return self.case.state.plan

    def response(self, record: decision_pb2.DecisionRecord, *, explain: bool = True) -> decision_pb2.DecideResponse:
        """As it would be answered; with all that was dropped, if `explain`."""
        if self.fell_back is not None:
            return self.fell_back.response()
        data = self.case.state.answers.response(
            record.decision_id, self.decision, self.case.asked.situation.warnings, stale=record.stale, explain=explain
        )
        return decision_pb2.DecideResponse.FromString(data)


def decide_anew(record: decision_pb2.DecisionRecord, state: State) -> Anew:
    """Decide from a record, by its own clock, seed and propensities, under the state that it names.

    Raises:
        InvalidField: the state's catalogue lacks what the request asks for.
    """
    asked = read_request(record.request, b"", state.plan, state.situations)
    if reason := reason_of(record):
        return _fallen_back(record, Case(state, asked, None, False, asked.key, AS_EVERYBODY), reason)
    entry = Entry(record.view) if record.HasField("view") else None
    case = case_of(state, asked, entry, reachable=record.personalisation != decision_pb2.PERSONALISATION_UNAVAILABLE)
    plan = case.state.plan
    question = case.question(record.seed, record.propensities or None)
    models = _as_they_failed(case.state.models, record.notes)
    return Anew(case, decide(plan, models, [question], time_of(record), limits_of(record, plan))[0])


def _fallen_back(record: decision_pb2.DecisionRecord, case: Case, reason: str) -> Anew:
    """Nothing was judged: everything is as if it was used up."""
    plan, now = case.state.plan, time_of(record)
    decision = decide(plan, case.state.models, [case.question(0)], now, Limits(plan.everything))[0]
    return Anew(case, decision, FellBack(plan, case.asked, record.decision_id, now, record.stale, reason))


def time_of(record: decision_pb2.DecisionRecord) -> datetime:
    """By which rules were judged."""
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=record.decided_at.ToMicroseconds())


def limits_of(record: decision_pb2.DecisionRecord, plan: Plan) -> Limits:
    """What other decisions had left then."""
    return Limits(plan.budgets.rows_of(record.exhausted), tuple(met_of(one) for one in record.reserved))


def differences(record: decision_pb2.DecisionRecord, anew: Anew) -> list[str]:
    """What came out otherwise than the record says, in words; empty: the same was chosen with the same figures, bit for
    bit.
    """
    made = recorded(anew)
    found = []
    if made.personalisation != record.personalisation:
        name = decision_pb2.Personalisation.Name
        found.append(f"personalisation: {name(record.personalisation)} then, {name(made.personalisation)} now")
    if dict(made.experiments) != dict(record.experiments):
        found.append(f"experiments: {dict(record.experiments)} then, {dict(made.experiments)} now")
    if made.propensities != record.propensities:
        found.append("propensities: the models gave others, or to other candidates")
    if list(made.selections) != list(record.selections):
        found.append(f"selections: {_shown(record.selections)} then, {_shown(made.selections)} now")
    return found


def recorded(anew: Anew) -> decision_pb2.DecisionRecord:
    """What a record would say came out."""
    response = anew.response(decision_pb2.DecisionRecord(), explain=False)
    return decision_pb2.DecisionRecord(
        personalisation=response.personalisation,
        experiments=response.experiments,
        propensities=anew.decision.recorded,
        selections=[
            decision_pb2.RecordedSelection(
                placement=filled.placement,
                action=one.action,
                treatment=one.treatment,
                priority=one.score.priority,
                propensity=one.score.propensity,
                selection_probability=one.selection_probability if one.HasField("selection_probability") else None,
            )
            for filled in response.placements
            for one in filled.selections
        ],
    )


def _as_they_failed(models: Models, notes: Iterable[str]) -> Models:
    """With those failing that failed then: the same propensities are from the catalogue."""
    failed = {(found[1], int(found[2])) for note in notes if (found := _FAILED.match(note))}
    if not failed:
        return models
    in_use = [replace(one, encode=_fail) if (one.name, one.version) in failed else one for one in models.in_use]
    return models._replace(in_use=tuple(in_use))


def _fail(*_: object) -> NoReturn:
    raise RuntimeError("it failed when the decision was made")


def _shown(selections: Iterable[decision_pb2.RecordedSelection]) -> str:
    return (
        "; ".join(
            f"{one.placement} {one.action}/{one.treatment} priority {one.priority!r} propensity {one.propensity!r}"
            + (f" chance {one.selection_probability!r}" if one.HasField("selection_probability") else "")
            for one in selections
        )
        or "nothing"
    )
