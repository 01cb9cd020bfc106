"""A decision is useful within its deadline: what is not ready is left out, and the answer and the record say so."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from tests.support.decisions import NOW, a_model, a_plan, an_action
from tests.support.engines import Kept, a_request, actions

from wayline.identity import identity_key
from wayline.publish import AckedPublisher
from wayline.v1 import decision_pb2, events_pb2, profile_pb2, profile_pb2_grpc
from wayline_decision.anew import decide_anew, differences
from wayline_decision.breaker import Breaker, BreakerLimits, Position
from wayline_decision.core.plan import Plan
from wayline_decision.core.score import models_for
from wayline_decision.engine import Engine
from wayline_decision.explanation import explanation
from wayline_decision.past import Past
from wayline_decision.records import RecordLog
from wayline_decision.states import state_of
from wayline_decision.views import ViewCache

BREAKER = "the breaker is open: too many of the last decisions took too long or missed their deadline"
PLAN = a_plan(
    [
        an_action("looked", eligibility="profile.views > 0", value=9, propensity={"model": "m", "base": 0.1}),
        an_action("plain", propensity={"model": "m", "base": 0.1}),
    ]
)
NEVER = events_pb2.EventToken(partition=0, sequence=10**9)


class Late(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.DEADLINE_EXCEEDED


class Service:
    """An engine whose clock goes on while its profile service takes its time."""

    def __init__(
        self, plan: Plan = PLAN, run: Callable[[Any], Any] | None = None, reads_context: bool = False, **engine: Any
    ) -> None:
        self.now = 1_000.0
        self.profile_takes = 0.0
        self.asked: list[float] = []
        """How long the profile service was given, each time that it was asked."""
        self.breaker = Breaker(BreakerLimits(least=5, pause_seconds=5))
        self._kept = Kept()
        self._records = RecordLog(cast(AckedPublisher, self._kept), max_bytes=1 << 30)
        self.views = ViewCache(cast(profile_pb2_grpc.ProfileServiceStub, self), size=10, timeout_seconds=0.3)
        options = {"breaker": self.breaker, "monotonic": lambda: self.now, "clock": lambda: NOW, **engine}
        self.engine = Engine(self.views, self._records, **options)
        model = replace(a_model(plan, {"": 0.3}), needs_context=reads_context)
        self.state = state_of(plan, models_for(plan, [model if run is None else replace(model, run=run)]))
        self.engine.use(self.state)

    def BatchGetViews(
        self, request: profile_pb2.BatchGetViewsRequest, timeout: float
    ) -> profile_pb2.BatchGetViewsResponse:
        """Everybody has looked."""
        self.asked.append(timeout)
        self.now += min(timeout, self.profile_takes)
        if self.profile_takes > timeout:
            raise Late
        traits = PLAN.schema.traits(views=1).SerializeToString()
        views = [
            profile_pb2.CustomerView(profile_id=key.hex(), identity_keys=[key], version=1, traits=traits)
            for key in request.identity_keys
        ]
        return profile_pb2.BatchGetViewsResponse(views=views)

    def decide(self, *placements: str, within: float | None = None, **fields: Any) -> decision_pb2.DecideResponse:
        request = a_request("ada", *placements, **fields)
        return decision_pb2.DecideResponse.FromString(self.engine.decide(request.SerializeToString(), within))

    @property
    def records(self) -> list[decision_pb2.DecisionRecord]:
        asyncio.run(self._records.flush(10.0))
        bundles = [decision_pb2.DecisionRecordBundle.FromString(one.payload) for one in self._kept.messages]
        return [record for bundle in bundles for record in bundle.records]

    def anew(self, answer: decision_pb2.DecideResponse) -> decision_pb2.DecideResponse:
        """The same answer, made anew from its record."""
        (record,) = (one for one in self.records if one.decision_id == answer.decision_id)
        anew = decide_anew(record, self.state)
        assert differences(record, anew) == []
        return anew.response(record, explain=False)


def reasons(answer: decision_pb2.DecideResponse) -> list[str]:
    return list(answer.placements[0].reasons)


# The profile


def test_a_slow_profile_is_waited_for_as_long_as_the_deadline_allows_and_then_left_out() -> None:
    service = Service()
    service.profile_takes = 60
    answer = service.decide(within=0.1)
    assert service.asked == [pytest.approx(0.08)]
    assert answer.personalisation == decision_pb2.PERSONALISATION_UNAVAILABLE
    assert (actions(answer), reasons(answer)) == (["plain"], ["contextual: the profile could not be read in time"])
    assert service.anew(answer) == answer


def test_a_slow_profile_that_comes_within_the_deadline_is_used() -> None:
    service = Service()
    service.profile_takes = 0.07
    assert actions(service.decide(within=0.1)) == ["looked"]


def test_when_the_deadline_is_nearly_over_nobody_is_asked_for_the_profile() -> None:
    service = Service()
    answer = service.decide(within=0.001)
    assert service.asked == []
    assert reasons(answer) == ["contextual: the profile could not be read in time"]
    assert service.anew(answer) == answer


def test_a_profile_that_is_held_is_used_however_near_the_deadline_is() -> None:
    service = Service()
    service.views.follow(True)
    service.decide()
    assert actions(service.decide(within=0.0)) == ["looked"]
    assert len(service.asked) == 1


def waiting_in_vain() -> Service:
    """No event ever comes, and the time that it is waited for is real."""
    return Service(monotonic=time.monotonic)


def test_who_waits_in_vain_for_an_event_has_the_profile_nevertheless() -> None:
    service = waiting_in_vain()
    answer = service.decide(within=0.05, at_least=[NEVER])
    assert answer.stale
    assert actions(answer) == ["looked"]
    assert service.anew(answer) == answer


# Models


def a_slow_service(**options: Any) -> Service:
    """Its model takes a tenth of a second, as is known by now. Ada's profile is held."""
    service = Service(run=lambda rows: slow(service, rows), **options)
    for _ in range(40):
        service.decide()
    service.views.follow(True)
    service.decide()
    return service


