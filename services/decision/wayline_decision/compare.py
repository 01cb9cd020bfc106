"""Recorded decisions beside what another catalogue and other models would have decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b
from itertools import groupby
from typing import NamedTuple

from wayline.errors import InvalidField
from wayline.v1 import decision_pb2
from wayline_decision.codec import question_of, read_request
from wayline_decision.core.changes import Changes, Pick, Place
from wayline_decision.core.decide import Prepared, conclude, prepare
from wayline_decision.core.decision import Decision, Filled, Limits, Question
from wayline_decision.core.evidence import SILENCE, Evidence
from wayline_decision.core.plan import Plan
from wayline_decision.engine import case_of
from wayline_decision.states import State
from wayline_decision.views import Entry, met_of

UNKNOWN = "(not known)"
DRAWS = 16
"""So often an exploring placement is filled, by other lots each time, to see how often each action comes first."""
_EPOCH = datetime.fromtimestamp(0, UTC)
Record = decision_pb2.DecisionRecord
Recorded = decision_pb2.RecordedSelection
Reward = Callable[[str, str], float]
"""Decision id and action to the reward, 0 to 1."""


class _Asked(NamedTuple):
    """A recorded question, as the other catalogue reads it."""

    record: Record
    state: State
    """That of the customer's arms."""
    question: Question
    gone: tuple[str, ...]
    """Placements that the other catalogue does not have."""

    @property
    def now(self) -> datetime:
        """When it was decided; the same for all of a batch."""
        return _EPOCH + timedelta(microseconds=self.record.decided_at.ToMicroseconds())

    @property
    def limits(self) -> Limits:
        """What other decisions had left then."""
        exhausted = self.state.plan.budgets.rows_of(self.record.exhausted)
        return Limits(exhausted, tuple(met_of(one) for one in self.record.reserved))


class Comparison:
    """Decides recorded questions anew, by the clock, the seed and the limits of each, and counts."""

    def __init__(self, state: State, reward: Reward, segments: Sequence[str] = ()) -> None:
        """Nothing counted yet.

        Args:
            state: that decides instead.
            reward: of the recorded decisions.
            segments: traits of type string, by which changes are told apart.

        Raises:
            InvalidField: a segment is no such trait of the catalogue.
        """
        types = state.plan.schema.trait_types
        for name in segments:
            if types.get(name) != "string":
                known = ", ".join(sorted(one for one, kind in types.items() if kind == "string")) or "there is none"
                raise InvalidField("segment", f"expected a trait of type string ({known}), got '{name}'")
        self._state = state
        self._reward = reward
        self._segments = segments
        self.changes = Changes()
        self.evidence = Evidence()
        self.gone: Counter[str] = Counter()
        """Placements that the catalogue does not have, and how often they were asked for."""
        self.skipped: Counter[str] = Counter()
        """Why a record cannot be decided anew."""

    def add(self, records: Sequence[Record]) -> None:
        """Decide anew and count."""
        by_state: dict[int, list[_Asked]] = {}
        for one in self._asked(records):
            by_state.setdefault(id(one.state), []).append(one)
        for of_state in by_state.values():
            for together in _of_one_clock(of_state):
                for one, ready in zip(together, _prepared(together), strict=True):
                    self._count(one, ready)

    def _asked(self, records: Sequence[Record]) -> Iterator[_Asked]:
        for record in records:
            try:
                yield self._read(record)
            except InvalidField as error:  # a context field has another type in this catalogue
                self.skipped[error.field] += 1

    def _read(self, record: Record) -> _Asked:
        known = self._state.plan.placements
        gone = tuple(one.placement for one in record.request.placements if one.placement not in known)
        reachable = record.personalisation != decision_pb2.PERSONALISATION_UNAVAILABLE
        request = record.request
        if gone:
            request = decision_pb2.DecideRequest()
            request.CopyFrom(record.request)
            del request.placements[:]
            request.placements.extend(one for one in record.request.placements if one.placement in known)
        if not request.placements:
            nothing = Question((), self._state.situations.get(request.context), None, reachable)
            return _Asked(record, self._state, nothing, gone)
        asked = read_request(request, b"", self._state.plan, self._state.situations)
        entry = Entry(record.view) if record.HasField("view") else None
        case = case_of(self._state, asked, entry, reachable=reachable)
        question = question_of(
            case.asked,
            entry,
            case.state.plan,
            reachable=reachable,
            lot=case.lot,
            assignment=case.assignment,
            seed=record.seed,
        )
        return _Asked(record, case.state, question, gone)

    def _count(self, one: _Asked, ready: Prepared) -> None:
        record, plan, places = one.record, one.state.plan, []
        before: dict[str, list[Recorded]] = {}
        for selection in record.selections:
            before.setdefault(selection.placement, []).append(selection)
        decision = _decided(one, ready)
        chances = target_probabilities(one, ready, decision)
        for filled, target in zip(decision.placements, chances, strict=True):
            name = filled.placement.id
            places.append(Place(name, filled.placement.channel, _picks(before.get(name, ())), _picked(plan, filled)))
            self._weigh(record, name, before.get(name, ()), target)
        for name in one.gone:
            self.gone[name] += 1
            places.append(Place(name, UNKNOWN, _picks(before.get(name, ())), ()))
            self._weigh(record, name, before.get(name, ()), {SILENCE: 1.0})
        self.changes.add(places, self._segments_of(record))

    def _weigh(self, record: Record, name: str, before: Sequence[Recorded], target: Mapping[str, float]) -> None:
        action = before[0].action if before else SILENCE
        probability = logged_probability(before)
        if probability is None:
            self.evidence.without_probability += 1
            return
        reward = self._reward(record.decision_id, action) if before else 0.0
        self.evidence.add(name, action, probability, reward, target)

    def _segments_of(self, record: Record) -> dict[str, str]:
        mode = decision_pb2.Personalisation.Name(record.personalisation).removeprefix("PERSONALISATION_").lower()
        segments = {"personalisation": mode}
        if self._segments:
            # Who does not allow the profile to be used is not told apart by it.
            known = record.personalisation == decision_pb2.PERSONALISATION_FULL
            traits = self._state.plan.schema.traits.FromString(record.view.traits) if known else None
            segments |= {name: str(getattr(traits, name)) if traits else UNKNOWN for name in self._segments}
        return segments


