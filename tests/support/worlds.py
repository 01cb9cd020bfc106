"""A shop with everything that can make a decision hard to repeat, and an engine that decides for its customers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import grpc
from nats.aio.client import Client
from tests.support.decisions import NOW, a_catalog, an_action
from tests.support.engines import Kept
from tests.support.models import linear_model, manifest

from wayline.catalog.contact import Outcome
from wayline.catalog.model import Catalog
from wayline.identity import identity_key
from wayline.publish import AckedPublisher
from wayline.scoring import Scorer
from wayline.v1 import decision_pb2, events_pb2, profile_pb2, profile_pb2_grpc
from wayline_decision.budgets import Budgets
from wayline_decision.core.compile import compile_plan
from wayline_decision.engine import Engine
from wayline_decision.ledger import Ledger
from wayline_decision.models import Loaded
from wayline_decision.records import RecordLog
from wayline_decision.states import State, fitted, plans_of
from wayline_decision.views import ViewCache

EVERYWHERE = ("hero", "list", "chat", "best", "offer")
MODEL, OTHER = "accept", "accept_b"
SCORED = [f"scored-{number}" for number in range(6)]


def a_full_catalog(revision: int = 1, **fields: Any) -> Catalog:
    """Every method of exploration, and every stage. Another `revision` has other values, rules and weights.

    Catalogues with an even revision have a formula; the arm 'older' of the experiment 'assortment' is decided by
    revision 1.
    """
    places = [{"id": "main", "placements": list(EVERYWHERE), "content": {"title": "plain"}}]
    told = {
        "id": "told",
        "placements": ["hero", "chat"],
        "content": {"title": "For you in {{ profile.tier }}: {{ profile.views | plus: 1 }}"},
    }
    broken = {"id": "main", "placements": ["best"], "content": {"title": "{{ profile.views | divided_by: 0 }}"}}
    model = {"model": MODEL, "base": 0.1, "evidence": 50}

    def one(name: str, **more: Any) -> dict[str, Any]:
        return an_action(name, **{"treatments": places, **more})

    scored = [
        one(
            name,
            propensity=model,
            value=1 + (3 * at + revision) % 7,
            lever=1 + at / 10,
            treatments=[*places, told] if at % 2 else places,
            context_weight='1.0 + 0.1 * double(profile.views) + (context.device == "mobile" ? 0.5 : 0.0)',
        )
        for at, name in enumerate(SCORED)
    ]
    plain = [
        one("limited", value=9, budget={"total": 40, "per_day": 25}),
        one("rare", value=8, contact={"caps": [{"limit": 1, "window": "1h"}]}),
        one("office", value=5, schedule={"hours": {"from": "09:00", "to": "17:00"}, "timezone": "customer"}),
        one("gold", eligibility='profile.tier == "gold"', value=6, priority=1),
        one("urgent", force="profile.views > 8", suitability="context.hour < 20"),
        one("new", propensity={"base": 0.3, "evidence": 5}, control=0.2),
        one("left", value=3),
        one("right", value=3),
        one("poor", propensity=0.001),
        one("broken", value=20, treatments=[broken]),
    ]
    arms = ("random", "propensity", "no_levers", "eligibility", "random_propensity")
    controls = {name: {"share": 0.1, "control": name} for name in arms}
    return a_catalog(
        [],
        name=f"shop-{revision}",
        channels={
            "web": {},
            "mail": {"purpose": "email", "direction": "outbound", "quiet_hours": {"from": "22:00", "to": "06:00"}},
        },
        placements={
            "hero": {"channel": "web", "exploration": "thompson", "fallback": {"title": "Welcome"}},
            "list": {
                "channel": "web",
                "slots": 3,
                "exploration": {"method": "squarecb", "gamma": 30},
                "diversity": 0.3,
            },
            "chat": {"channel": "web", "slots": 2, "exploration": {"method": "epsilon_greedy", "epsilon": 0.4}},
            "best": {"channel": "web", "slots": 2, "silence": 0.05},
            "offer": {"channel": "mail", "slots": 2, "exploration": "thompson", "diversity": 0.2},
        },
        arbitration={
            "propensity": 1.3,
            "context": 0.7,
            "formula": "propensity * value * lever + 0.01 * context" if revision % 2 == 0 else None,
            "smoothing": {"evidence": 20},
            "maturity": {"start": 0.3, "positives": 100},
            "floors": {"propensity": 0.002},
            "exclusions": [{"id": "sides", "actions": ["left", "right"]}],
            "bundles": [{"id": "pair", "actions": ["scored-0", "scored-1"]}],
        },
        contact={"caps": [{"per": "customer", "limit": 7, "window": "2h"}]},
        holdout={"share": 0.05},
        experiments=[
            {
                "id": "arms",
                "arms": {
                    "formula": {"share": 0.15, "formula": "propensity * value"},
                    "model": {"share": 0.15, "models": {MODEL: OTHER}},
                    "all": {"share": 0.2},
                    **controls,
                },
            },
            *(
                [
                    {
                        "id": "assortment",
                        "layer": "b",
                        "arms": {"now": {"share": 0.8}, "older": {"share": 0.2, "catalog": 1}},
                    }
                ]
                if revision > 1
                else []
            ),
        ],
        issues=[
            {
                "id": "sales",
                "groups": [
                    {"id": "scored", "most": 3, "actions": scored},
                    {"id": "plain", "lever": 1.1 + revision / 10, "actions": plain},
                ],
            }
        ],
        **fields,
    )


def a_full_model(name: str, version: int) -> Loaded:
    """A model that reads the profile, the request and a rule, and has no column for the last scored action."""
    chance = random.Random(f"{name} {version}")
    weights = [[chance.uniform(-0.4, 0.4) for _ in SCORED[1:]] for _ in range(4)]
    bias = [chance.uniform(-3, -1) for _ in SCORED[1:]]
    described = manifest(
        name, traits=["views", "spend"], context=["hour"], cel=['profile.tier == "gold"'], actions=SCORED[:-1]
    )
    for at, output in enumerate(described.outputs):
        output.responses, output.positives = 100 * at + version, 20 * at
    return Loaded(described, version, Scorer(described, linear_model(weights, bias)))


def a_full_state(catalog: Catalog, revision: int, models: Mapping[str, Loaded], older: Catalog | None = None) -> State:
    """What decides, with all variants of experiments."""
    plan = compile_plan(catalog, revision)
    return fitted(plan, plans_of(plan, {1: older} if older else {}), models)


class _Customers:
    """Stands where the profile service stands."""

    def __init__(self, views: Mapping[bytes, profile_pb2.CustomerView]) -> None:
        self._views = views
        self.away = False

    def BatchGetViews(self, request: Any, timeout: float) -> profile_pb2.BatchGetViewsResponse:
        if self.away:
            raise _Away
        found = [self._views[key] for key in request.identity_keys if key in self._views]
        return profile_pb2.BatchGetViewsResponse(views=found)


class _Away(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE


@dataclass
class Shop:
    """Decides, and keeps the records. Its clock goes on by seven minutes with each request."""

    seed: int = 0
    known: int = 30
    """Customers of whom there is a profile; as many again have none."""
    now: datetime = NOW

    def __post_init__(self) -> None:
        """Make the customers."""
        self.chance = random.Random(self.seed)
        schema = compile_plan(a_full_catalog(), 1).schema
        self.customers = _Customers(dict(self._view(at, schema) for at in range(self.known)))
        views = ViewCache(cast(profile_pb2_grpc.ProfileServiceStub, self.customers), size=0, timeout_seconds=1)
        self.budgets = Budgets(Client(), clock=self._clock)
        self._kept = Kept()
        self._records = RecordLog(cast(AckedPublisher, self._kept), max_bytes=1 << 30)
        self.engine = Engine(views, self._records, Ledger(budgets=self.budgets), clock=self._clock)

    def use(self, state: State) -> None:
        """Decide with this from now on."""
        self.budgets.use(state.plan.budgets, *(one.plan.budgets for one in state.variants.values()))
        self.engine.use(state)

    def ask(self, times: int) -> None:
        """So many requests of all kinds, one in four of them a batch of ten."""
        for _ in range(times):
            self.customers.away = self.chance.random() < 0.05
            if self.chance.random() < 0.25:
                batch = decision_pb2.DecideBatchRequest(requests=[self._request() for _ in range(10)])
                self.engine.decide_batch(batch.SerializeToString(), None)
            else:
                self.engine.decide(self._request().SerializeToString(), None)

    @property
    def records(self) -> list[decision_pb2.DecisionRecord]:
        """Of all decisions so far."""
        asyncio.run(self._records.flush(10.0))
        bundles = [decision_pb2.DecisionRecordBundle.FromString(one.payload) for one in self._kept.messages]
        return [record for bundle in bundles for record in bundle.records]

    def _clock(self) -> datetime:
        self.now += timedelta(minutes=7, microseconds=self.chance.randrange(1_000_000))
        return self.now

    def _request(self) -> decision_pb2.DecideRequest:
        number = self.chance.randrange(2 * self.known)
        request = decision_pb2.DecideRequest(
            customer=events_pb2.Identifier(kind="user_id", value=f"customer-{number}"),
            placements=[
                decision_pb2.PlacementRequest(placement=name, limit=self.chance.choice((0, 0, 1, 4)))
                for name in self.chance.sample(EVERYWHERE, self.chance.randint(1, 4))
            ],
        )
        if self.chance.random() < 0.7:
            request.context.update(
                {"device": self.chance.choice(("mobile", "desktop")), "hour": self.chance.randrange(24)}
            )
        return request

    def _view(self, number: int, schema: Any) -> tuple[bytes, profile_pb2.CustomerView]:
        chance, key = self.chance, identity_key("user_id", f"customer-{number}")
        traits = schema.traits(views=chance.randrange(12), spend=chance.uniform(0, 5))
        if number % 3:
            traits.tier = chance.choice(("gold", "silver"))
        consents = {"email": chance.random() < 0.7}
        if chance.random() < 0.2:
            consents["personalisation"] = False
        view = profile_pb2.CustomerView(
            profile_id=f"profile-{number}",
            identity_keys=[key],
            version=number + 1,
            traits=traits.SerializeToString(),
            consents=consents,
            timezone=chance.choice(("", "Europe/Paris", "America/Lima")),
            lot=chance.randbytes(16),
            contacts=self._contacts(),
        )
        return key, view

    def _contacts(self) -> Sequence[profile_pb2.Contact]:
        outcomes: tuple[Outcome, ...] = ("impression", "click")
        return [
            profile_pb2.Contact(
                outcome=self.chance.choice(outcomes),
                action=self.chance.choice(("rare", "limited", "scored-2")),
                channel="web",
                timestamp_ms=int((NOW - timedelta(minutes=self.chance.randrange(300))).timestamp() * 1_000),
            )
            for _ in range(self.chance.randrange(4))
        ]
