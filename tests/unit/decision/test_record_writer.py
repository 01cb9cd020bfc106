"""Answers and records are what protobuf itself would have written."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.answers import PLAN
from tests.support.decisions import NOW, a_question, decided

from wayline.catalog.consent import RESTRICTED
from wayline.v1 import decision_pb2, profile_pb2
from wayline_decision.answers import AnswerWriter
from wayline_decision.core.consent import Denied
from wayline_decision.core.contact import Met
from wayline_decision.core.decision import Chosen, Decision, Filled, Personalisation, Seen
from wayline_decision.core.experiments import AS_EVERYBODY, Assignment
from wayline_decision.core.known import Arithmetic
from wayline_decision.core.plan import PlacementPlan
from wayline_decision.particulars import Particulars
from wayline_decision.record_writer import RecordWriter, bundle

ANSWERS, RECORDS = AnswerWriter(PLAN), RecordWriter(PLAN, {"m": 3})

REAL = decided(PLAN, a_question(PLAN))

TEMPLATED = next(at for at, row in enumerate(PLAN.rows) if row.template is not None)

finite = st.floats(allow_nan=False)

perhaps = st.none() | finite


@st.composite
def chosen_rows(draw: st.DrawFn) -> Chosen:
    row = draw(st.integers(0, len(PLAN.rows) - 1))
    return Chosen(
        row=row,
        arithmetic=Arithmetic(
            propensity=draw(finite),
            context=draw(finite),
            value=draw(finite),
            lever=draw(finite),
            priority=draw(finite),
            source=draw(st.sampled_from(["catalogue", "model:m@3", "model:" + "x" * 64 + "@123456"])),
            unsmoothed=draw(perhaps),
        ),
        selection_probability=draw(perhaps),
        drawn=draw(perhaps),
        content=draw(st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.booleans(), max_size=3))
        if row == TEMPLATED
        else None,
    )


def a_placement(placement: PlacementPlan, chosen: list[Chosen], denied: Denied | None) -> Filled:
    real = REAL.placements[0]
    seen = Seen(real.subject, real.screened, real.standing)
    return Filled(placement, seen, real.barred, chosen=chosen, denied=denied)


def a_decision(mode: Personalisation, assignment: Assignment, **fields: Any) -> Decision:
    question = REAL.question._replace(assignment=assignment)
    others = {"now": REAL.now, "models": REAL.models, "limits": REAL.limits, "contact": None, "schedule": None}
    return Decision(personalisation=mode, question=question, **others, **fields)


filled = st.builds(
    a_placement,
    placement=st.sampled_from(list(PLAN.placements.values())),
    chosen=st.lists(chosen_rows(), max_size=50),
    denied=st.sampled_from([None, Denied("email", "the customer said no"), Denied(None, RESTRICTED)]),
)


names = st.text(max_size=20)


assignments = st.just(AS_EVERYBODY) | st.builds(
    Assignment, held_out=st.booleans(), arms=st.dictionaries(names, names, max_size=3).map(lambda one: (*one.items(),))
)


decisions = st.builds(
    a_decision,
    mode=st.sampled_from(Personalisation),
    placements=st.lists(filled, max_size=4),
    failures=st.lists(st.text(max_size=300), max_size=2).map(tuple),
    assignment=assignments,
    recorded=st.binary(max_size=500),
)


@given(decisions, st.lists(st.text(max_size=40), max_size=3), st.booleans())
def test_a_response_is_what_protobuf_would_write(decision: Decision, warnings: list[str], stale: bool) -> None:
    data = ANSWERS.response("f" * 32, decision, warnings, stale=stale, explain=False)
    expected = decision_pb2.DecideResponse(
        decision_id="f" * 32,
        stale=stale,
        personalisation=decision.personalisation.value,
        catalog_revision=1,
        warnings=warnings,
        experiments=decision.assignment.recorded,
    )
    for one in decision.placements:
        placement = expected.placements.add(placement=one.placement.id)
        for rank, chosen in enumerate(one.chosen, start=1):
            placement.selections.append(a_selection(chosen, rank))
        if not one.chosen and not one.denied and one.placement.fallback:
            placement.fallback.update(dict(one.placement.fallback))
    parsed = decision_pb2.DecideResponse.FromString(data)
    for placement in parsed.placements:
        del placement.reasons[:]
    assert parsed == expected


def a_selection(chosen: Chosen, rank: int) -> decision_pb2.Selection:
    """As protobuf has it: what is None is absent."""
    row = PLAN.rows[chosen.row]
    selection = decision_pb2.Selection(
        action=row.action_id,
        treatment=row.treatment_id,
        rank=rank,
        reasons=row.reasons,
        selection_probability=chosen.selection_probability,
        score=decision_pb2.Score(
            propensity=chosen.arithmetic.propensity,
            context=chosen.arithmetic.context,
            value=chosen.arithmetic.value,
            lever=chosen.arithmetic.lever,
            priority=chosen.arithmetic.priority,
            propensity_source=chosen.arithmetic.source,
            unsmoothed_propensity=chosen.arithmetic.unsmoothed,
            drawn_propensity=chosen.drawn,
        ),
    )
    selection.content.update(dict(row.content if chosen.content is None else chosen.content))
    if not selection.content.fields:
        selection.content.SetInParent()
    return selection


contacts = st.builds(Met, names, names, names, st.integers(0, 2**62), names)


@given(
    decisions,
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**64 - 1),
    st.lists(names, max_size=3),
    st.lists(contacts, max_size=3),
)
def test_a_record_is_what_protobuf_would_write(
    decision: Decision, stale: bool, known: bool, seed: int, exhausted: list[str], reserved: list[Met]
) -> None:
    request = decision_pb2.DecideRequest(placements=[decision_pb2.PlacementRequest(placement="hero", limit=300)])
    view = profile_pb2.CustomerView(profile_id="p" * 200, version=9) if known else None
    encoded = view.SerializeToString() if view else b""
    particulars = Particulars("f" * 32, request.SerializeToString(), encoded, seed, NOW, stale, exhausted, reserved)
    data = RECORDS.record(particulars, decision)
    expected = decision_pb2.DecisionRecord(
        decision_id="f" * 32,
        request=request,
        view=view,
        personalisation=decision.personalisation.value,
        catalog_revision=1,
        model_versions={"m": 3},
        seed=seed,
        stale=stale,
        notes=decision.failures,
        propensities=decision.recorded,
        experiments=decision.assignment.recorded,
        exhausted=exhausted,
        reserved=[profile_pb2.Contact(**one._asdict()) for one in reserved],
    )
    expected.decided_at.FromDatetime(NOW)
    for one in decision.placements:
        for chosen in one.chosen:
            row = PLAN.rows[chosen.row]
            expected.selections.add(
                placement=one.placement.id,
                action=row.action_id,
                treatment=row.treatment_id,
                priority=chosen.arithmetic.priority,
                propensity=chosen.arithmetic.propensity,
                selection_probability=chosen.selection_probability,
            )
    assert decision_pb2.DecisionRecord.FromString(data) == expected
    bundled = decision_pb2.DecisionRecordBundle.FromString(bundle([data, data]))
    assert list(bundled.records) == [expected, expected]
