"""The answer where nothing can be decided in time: the placements' fallbacks, and why. It is recorded too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from google.protobuf import struct_pb2

from wayline.publish import Message
from wayline.v1 import decision_pb2
from wayline_decision.codec import Asked
from wayline_decision.core.consent import denied
from wayline_decision.core.plan import PlacementPlan, Plan

BREAKER_OPEN = "the breaker is open: too many of the last decisions took too long or missed their deadline"
OUT_OF_TIME = "out of time: the decision's turn did not come before the caller's deadline"
_MARKS = tuple(reason.partition(":")[0] + ":" for reason in (BREAKER_OPEN, OUT_OF_TIME))


class FellBack(NamedTuple):
    """A request that nothing was decided for."""

    plan: Plan
    asked: Asked
    decision_id: str
    now: datetime
    stale: bool
    """Events that it was to wait for were not there, or not waited for."""
    reason: str

    def response(self) -> decision_pb2.DecideResponse:
        """The answer. Nobody looked at the customer: where a purpose is not allowed by default, nothing goes out."""
        return decision_pb2.DecideResponse(
            decision_id=self.decision_id,
            placements=[self._placement(placement) for placement, _ in self.asked.placements],
            stale=self.stale,
            personalisation=decision_pb2.PERSONALISATION_UNAVAILABLE,
            catalog_revision=self.plan.revision,
            warnings=self.asked.situation.warnings,
        )

    def encoded(self) -> Message:
        """The record; its subject and id are the bundle's."""
        record = decision_pb2.DecisionRecord(
            decision_id=self.decision_id,
            request=self.asked.request,
            personalisation=decision_pb2.PERSONALISATION_UNAVAILABLE,
            catalog_revision=self.plan.revision,
            stale=self.stale,
            notes=[self.reason],
        )
        record.decided_at.FromDatetime(self.now)
        return Message("", record.SerializeToString(), "")

    def _placement(self, placement: PlacementPlan) -> decision_pb2.PlacementDecision:
        silence = self._silence(placement)
        if silence:
            return decision_pb2.PlacementDecision(placement=placement.id, reasons=[self.reason, silence])
        fallback = None if placement.fallback is None else _struct(placement.fallback)
        return decision_pb2.PlacementDecision(placement=placement.id, fallback=fallback, reasons=[self.reason])

    def _silence(self, placement: PlacementPlan) -> str:
        """Why not even a fallback goes out; empty: it does."""
        plan = self.plan
        refused = denied(plan, None, placement, reachable=False)
        if refused is not None:
            return f"silence: {refused.reason}"
        if not plan.schedule.empty and placement.channel in plan.schedule.judge(self.now, "").quiet:
            return f"silence: quiet hours of {placement.channel}"
        return ""


def reason_of(record: decision_pb2.DecisionRecord) -> str:
    """Why nothing was decided; empty: it was."""
    return next((note for note in record.notes if note.startswith(_MARKS)), "")


def _struct(content: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(content))
    return struct
