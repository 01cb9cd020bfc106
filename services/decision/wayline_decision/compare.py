"""Recorded decisions beside what another catalogue and other models would have decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from wayline.errors import InvalidField
from wayline.v1 import decision_pb2
from wayline_decision.anew import limits_of, time_of
from wayline_decision.case import case_of
from wayline_decision.chances import chances_in_hindsight, recorded_chances, some_unrendered
from wayline_decision.codec import read_request
from wayline_decision.core.changes import Changes, Pick, Place
from wayline_decision.core.decide import conclude, prepare
from wayline_decision.core.decision import Decision, Filled, Limits, Prepared, Question
from wayline_decision.core.evidence import SILENCE, Evidence
from wayline_decision.core.plan import Plan
from wayline_decision.course import Course, Recorded, Weighed, by_action, picks_of
from wayline_decision.fallback import reason_of
from wayline_decision.past import Past
from wayline_decision.states import State
from wayline_decision.views import Entry

UNKNOWN = "(not known)"
_SEGMENTED = ("string", "boolean")
DRAWS = 16
"""So often a decision is made by other lots, to see how often each action comes first, where that cannot be told."""
Record = decision_pb2.DecisionRecord
Reward = Callable[[str, str], float]
"""Decision id and action to the reward, 0 to 1."""


class _Asked(NamedTuple):
    """A recorded question, as the other catalogue reads it."""

    record: Record
    past: Past | None
    """What it was made with, if that is known."""
    state: State
    """That of the customer's arms."""
    question: Question

    @property
    def now(self) -> datetime:
        """When it was decided."""
        return time_of(self.record)

    @property
    def limits(self) -> Limits:
        """What other decisions had left then."""
        return limits_of(self.record, self.state.plan)


class Comparison:
    """Decides recorded questions anew, by the clock, the seed and the limits of each, and counts."""

    def __init__(self, state: State, reward: Reward, segments: Sequence[str] = ()) -> None:
        """Nothing counted yet.

        Args:
            state: that decides instead.
            reward: of the recorded decisions.
            segments: traits of type string or boolean, by which changes are told apart.

        Raises:
            InvalidField: a segment is no such trait of the catalogue.
        """
        types = state.plan.schema.trait_types
        for name in segments:
            if types.get(name) not in _SEGMENTED:
                known = ", ".join(sorted(one for one, kind in types.items() if kind in _SEGMENTED)) or "there is none"
                raise InvalidField("segment", f"expected a trait of type string or boolean ({known}), got '{name}'")
        self._state = state
        self._reward = reward
        self._segments = segments
        self._rows: dict[int, Mapping[Pick, int]] = {}
        """Of each plan, by its identity."""
        self.changes = Changes()
        self.evidence = Evidence()
        """Of first slots."""
        self.later: dict[int, Evidence] = {}
        """Of those after them, by their numbers, from 2 on."""
        self.gone: Counter[str] = Counter()
        """Placements that the catalogue does not have, and how often they were asked for."""
        self.skipped: Counter[str] = Counter()
        """Why a record cannot be decided anew."""
        self.fell_back = 0
        """Requests that nothing was decided for, since there was no time: they say nothing of any catalogue."""

    def add(self, records: Sequence[tuple[Record, Past | None]]) -> None:
        """Decide anew and count.

        Args:
            records: each with what it was made with, which is needed where the record lacks a chance. Without it, its
                slots are left out of the estimates.
        """
        by_state: dict[int, list[_Asked]] = {}
        for one in self._asked(records):
            by_state.setdefault(id(one.state), []).append(one)
        for together in by_state.values():
            state, questions = together[0].state, [one.question for one in together]
            prepared = prepare(state.plan, state.models, questions, [one.now for one in together])
            for one, ready in zip(together, prepared, strict=True):
                self._count(one, ready)

    def _asked(self, records: Sequence[tuple[Record, Past | None]]) -> Iterator[_Asked]:
        for record, past in records:
            if reason_of(record):
                self.fell_back += 1
                continue
            try:
                yield self._read(record, past)
            except InvalidField as error:  # a context field has another type in this catalogue
                self.skipped[error.field] += 1

    def _read(self, record: Record, past: Past | None) -> _Asked:
        known = self._state.plan.placements
        reachable = record.personalisation != decision_pb2.PERSONALISATION_UNAVAILABLE
        request = record.request
        if any(one.placement not in known for one in request.placements):
            request = decision_pb2.DecideRequest()
            request.CopyFrom(record.request)
            del request.placements[:]
            request.placements.extend(one for one in record.request.placements if one.placement in known)
        if not request.placements:
            nothing = Question((), self._state.situations.get(request.context), None, reachable)
            return _Asked(record, past, self._state, nothing)
        asked = read_request(request, b"", self._state.plan, self._state.situations)
        entry = Entry(record.view) if record.HasField("view") else None
        case = case_of(self._state, asked, entry, reachable=reachable)
        return _Asked(record, past, case.state, case.question(record.seed))

    def _count(self, one: _Asked, ready: Prepared) -> None:
        record, plan, places = one.record, one.state.plan, []
        before: dict[str, list[Recorded]] = {}
        for selection in record.selections:
            before.setdefault(selection.placement, []).append(selection)
        decision = _decided(one, ready)
        now = {filled.placement.id: filled for filled in decision.placements}
        targets = dict(zip(now, target_probabilities(one, ready, decision), strict=True))
        course = Course(plan, decision, self._rows_of(plan))
        logged = recorded_chances(record) if one.past is None else chances_in_hindsight(record, one.past)
        emptiness = None if some_unrendered(record) else 1.0
        for name, slots in logged.items():
            was, filled, target = before.get(name, ()), now.get(name), targets.get(name, {SILENCE: 1.0})
            if filled is None:
                self.gone[name] += 1
                places.append(Place(name, UNKNOWN, picks_of(was), ()))
            else:
                places.append(Place(name, filled.placement.channel, picks_of(was), _picked(plan, filled)))
            first = was[0].action if was else SILENCE
            weighed = Weighed(first, course.first(filled, was, slots, target), target)
            self._weigh(record, name, weighed, self.evidence)
            for slot, weighed in course.later(filled, was, slots, emptiness):
                self._weigh(record, name, weighed, self.later.setdefault(slot, Evidence()))
            if len(logged) > 1:
                course.go_on(filled, was, slots)
        self.changes.add(places, self._segments_of(record))

    def _rows_of(self, plan: Plan) -> Mapping[Pick, int]:
        if id(plan) not in self._rows:
            self._rows[id(plan)] = {(row.action_id, row.treatment_id): at for at, row in enumerate(plan.rows)}
        return self._rows[id(plan)]

    def _weigh(self, record: Record, placement: str, one: Weighed, evidence: Evidence) -> None:
        if one.chances is None:
            evidence.without_probability += 1
            return
        reward = self._reward(record.decision_id, one.action) if one.action != SILENCE else 0.0
        evidence.add(placement, one.action, *one.chances, reward, one.target)

    def _segments_of(self, record: Record) -> dict[str, str]:
        mode = decision_pb2.Personalisation.Name(record.personalisation).removeprefix("PERSONALISATION_").lower()
        segments = {"personalisation": mode}
        if self._segments:
            # Who does not allow the profile to be used is not told apart by it.
            known = record.personalisation == decision_pb2.PERSONALISATION_FULL
            traits = self._state.plan.schema.traits.FromString(record.view.traits) if known else None
            segments |= {name: _written(getattr(traits, name)) if traits else UNKNOWN for name in self._segments}
        return segments


