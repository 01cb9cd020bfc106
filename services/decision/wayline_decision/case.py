"""Cases: requests with what is known of their customers, and what decides them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NoReturn

from wayline.catalog.variants import AS_IS
from wayline.errors import InvalidField
from wayline_decision.codec import Asked, read_request
from wayline_decision.core.decide import prepare
from wayline_decision.core.decision import Prepared, Question
from wayline_decision.core.experiments import AS_EVERYBODY, Assignment
from wayline_decision.states import State, variant_of
from wayline_decision.views import Entry


class Case:
    """A request with what is known of its customer, and the state that decides it."""

    __slots__ = ("asked", "assignment", "entry", "lot", "reachable", "state")

    def __init__(
        self, state: State, asked: Asked, entry: Entry | None, reachable: bool, lot: bytes, assignment: Assignment
    ) -> None:
        """Put together.

        Args:
            state: that decides.
            asked: the request.
            entry: the customer's view; None: not known, or not to be had.
            reachable: False: it could not be asked for in time.
            lot: what experiments draw by.
            assignment: what they drew.
        """
        self.state: Final = state
        self.asked: Final = asked
        self.entry: Final = entry
        self.reachable: Final = reachable
        self.lot: Final = lot
        self.assignment: Final = assignment

    def question(self, seed: int, recorded: bytes | None = None) -> Question:
        """What the core is asked; `recorded` has the propensities of a record that is decided anew."""
        known = self.entry.known(self.state.plan) if self.entry else None
        asked = self.asked
        return Question(
            asked.placements, asked.situation, known, self.reachable, self.lot, self.assignment, seed, recorded
        )


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


def without_models(case: Case) -> Case:
    """The same, with all models failing for lack of time, unless what they say of the customer is at hand."""
    models = case.state.models
    if not models.in_use:
        return case
    standing = case.entry.known(case.state.plan).standing if case.entry else None
    if standing is not None and standing.models is models:
        return case
    in_use = tuple(replace(one, encode=_out_of_time) for one in models.in_use)
    state = replace(case.state, models=models._replace(in_use=in_use))
    return Case(state, case.asked, case.entry, case.reachable, case.lot, case.assignment)


class OutOfTime(Exception):
    """The caller's deadline is too near for a model. Notes of decisions name it."""


def _out_of_time(*_: object) -> NoReturn:
    raise OutOfTime


def prepared_of(cases: Sequence[Case], seeds: Sequence[int], now: datetime) -> list[Prepared]:
    """The cases' questions, scored: those of one state at once."""
    questions = [case.question(seeds[at]) for at, case in enumerate(cases)]
    first = cases[0].state
    if all(case.state is first for case in cases):
        return prepare(first.plan, first.models, questions, [now] * len(cases))
    found: dict[int, Prepared] = {}
    for state in {id(case.state): case.state for case in cases}.values():
        places = [at for at, case in enumerate(cases) if case.state is state]
        prepared = prepare(state.plan, state.models, [questions[at] for at in places], [now] * len(places))
        found.update(zip(places, prepared, strict=True))
    return [found[at] for at in range(len(cases))]
