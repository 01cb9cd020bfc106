"""A whole engine in this process: real cache, ledger and records; only the profile service and JetStream are away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, cast

from nats.aio.client import Client
from tests.support.decisions import NOW

from wayline.identity import identity_key
from wayline.publish import Ack, AckedPublisher, Message
from wayline.v1 import decision_pb2, events_pb2, profile_pb2, profile_pb2_grpc
from wayline_decision.budgets import Budgets
from wayline_decision.core.contact import Met
from wayline_decision.core.plan import Plan
from wayline_decision.engine import Engine
from wayline_decision.ledger import Ledger, told_log
from wayline_decision.record_writer import contact_of
from wayline_decision.records import RecordLog
from wayline_decision.states import State, fitted
from wayline_decision.views import ViewCache

PARTITIONS = 4


class Kept:
    """In the place of the publisher: keeps what comes."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.messages: list[Message] = []

    async def publish(self, messages: Sequence[Message]) -> list[Ack]:
        """As if it was stored."""
        self.messages += messages
        return [Ack(sequence=1, duplicate=False) for _ in messages]


class Profiles:
    """In the place of the profile service: views that a test sets."""

    def __init__(self) -> None:
        """Nobody is known."""
        self.views: dict[bytes, profile_pb2.CustomerView] = {}
        self.asked: Callable[[], None] = lambda: None
        """Called once an answer is ready, before it is given."""

    def BatchGetViews(
        self,
        request: profile_pb2.BatchGetViewsRequest,
        timeout: float,
    ) -> profile_pb2.BatchGetViewsResponse:
        """Those that are known."""
        views = [self.views[key] for key in request.identity_keys if key in self.views]
        answer = profile_pb2.BatchGetViewsResponse(views=views)
        self.asked()
        return answer


class Erased(set[bytes]):
    """Identity keys of erased customers."""

    def holds(self, keys: Collection[bytes]) -> bool:
        """Whether one of them is among these."""
        return not self.isdisjoint(keys)


class Shop:
    """An engine with all that is around it. Views are not cached: each request sees what the test has set."""

    def __init__(self, plan: Plan, state: State | None = None, clock: Callable[[], datetime] = lambda: NOW) -> None:
        """Decide by a plan, or by a state of it with variants and models."""
        self.plan = plan
        self.profiles = Profiles()
        self._kept, self._told = Kept(), Kept()
        self._records: RecordLog = RecordLog(cast(AckedPublisher, self._kept), max_bytes=1 << 30)
        self._events = told_log(cast(AckedPublisher, self._told), max_bytes=1 << 30)
        # Its client is connected to nothing, so that it counts what is taken here.
        budgets = Budgets(Client(), clock=clock)
        budgets.use(plan.budgets)
        views = ViewCache(
            cast(profile_pb2_grpc.ProfileServiceStub, self.profiles), size=0, timeout_seconds=1.0, now_ms=lambda: 0
        )
        self.erased = Erased()
        ledger = Ledger(budgets=budgets, told=self._events, partitions=PARTITIONS)
        self.engine = Engine(views, self._records, ledger, clock=clock, suppressed=self.erased)
        self.engine.use(fitted(plan, {}, {}) if state is None else state)

    def knows(
        self,
        customer: str,
        *,
        profile: dict[str, Any] | None = None,
        consents: dict[str, bool] | None = None,
        contacts: Sequence[Met] = (),
        timezone: str = "",
    ) -> None:
        """From now on the profile service has this view of a customer."""
        key = identity_key("user_id", customer)
        self.profiles.views[key] = profile_pb2.CustomerView(
            profile_id=f"profile of {customer}",
            identity_keys=[key],
            version=1,
            traits=self.plan.schema.traits(**(profile or {})).SerializeToString(),
            consents=consents or {},
            contacts=[contact_of(one) for one in contacts],
            timezone=timezone,
            lot=key,
        )

    def decide(self, customer: str, *placements: str, **fields: Any) -> decision_pb2.DecideResponse:
        """One request; for the hero, unless it says otherwise."""
        data = a_request(customer, *placements, **fields).SerializeToString()
        return decision_pb2.DecideResponse.FromString(self.engine.decide(data, None))

    def decide_batch(self, requests: Sequence[decision_pb2.DecideRequest]) -> list[decision_pb2.DecideBatchResult]:
        """Many requests in one message."""
        data = decision_pb2.DecideBatchRequest(requests=requests).SerializeToString()
        return list(decision_pb2.DecideBatchResponse.FromString(self.engine.decide_batch(data, None)).results)

    @property
    def records(self) -> list[decision_pb2.DecisionRecord]:
        """All decision records so far."""
        asyncio.run(self._records.flush(10.0))
        bundles = [decision_pb2.DecisionRecordBundle.FromString(one.payload) for one in self._kept.messages]
        return [record for bundle in bundles for record in bundle.records]

    @property
    def told(self) -> list[events_pb2.Event]:
        """The events by which profiles are told what was decided, so far."""
        asyncio.run(self._events.flush(10.0))
        return [events_pb2.Event.FromString(one.payload) for one in self._told.messages]


def a_request(customer: str, *placements: str, **fields: Any) -> decision_pb2.DecideRequest:
    """For the hero, unless it says otherwise."""
    return decision_pb2.DecideRequest(
        customer=events_pb2.Identifier(kind="user_id", value=customer),
        placements=[decision_pb2.PlacementRequest(placement=one) for one in placements or ("hero",)],
        **fields,
    )


def actions(response: decision_pb2.DecideResponse) -> list[str]:
    """All actions of an answer."""
    return [one.action for filled in response.placements for one in filled.selections]