def _of_one_clock(asked: Sequence[_Asked]) -> Iterator[Sequence[_Asked]]:
    """Those of one state that can be scored at once: all, unless scores follow the request, and with it the clock."""
    plan, models = asked[0].state.plan, asked[0].state.models
    if plan.momentary_weights.expressions or any(model.needs_context for model in models.in_use):
        for _, of_moment in groupby(asked, key=lambda one: one.now):
            yield list(of_moment)
    else:
        yield asked


def _prepared(asked: Sequence[_Asked]) -> list[Prepared]:
    """Scored in one run of each model; rules go by the clock of each."""
    state = asked[0].state
    ready = prepare(state.plan, state.models, [one.question for one in asked], asked[0].now)
    return [
        each._replace(
            subject=each.subject._replace(
                activation=partial(
                    state.plan.rule_compiler.activation,
                    each.subject.known.facts,
                    each.subject.situation.context,
                    one.now,
                )
            )
        )
        for one, each in zip(asked, ready, strict=True)
    ]


def _decided(one: _Asked, ready: Prepared) -> Decision:
    return conclude(one.state.plan, one.state.models, ready, one.now, one.limits)


def target_probabilities(one: _Asked, ready: Prepared, decision: Decision) -> list[Mapping[str, float]]:
    """By placement, action to the chance that it comes first; they sum to 1.

    Where the decision explored, the chances are shares of DRAWS further decisions, by lots of their own: the recorded
    ones have made the recorded choice, and must not make the other one too. Such shares hold for every method, and
    under bundles, exclusions and what other placements took. They are not exact, but off by nothing on average, and the
    estimates are linear in them (SNIPS nearly so).
    """
    drawn = [decision]
    if any(filled.chosen and filled.chosen[0].selection_probability != 1.0 for filled in decision.placements):
        drawn = [
            _decided(one, ready._replace(question=one.question._replace(seed=_seed(one.record.decision_id, draw))))
            for draw in range(DRAWS)
        ]
    chances: list[Mapping[str, float]] = []
    for at in range(len(decision.placements)):
        firsts = Counter(_first(one.state.plan, each.placements[at]) for each in drawn)
        chances.append({action: count / len(drawn) for action, count in firsts.items()})
    return chances


def _seed(decision_id: str, draw: int) -> int:
    return int.from_bytes(blake2b(f"{decision_id}:{draw}".encode(), digest_size=8).digest(), "big")


def _first(plan: Plan, filled: Filled) -> str:
    return plan.rows[filled.chosen[0].row].action_id if filled.chosen else SILENCE


def _picked(plan: Plan, filled: Filled) -> list[Pick]:
    rows = [plan.rows[chosen.row] for chosen in filled.chosen]
    return [(row.action_id, row.treatment_id) for row in rows]


def logged_probability(before: Sequence[Recorded]) -> float | None:
    """The chance with which the recorded first slot came out as it did; None: the record does not say.

    Args:
        before: what was chosen for the placement, the best first. Where nothing could be chosen, that was certain.
    """
    if not before:
        return 1.0
    return before[0].selection_probability if before[0].HasField("selection_probability") else None


def _picks(selections: Sequence[Recorded]) -> list[Pick]:
    return [(one.action, one.treatment) for one in selections]
