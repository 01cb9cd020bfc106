"""Answers: a DecideResponse, joined from parts that are encoded once per plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import struct_pb2

from wayline.v1 import decision_pb2
from wayline_decision.core.decision import Chosen, Decision, Filled, Personalisation
from wayline_decision.core.dropped import Dropped
from wayline_decision.core.experiments import AS_EVERYBODY
from wayline_decision.core.explain import dropped
from wayline_decision.core.plan import Plan, Stage
from wayline_decision.figures import figures_of
from wayline_decision.reasons import Reasons
from wayline_decision.wire import ONE_DOUBLE, sized, strings, tag, varint

PERSONALISATION = {one: getattr(decision_pb2, f"PERSONALISATION_{one.name}") for one in Personalisation}
"""The contract's number of each."""
_STAGE = {one: getattr(decision_pb2, f"STAGE_{one.name}") for one in Stage}
_ID = tag(decision_pb2.DecideResponse, "decision_id")
_PLACEMENTS = tag(decision_pb2.DecideResponse, "placements")
_STALE = tag(decision_pb2.DecideResponse, "stale") + b"\x01"
_WARNINGS = tag(decision_pb2.DecideResponse, "warnings")
_EXPERIMENTS = tag(decision_pb2.DecideResponse, "experiments")
_SELECTIONS = tag(decision_pb2.PlacementDecision, "selections")
_DROPPED = tag(decision_pb2.PlacementDecision, "dropped")
_CONTENT = tag(decision_pb2.Selection, "content")
_PROBABILITY = tag(decision_pb2.Selection, "selection_probability")
_RANKS = [tag(decision_pb2.Selection, "rank") + varint(rank) for rank in range(64)]
_DRAWN = tag(decision_pb2.Score, "drawn_propensity")
_DRAWN_ALONE = tag(decision_pb2.Selection, "score") + varint(len(_DRAWN) + 8) + _DRAWN
_RESULTS = tag(decision_pb2.DecideBatchResponse, "results")
_RESULT_DECISION = tag(decision_pb2.DecideBatchResult, "decision")
_RESULT_ERROR = tag(decision_pb2.DecideBatchResult, "error")


class AnswerWriter:
    """Writes the answers of one plan."""

    def __init__(self, plan: Plan) -> None:
        """Encode what never changes while the plan stays."""
        self._plan = plan
        self._reasons = Reasons(plan)
        self._placements = {
            name: decision_pb2.PlacementDecision(placement=name).SerializeToString() for name in plan.placements
        }
        self._fallbacks = {
            name: decision_pb2.PlacementDecision(fallback=_struct(placement.fallback)).SerializeToString()
            for name, placement in plan.placements.items()
            if placement.fallback is not None
        }
        self._selections = [
            decision_pb2.Selection(
                action=row.action_id,
                treatment=row.treatment_id,
                content=None if row.template else _struct(row.content),
                reasons=row.reasons,
            ).SerializeToString()
            for row in plan.rows
        ]
        self._tails = {
            mode: decision_pb2.DecideResponse(
                personalisation=PERSONALISATION[mode], catalog_revision=plan.revision
            ).SerializeToString()
            for mode in Personalisation
        }

    def response(
        self, decision_id: str, decision: Decision, warnings: Sequence[str], *, stale: bool, explain: bool
    ) -> bytes:
        """A DecideResponse."""
        parts = [sized(_ID, decision_id.encode())]
        parts += [sized(_PLACEMENTS, self._placement(one, decision, explain)) for one in decision.placements]
        parts.append(self._tails[decision.personalisation])
        if stale:
            parts.append(_STALE)
        parts += [sized(_WARNINGS, warning.encode()) for warning in warnings]
        if decision.assignment is not AS_EVERYBODY:
            parts += strings(_EXPERIMENTS, decision.assignment.recorded)
        return b"".join(parts)

    def _placement(self, filled: Filled, decision: Decision, explain: bool) -> bytes:
        name = filled.placement.id
        parts = [self._placements[name]]
        for rank, chosen in enumerate(filled.chosen, start=1):
            parts.append(sized(_SELECTIONS, self._selection(rank, chosen)))
        # Content for a place that stays empty. Where the channel itself is not allowed, nothing goes out at all.
        if not filled.chosen and not filled.denied and not filled.quiet and name in self._fallbacks:
            parts.append(self._fallbacks[name])
        parts += self._reasons.of(filled, decision)
        if explain:
            parts += [sized(_DROPPED, self._drop(one)) for one in dropped(self._plan, decision, filled)]
        return b"".join(parts)

    def _selection(self, rank: int, chosen: Chosen) -> bytes:
        score, _ = figures_of(chosen.arithmetic)
        parts = [self._selections[chosen.row], _RANKS[rank], score]
        if chosen.drawn is not None:
            # A second part of the same message: protobuf merges them.
            parts += (_DRAWN_ALONE, ONE_DOUBLE.pack(chosen.drawn))
        if chosen.selection_probability is not None:
            parts += (_PROBABILITY, ONE_DOUBLE.pack(chosen.selection_probability))
        if chosen.content is not None:
            parts.append(sized(_CONTENT, _struct(chosen.content).SerializeToString()))
        return b"".join(parts)

    def _drop(self, one: Dropped) -> bytes:
        row = self._plan.rows[one.row]
        return decision_pb2.Drop(
            action=row.action_id,
            treatment=row.treatment_id,
            stage=_STAGE[one.stage],
            rule=one.rule,
            reason=one.reason,
            change=one.change,
        ).SerializeToString()


def batch_response(results: Sequence[bytes | str]) -> bytes:
    """A DecideBatchResponse of encoded DecideResponses, and of errors as text."""
    parts: list[bytes] = []
    for one in results:
        tag_, value = (_RESULT_ERROR, one.encode()) if isinstance(one, str) else (_RESULT_DECISION, one)
        head = tag_ + varint(len(value))
        parts += (_RESULTS, varint(len(head) + len(value)), head, value)
    return b"".join(parts)


def _struct(content: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(content))
    return struct
