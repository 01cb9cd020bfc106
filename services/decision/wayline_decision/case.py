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
from wayline_decision.core.known import Situation
from wayline_decision.core.plan import Plan
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
    """Draw the lots of experiments, and see which state decides then.

    An arm whose revision of the catalogue cannot answer the request is left out, with a warning.
    """
    plan = state.plan
    lot = (entry.lot if entry else b"") or asked.key
    if plan.experiments.empty:
        return Case(state, asked, entry, reachable, lot, AS_EVERYBODY)
    assignment = plan.experiments.assign(lot, [one.id for one, _ in asked.placements])
    left_out: list[str] = []
    while (wanted := variant_of(assignment)) != AS_IS:
        variant = state.variants.get(wanted)
        try:
            if variant is None:
                raise InvalidField("catalog", "the revision that an arm names is not there")
            theirs = read_request(asked.request, asked.data, variant.plan, variant.situations)
        except InvalidField as error:
            # Another revision may lack the placement, or declare the context in another way. Who gets what everybody
            # gets must not count as a customer of the arm; other layers have nothing to do with it.
            assignment, (experiment, arm) = _without_catalog(plan, assignment)
            left_out.append(
                f"experiment {experiment}: arm {arm} was left out, since its revision of the catalogue cannot answer "
                f"this request: {error}"
            )
            continue
        # Rows of the variant's catalogue have other numbers.
        withheld = variant.plan.experiments.assign(lot, ()).withheld
        theirs = _warning(theirs, left_out)
        return Case(variant, theirs, entry, reachable, lot, replace(assignment, withheld=withheld))
    return Case(state, _warning(asked, left_out), entry, reachable, lot, assignment)


def _without_catalog(plan: Plan, assignment: Assignment) -> tuple[Assignment, tuple[str, str]]:
    """The same without the arm whose revision of the catalogue would decide, and which arm that is.

    Where none has a revision of its own (the variant of a formula or a model is not there), the first that takes one.
    """
    of = {one.id: one.arms for one in plan.catalog.experiments}
    changing = [one for one in assignment.arms if (arm := of[one[0]][one[1]]).catalog or arm.formula or arm.models]
    gone = next((one for one in changing if of[one[0]][one[1]].catalog), changing[0])
    names = tuple(one for one in assignment.arms if one != gone)
    arms = [of[experiment][arm] for experiment, arm in names]
    left = Assignment(
        arms=names,
        control=next((arm.control for arm in arms if arm.control is not None), None),
        formula=next((arm.formula for arm in arms if arm.formula is not None), None),
        models={name: other for arm in reversed(arms) for name, other in arm.models.items()},
        catalog=next((arm.catalog for arm in arms if arm.catalog is not None), None),
        withheld=assignment.withheld,
    )
    return left, gone


def _warning(asked: Asked, warnings: Sequence[str]) -> Asked:
    """The same request, whose answer has these warnings too."""
    if not warnings:
        return asked
    shared = asked.situation
    situation = Situation(shared.context, (*shared.warnings, *warnings))
    situation.judged, situation.bare = shared.judged, shared.bare
    return Asked(asked.request, asked.data, asked.key, asked.placements, situation, waits=asked.waits)


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
