"""Answers and records hold what the contract says, and are what protobuf itself would have written."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from tests.support.decisions import NOW, a_plan, a_question, an_action, decided
from tests.support.engines import a_request

from wayline.catalog.consent import RESTRICTED
from wayline.v1 import decision_pb2, profile_pb2
from wayline_decision import wire
from wayline_decision.codec import Situations, read_request
from wayline_decision.core.consent import Denied
from wayline_decision.core.contact import Met
from wayline_decision.core.decision import Chosen, Decision, Filled, Personalisation, Seen
from wayline_decision.core.experiments import AS_EVERYBODY, Assignment
from wayline_decision.core.known import Arithmetic
from wayline_decision.core.plan import PlacementPlan, Plan
from wayline_decision.fallback import OUT_OF_TIME, FellBack
from wayline_decision.particulars import Particulars
from wayline_decision.wire import Writer

HERO_LIST_OFFER = ["hero", "list", "offer"]
PLAN = a_plan(
    [
        an_action("a", eligibility={"rule": "profile.views >= 0", "because": "Everyone"}),
        an_action("b", value=0.5, treatments=[{"id": "t", "placements": HERO_LIST_OFFER, "content": {"x": [1]}}]),
        an_action(
            "c",
            value=0.1,
            treatments=[{"id": "t", "placements": HERO_LIST_OFFER, "content": {"title": "{{ profile.tier }}"}}],
        ),
    ]
)
WRITER = Writer(PLAN, {"m": 3})
REAL = decided(PLAN, a_question(PLAN))
TEMPLATED = next(at for at, row in enumerate(PLAN.rows) if row.template is not None)


def answered(
    plan: Plan = PLAN, *placements: str, explain: bool = False, **question: Any
) -> decision_pb2.PlacementDecision:
    return response(plan, *placements, explain=explain, **question).placements[0]


def response(
    plan: Plan = PLAN, *placements: str, explain: bool = False, **question: Any
) -> decision_pb2.DecideResponse:
    decision = decided(plan, a_question(plan, *placements, **question))
    data = Writer(plan, {}).response("id", decision, [], stale=False, explain=explain)
    return decision_pb2.DecideResponse.FromString(data)


def test_a_selection_has_content_score_and_reasons() -> None:
    selection = answered().selections[0]
    assert (selection.action, selection.treatment, selection.rank) == ("a", "main", 1)
    assert MessageToDict(selection.content) == {"title": "a"}
    assert list(selection.reasons) == ["Everyone"]
    assert selection.score.priority == pytest.approx(0.1)
    assert selection.score.propensity_source == "catalogue"


def test_what_does_not_apply_is_absent_and_not_zero() -> None:
    score = answered().selections[0].score
    assert not score.HasField("unsmoothed_propensity")
    assert not score.HasField("drawn_propensity")


def test_without_exploration_the_choice_was_certain() -> None:
    assert answered().selections[0].selection_probability == 1.0


def test_what_thompson_sampling_drew_is_shown_and_its_chance_is_not_known_yet() -> None:
    plan = a_plan([an_action("a"), an_action("b")], placements=explored("thompson"))
    selection = answered(plan).selections[0]
    assert not selection.HasField("selection_probability")
    assert selection.score.propensity == 0.1
    assert 0.0 < selection.score.drawn_propensity < 1.0
    assert selection.score.drawn_propensity != selection.score.propensity


def test_a_lot_shows_the_chance_with_which_it_fell() -> None:
    plan = a_plan([an_action("a"), an_action("b")], placements=explored({"method": "epsilon_greedy", "epsilon": 1}))
    assert answered(plan).selections[0].selection_probability == 0.5


def test_a_smoothed_propensity_shows_what_it_was_before() -> None:
    plan = a_plan([an_action("a", propensity=0.3)], arbitration={"smoothing": {"evidence": 100}})
    assert answered(plan).selections[0].score.unsmoothed_propensity == 0.3


def test_content_that_is_the_same_for_everybody_comes_once() -> None:
    data = Writer(PLAN, {}).response("id", REAL, [], stale=False, explain=False)
    assert data.count(b"title") == 1


def test_an_empty_placement_has_its_fallback_and_says_why() -> None:
    placement = answered(a_plan([an_action("a", eligibility="profile.views > 5")]))
    assert MessageToDict(placement.fallback) == {"title": "Welcome"}
    assert list(placement.reasons) == ["no action met its conditions"]


def test_a_placement_whose_only_action_stands_in_an_earlier_one_says_where() -> None:
    both = [{"id": "t", "placements": ["hero", "list"], "content": {}}]
    plan = a_plan([an_action("a", treatments=both)])
    hero, list_ = response(plan, "hero", "list").placements
    assert list(hero.reasons) == []
    assert list(list_.reasons) == ["the actions that met their conditions stand elsewhere in this response: in hero"]


def test_a_placement_that_a_bundle_keeps_empty_does_not_blame_the_conditions() -> None:
    both = [{"id": "t", "placements": ["hero", "list"], "content": {}}]
    actions = [an_action("a", treatments=both), an_action("b", treatments=both, eligibility="profile.views > 5")]
    plan = a_plan(actions, arbitration={"bundles": [{"id": "x", "actions": ["a", "b"]}]})
    (reason,) = answered(plan, "list").reasons
    assert reason == (
        "what met its conditions was kept out by a bundle, an exclusion, a full group or a shared cap; "
        "Explain says by which"
    )


def test_a_placement_in_which_the_profile_is_not_used_says_so_and_no_other_does() -> None:
    both = [{"id": "t", "placements": ["hero", "list"], "content": {}}]
    plan = a_plan([an_action("a", treatments=both), an_action("b", treatments=both)], personalise_only=["list"])
    hero, list_ = response(plan, "hero", "list").placements
    assert list(hero.reasons) == ["contextual: the profile is not used in this placement (personalise_only)"]
    assert list(list_.reasons) == []
    stranger = response(plan, "hero", "list", known=False)
    assert [list(one.reasons) for one in stranger.placements] == [["contextual: the customer is not known"]] * 2


def test_what_is_said_of_one_answer_is_not_said_of_the_next() -> None:
    plan = a_plan([an_action("a", eligibility="profile.views > 5")], personalise_only=[])
    writer, decision = Writer(plan, {}), decided(plan, a_question(plan))
    first, second = (writer.response("id", decision, [], stale=False, explain=False) for _ in range(2))
    assert first == second


def test_who_is_held_out_gets_the_fallback_and_is_named_in_no_other_experiment() -> None:
    arms = {"x": {"share": 0.5}, "y": {"share": 0.5}}
    plan = a_plan([an_action("a")], holdout={"share": 1}, experiments=[{"id": "e", "arms": arms}])
    answer = response(plan)
    assert MessageToDict(answer.placements[0].fallback) == {"title": "Welcome"}
    assert list(answer.placements[0].reasons) == ["silence: the customer is in the holdout"]
    assert dict(answer.experiments) == {"holdout": "held_out"}


def test_the_answer_names_the_arm_of_each_experiment() -> None:
    arms = {"x": {"share": 1}, "y": {"share": 0}}
    plan = a_plan([an_action("a")], experiments=[{"id": "e", "arms": arms}, {"id": "f", "layer": "l", "arms": arms}])
    assert dict(response(plan).experiments) == {"e": "x", "f": "x"}


def test_nothing_goes_out_on_a_channel_that_is_not_allowed() -> None:
    placement = answered(PLAN, "offer")
    assert not placement.HasField("fallback")
    assert list(placement.reasons) == [
        "silence: no consent for email: unknown: nothing was said, and the default is denied"
    ]


def test_in_quiet_hours_not_even_a_fallback_goes_out() -> None:
    """Quiet hours: 'When nothing goes out on a channel.' A fallback would wake the customer just the same."""
    plan = a_plan(
        [an_action("a", treatments=[{"id": "t", "placements": ["offer"]}])],
        channels={"web": {}, "mail": {"direction": "outbound", "quiet_hours": {"from": "00:00", "to": "23:59"}}},
    )
    placement = answered(plan, "offer")
    assert not placement.selections
    assert not placement.HasField("fallback")


def test_in_quiet_hours_not_even_the_fallback_of_a_decision_that_was_not_made_goes_out() -> None:
    """The breaker is open, or time ran out: the clock on the wall is known all the same."""
    plan = a_plan(
        [an_action("a", treatments=[{"id": "t", "placements": ["offer"]}])],
        channels={"web": {}, "mail": {"direction": "outbound", "quiet_hours": {"from": "00:00", "to": "23:59"}}},
    )
    asked = read_request(a_request("ada", "offer", "hero"), b"", plan, Situations(plan.schema))
    offer, hero = FellBack(plan, asked, "f" * 32, NOW, False, OUT_OF_TIME).response().placements
    assert not offer.HasField("fallback")
    assert hero.HasField("fallback")


def test_a_decision_without_consent_says_so() -> None:
    refused = answered(consents={"personalisation": False})
    assert list(refused.reasons) == ["contextual: no consent for personalisation: the customer said no"]


def test_drops_come_only_when_asked_for() -> None:
    assert not answered().dropped
    drops = answered(explain=True).dropped
    assert [(one.action, one.stage) for one in drops] == [
        ("b", decision_pb2.STAGE_ARBITRATION),
        ("c", decision_pb2.STAGE_ARBITRATION),
    ]


def explored(exploration: Any) -> dict[str, Any]:
    return {"hero": {"channel": "web", "exploration": exploration}}


# Properties

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
    data = WRITER.response("f" * 32, decision, warnings, stale=stale, explain=False)
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
    data = WRITER.record(particulars, decision)
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


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_what_protobuf_reads(value: int) -> None:
    record = decision_pb2.DecisionRecord.FromString(wire.tag(decision_pb2.DecisionRecord, "seed") + wire.varint(value))
    assert record.seed == value