def slow(service: Service, rows: Any) -> Any:
    service.now += 0.1
    return np.full((len(rows), 1), 0.3)


def test_models_are_left_out_when_less_time_is_left_than_decisions_take() -> None:
    service = a_slow_service(reads_context=True)
    answer = service.decide(within=0.05)
    (selection,) = answer.placements[0].selections
    assert selection.score.propensity_source == "catalogue"
    assert "model:m@3 failed: OutOfTime" in reasons(answer)
    assert service.anew(answer).placements[0].selections == answer.placements[0].selections
    (record,) = (one for one in service.records if one.decision_id == answer.decision_id)
    assert list(record.notes) == ["model:m@3 failed: OutOfTime"]


def test_what_a_model_said_already_is_used_however_near_the_deadline_is() -> None:
    service = a_slow_service()
    (selection,) = service.decide(within=0.05).placements[0].selections
    assert selection.score.propensity_source == "model:m@3"
    key = identity_key("user_id", "ada")
    standing = service.views.get([key]).entries[key].known(PLAN).standing
    assert standing is not None
    assert standing.models is service.state.models, "nothing was worked out anew"


# The turn


class Hanging:
    """A model that hangs until it is let go."""

    def __init__(self) -> None:
        self.reached, self.let_go = threading.Event(), threading.Event()

    def __call__(self, rows: Any) -> Any:
        self.reached.set()
        assert self.let_go.wait(20)
        return np.full((len(rows), 1), 0.3)


def test_who_does_not_get_a_turn_in_time_gets_the_fallback_and_why() -> None:
    hanging = Hanging()
    service = Service(run=hanging)
    with ThreadPoolExecutor(1) as other:
        under_way = other.submit(service.decide)
        assert hanging.reached.wait(20)
        answer = service.decide(within=0.03)
        hanging.let_go.set()
        assert actions(under_way.result()) == ["looked"]
    assert answer.personalisation == decision_pb2.PERSONALISATION_UNAVAILABLE
    assert MessageToDict(answer.placements[0].fallback) == {"title": "Welcome"}
    assert reasons(answer) == ["out of time: the decision's turn did not come before the caller's deadline"]
    assert service.anew(answer) == answer


def test_in_a_batch_too() -> None:
    hanging = Hanging()
    service = Service(run=hanging)
    batch = decision_pb2.DecideBatchRequest(requests=[a_request("ada"), a_request("bob")])
    with ThreadPoolExecutor(1) as other:
        under_way = other.submit(service.decide)
        assert hanging.reached.wait(20)
        data = service.engine.decide_batch(batch.SerializeToString(), 0.03)
        hanging.let_go.set()
        under_way.result()
    results = decision_pb2.DecideBatchResponse.FromString(data).results
    assert [one.decision.placements[0].reasons[0].partition(":")[0] for one in results] == ["out of time"] * 2


