"""Answers and records hold what the contract says, and are what protobuf itself would have written."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from tests.support.decisions import NOW, a_plan, a_question, an_action, decided

from wayline.v1 import decision_pb2, profile_pb2
from wayline_decision import wire
from wayline_decision.core.decide import Chosen, Decision, Filled, Personalisation
from wayline_decision.core.plan import Plan
from wayline_decision.core.screen import Screened
from wayline_decision.wire import Writer

PLAN = a_plan(
    [
        an_action("a", eligibility={"rule": "profile.views >= 0", "because": "Everyone"}),
        an_action(
            "b", value=0.5, treatments=[{"id": "t", "placements": ["hero", "list", "offer"], "content": {"x": [1]}}]
        ),
    ]
)
WRITER = Writer(PLAN, {"m": 3})


def answered(
    plan: Plan = PLAN, *placements: str, explain: bool = False, **question: Any
) -> decision_pb2.PlacementDecision:
    decision = decided(plan, a_question(plan, *placements, **question))
    data = Writer(plan, {}).response("id", decision, [], stale=False, explain=explain)
    return decision_pb2.DecideResponse.FromString(data).placements[0]


def test_a_selection_has_content_score_and_reasons() -> None:
    selection = answered().selections[0]
    assert (selection.action, selection.treatment, selection.rank) == ("a", "main", 1)
    assert MessageToDict(selection.content) == {"title": "a"}
    assert list(selection.reasons) == ["Everyone"]
    assert selection.score.priority == pytest.approx(0.1)
    assert selection.score.propensity_source == "catalogue"


def test_an_empty_placement_has_its_fallback_and_says_why() -> None:
    placement = answered(a_plan([an_action("a", eligibility="profile.views > 5")]))
    assert MessageToDict(placement.fallback) == {"title": "Welcome"}
    assert list(placement.reasons) == ["no action met its conditions"]


def test_nothing_goes_out_on_a_channel_that_is_not_allowed() -> None:
    placement = answered(PLAN, "offer")
    assert not placement.HasField("fallback")
    assert list(placement.reasons) == ["silence: no consent for email"]


def test_a_decision_without_consent_says_so() -> None:
    assert list(answered(consents={"personalisation": False}).reasons) == ["contextual: no consent for personalisation"]


def test_drops_come_only_when_asked_for() -> None:
    assert not answered().dropped
    drops = answered(explain=True).dropped
    assert [(one.action, one.stage) for one in drops] == [("b", decision_pb2.STAGE_ARBITRATION)]


finite = st.floats(allow_nan=False)
chosen_rows = st.lists(
    st.builds(
        Chosen,
        row=st.integers(0, 1),
        propensity=finite,
        context=finite,
        value=finite,
        lever=finite,
        priority=finite,
        source=st.sampled_from(["catalogue", "model:m@3", "model:" + "x" * 64 + "@123456"]),
    ),
    max_size=50,
)
filled = st.builds(
    Filled,
    placement=st.sampled_from(list(PLAN.placements.values())),
    chosen=chosen_rows.map(tuple),
    denied_purpose=st.sampled_from([None, "email"]),
)
decisions = st.builds(
    Decision,
    personalisation=st.sampled_from(Personalisation),
    placements=st.lists(filled, max_size=4).map(tuple),
    screened=st.just(Screened(0, [True], {})),
    row_priority=st.none(),
    failures=st.lists(st.text(max_size=300), max_size=2).map(tuple),
)


@given(decisions, st.lists(st.text(max_size=40), max_size=3), st.booleans())
def test_a_response_is_what_protobuf_would_write(decision: Decision, warnings: list[str], stale: bool) -> None:
    data = WRITER.response("f" * 32, decision, warnings, stale=stale, explain=False)
    expected = decision_pb2.DecideResponse(
        decision_id="f" * 32,
        stale=stale,
        personalisation=decision.personalisation.value,
        catalog_revision=1,
        warnings=warnings,
    )
    for one in decision.placements:
        placement = expected.placements.add(placement=one.placement.id)
        for rank, chosen in enumerate(one.chosen, start=1):
            row = PLAN.rows[chosen.row]
            selection = placement.selections.add(
                action=row.action_id, treatment=row.treatment_id, rank=rank, reasons=row.reasons
            )
            selection.content.update(dict(row.content))
            for name in ("propensity", "context", "value", "lever", "priority"):
                setattr(selection.score, name, getattr(chosen, name))
            selection.score.propensity_source = chosen.source
        if not one.chosen and not one.denied_purpose and one.placement.fallback:
            placement.fallback.update(dict(one.placement.fallback))
    parsed = decision_pb2.DecideResponse.FromString(data)
    for placement in parsed.placements:
        del placement.reasons[:]
    assert parsed == expected


@given(decisions, st.booleans(), st.booleans())
def test_a_record_is_what_protobuf_would_write(decision: Decision, stale: bool, known: bool) -> None:
    request = decision_pb2.DecideRequest(placements=[decision_pb2.PlacementRequest(placement="hero", limit=300)])
    view = profile_pb2.CustomerView(profile_id="p" * 200, version=9) if known else None
    encoded = view.SerializeToString() if view else b""
    data = WRITER.record("f" * 32, request.SerializeToString(), encoded, decision, NOW, stale=stale)
    expected = decision_pb2.DecisionRecord(
        decision_id="f" * 32,
        request=request,
        view=view,
        personalisation=decision.personalisation.value,
        catalog_revision=1,
        model_versions={"m": 3},
        stale=stale,
        notes=decision.failures,
    )
    expected.decided_at.FromDatetime(NOW)
    for one in decision.placements:
        for chosen in one.chosen:
            row = PLAN.rows[chosen.row]
            expected.selections.add(
                placement=one.placement.id, action=row.action_id, treatment=row.treatment_id, priority=chosen.priority
            )
    assert decision_pb2.DecisionRecord.FromString(data) == expected
    bundle = decision_pb2.DecisionRecordBundle.FromString(wire.bundle([data, data]))
    assert list(bundle.records) == [expected, expected]


@given(st.lists(st.text(max_size=20), max_size=5))
def test_a_batch_answers_with_decisions_and_errors_in_order(errors: list[str]) -> None:
    answer = decision_pb2.DecideResponse(decision_id="x").SerializeToString()
    results = [part for error in errors for part in (answer, error)]
    parsed = decision_pb2.DecideBatchResponse.FromString(wire.batch_response(results)).results
    assert [one.error if one.HasField("error") else one.decision.decision_id for one in parsed] == [
        part for error in errors for part in ("x", error)
    ]


@given(st.integers(0, 2**63))
def test_a_varint_is_what_protobuf_reads(value: int) -> None:
    record = decision_pb2.DecisionRecord.FromString(wire.tag(decision_pb2.DecisionRecord, "seed") + wire.varint(value))
    assert record.seed == value
