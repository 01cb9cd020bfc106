"""Answers as the service writes them, and read again."""

from __future__ import annotations

from typing import Any

from tests.support.decisions import a_plan, a_question, an_action, decided

from wayline.v1 import decision_pb2
from wayline_decision.answers import AnswerWriter
from wayline_decision.core.plan import Plan

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


def answered(
    plan: Plan = PLAN, *placements: str, explain: bool = False, **question: Any
) -> decision_pb2.PlacementDecision:
    return response(plan, *placements, explain=explain, **question).placements[0]


def response(
    plan: Plan = PLAN, *placements: str, explain: bool = False, **question: Any
) -> decision_pb2.DecideResponse:
    decision = decided(plan, a_question(plan, *placements, **question))
    data = AnswerWriter(plan).response("id", decision, [], stale=False, explain=explain)
    return decision_pb2.DecideResponse.FromString(data)