def test_a_turn_that_does_not_come_is_noticed_and_so_is_one_that_does() -> None:
    hanging = Hanging()
    service = Service(run=hanging)
    assert service.engine.turn_comes(0.01)
    with ThreadPoolExecutor(1) as other:
        under_way = other.submit(service.decide)
        assert hanging.reached.wait(20)
        assert not service.engine.turn_comes(0.01)
        hanging.let_go.set()
        under_way.result()
    assert service.engine.turn_comes(20)


# The breaker


def an_open_breaker(**options: Any) -> Service:
    """Profiles hang, and every decision took longer than the budget."""
    service = Service(**options)
    service.profile_takes = 60
    for _ in range(5):
        assert actions(service.decide()) == ["plain"]
    assert service.breaker.position is Position.OPEN
    return service


def test_while_the_breaker_is_open_the_fallback_is_answered_at_once() -> None:
    service = an_open_breaker()
    service.asked.clear()
    before = service.now
    answer = service.decide()
    assert (service.now, service.asked) == (before, [])
    assert MessageToDict(answer.placements[0].fallback) == {"title": "Welcome"}
    assert reasons(answer) == [BREAKER]
    assert not answer.placements[0].selections


def test_what_the_open_breaker_answered_is_recorded_and_made_anew() -> None:
    service = an_open_breaker()
    answer = service.decide("hero", "list", "offer", at_least=[NEVER])
    assert answer.stale
    assert service.anew(answer) == answer
    record = service.records[-1]
    assert (list(record.notes), list(record.selections)) == ([BREAKER], [])
    explained = explanation(record, Past(service.state, {}, frozenset()))
    assert (explained.reproduced, explained.decision, list(explained.funnel)) == (True, answer, [])


def test_nothing_goes_out_without_consent_also_while_the_breaker_is_open() -> None:
    offer = an_open_breaker().decide("offer").placements[0]
    assert not offer.HasField("fallback")
    assert list(offer.reasons) == [
        BREAKER,
        "silence: no consent for email: what the customer said could not be read",
    ]


def test_nothing_goes_out_in_quiet_hours_also_while_the_breaker_is_open() -> None:
    channels = {"web": {"quiet_hours": {"from": "11:00", "to": "13:00"}}, "mail": {"purpose": "email"}}
    plan = a_plan([an_action("plain", propensity={"model": "m", "base": 0.1})], channels=channels)
    service = Service(plan)
    service.profile_takes = 60
    for _ in range(5):
        service.decide()
    hero = service.decide().placements[0]
    assert not hero.HasField("fallback")
    assert list(hero.reasons) == [BREAKER, "silence: quiet hours of web"]


def test_after_the_pause_a_decision_in_time_closes_the_breaker() -> None:
    service = an_open_breaker()
    service.now += 5
    assert actions(service.decide()) == ["plain"]  # tried, and late once more
    assert reasons(service.decide()) == [BREAKER]
    service.now += 5
    service.profile_takes = 0.001
    assert actions(service.decide()) == ["looked"]
    assert service.breaker.position is Position.CLOSED


def test_waiting_for_events_at_the_callers_wish_does_not_open_the_breaker() -> None:
    service = waiting_in_vain()
    for _ in range(10):
        assert service.decide(within=0.05, at_least=[NEVER]).stale
    assert service.breaker.position is Position.CLOSED


def test_a_wrong_request_is_no_trial() -> None:
    service = an_open_breaker()
    service.now += 5
    service.profile_takes = 0
    with pytest.raises(Exception, match="placements"):
        service.decide("nowhere")
    assert actions(service.decide()) == ["looked"]


def test_a_defect_counts_as_a_breach() -> None:
    service = Service(clock=lambda: cast(Any, None))
    for _ in range(5):
        with pytest.raises((TypeError, AttributeError)):
            service.decide()
    assert service.breaker.position is Position.OPEN


def test_a_batch_is_decided_while_the_breaker_is_open() -> None:
    service = an_open_breaker()
    service.profile_takes = 0
    batch = decision_pb2.DecideBatchRequest(requests=[a_request("ada")])
    data = service.engine.decide_batch(batch.SerializeToString(), None)
    (result,) = decision_pb2.DecideBatchResponse.FromString(data).results
    assert actions(result.decision) == ["looked"]