def _written(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value


def _decided(one: _Asked, ready: Prepared) -> Decision:
    return conclude(one.state.plan, one.state.models, ready, one.now, one.limits)


def target_probabilities(one: _Asked, ready: Prepared, decision: Decision) -> list[Mapping[str, float]]:
    """By placement, action to the chance that it comes first; they sum to 1.

    What is certain, and the first placement that explores, have theirs from the method itself. Those after it depend on
    what it might hold: their chances are shares of DRAWS further decisions, by lots of their own, since the recorded
    ones have made the recorded choice and must not make the other one too. Such shares hold under every method, bundle
    and exclusion. They are off by nothing on average, and the estimates are linear in them (SNIPS nearly so).
    """
    plan, chances = one.state.plan, _told(one.state.plan, decision)
    if len(chances) == len(decision.placements):
        return chances
    drawn = [
        _decided(one, ready.asking(one.question._replace(seed=_seed(one.record.decision_id, draw))))
        for draw in range(DRAWS)
    ]
    for at in range(len(chances), len(decision.placements)):
        firsts = Counter(_first(plan, each.placements[at]) for each in drawn)
        chances.append({action: count / DRAWS for action, count in firsts.items()})
    return chances


def _told(plan: Plan, decision: Decision) -> list[Mapping[str, float]]:
    """The same for the first placements, as far as it can be told without drawing."""
    chances: list[Mapping[str, float]] = []
    before: list[int] = []
    by_lot = decision.assignment.control == "random_propensity"
    for filled in decision.placements:
        if not by_lot and all(choice.selection_probability == 1.0 for choice in filled.choices):
            chances.append({_first(plan, filled): 1.0})
            before += [choice.row for choice in filled.choices]
            continue
        if filled.contest is not None and not by_lot and not plan.dynamic:
            chances.append(by_action(plan, filled, before, decision.question.seed))
        break
    return chances


def _seed(decision_id: str, draw: int) -> int:
    return int.from_bytes(blake2b(f"{decision_id}:{draw}".encode(), digest_size=8).digest(), "big")


def _first(plan: Plan, filled: Filled) -> str:
    return plan.rows[filled.chosen[0].row].action_id if filled.chosen else SILENCE


def _picked(plan: Plan, filled: Filled) -> list[Pick]:
    rows = [plan.rows[chosen.row] for chosen in filled.chosen]
    return [(row.action_id, row.treatment_id) for row in rows]
