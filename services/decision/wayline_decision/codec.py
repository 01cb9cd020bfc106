"""Between the contract and the core: requests are checked and read here, decisions are written here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from google.protobuf import struct_pb2

from wayline.catalog.context import read_context
from wayline.errors import InvalidField
from wayline.identity import check_identifier
from wayline.v1 import decision_pb2
from wayline_decision.core.decide import Decision, Filled, Personalisation, Question
from wayline_decision.core.explain import dropped
from wayline_decision.core.plan import PlacementPlan, Plan, Stage
from wayline_decision.views import Entry

MAX_PLACEMENTS = 20
MAX_LIMIT = 50
MAX_TOKENS = 100
_PERSONALISATION = {one: getattr(decision_pb2, f"PERSONALISATION_{one.name}") for one in Personalisation}
_STAGE = {one: getattr(decision_pb2, f"STAGE_{one.name}") for one in Stage}
_NOTES = {
    Personalisation.UNKNOWN_CUSTOMER: "contextual: the customer is not known",
    Personalisation.NO_CONSENT: "contextual: no consent for {}",
    Personalisation.UNAVAILABLE: "contextual: the profile could not be read in time",
}


class Asked(NamedTuple):
    """A request that was checked."""

    request: decision_pb2.DecideRequest
    key: bytes
    placements: tuple[tuple[PlacementPlan, int], ...]
    context: Any
    warnings: list[str]


class Templates:
    """Per row and placement, the parts of an answer that never change, built once per plan and copied in C."""

    def __init__(self, plan: Plan) -> None:
        """Build them."""
        self.selections = [
            decision_pb2.Selection(
                action=row.action_id, treatment=row.treatment_id, content=_struct(row.content), reasons=row.reasons
            )
            for row in plan.rows
        ]
        self.fallbacks = {
            name: _struct(placement.fallback)
            for name, placement in plan.placements.items()
            if placement.fallback is not None
        }


def read_request(request: decision_pb2.DecideRequest, plan: Plan, prefix: str = "") -> Asked:
    """Check a request and look its placements up.

    Args:
        request: from outside.
        plan: names the placements and context fields.
        prefix: where the request stands in a batch, for instance 'requests[3].'.

    Raises:
        InvalidField: names the field and what was expected.
    """
    key = check_identifier(request.customer, f"{prefix}customer")
    if not 1 <= len(request.placements) <= MAX_PLACEMENTS:
        raise InvalidField(f"{prefix}placements", f"expected 1 to {MAX_PLACEMENTS}, got {len(request.placements)}")
    placements: dict[str, tuple[PlacementPlan, int]] = {}
    for position, wanted in enumerate(request.placements):
        placement = plan.placements.get(wanted.placement)
        if placement is None or wanted.placement in placements:
            raise _bad_placement(f"{prefix}placements[{position}].placement", wanted.placement, plan)
        if not 0 <= wanted.limit <= MAX_LIMIT:
            raise InvalidField(
                f"{prefix}placements[{position}].limit", f"expected 0 to {MAX_LIMIT}, got {wanted.limit}"
            )
        placements[wanted.placement] = (placement, wanted.limit or placement.slots)
    if len(request.at_least) > MAX_TOKENS:
        raise InvalidField(f"{prefix}at_least", f"expected at most {MAX_TOKENS} tokens, got {len(request.at_least)}")
    context, warnings = read_context(request.context, plan.schema, f"{prefix}context")
    return Asked(request, key, tuple(placements.values()), context, warnings)


def question_of(asked: Asked, entry: Entry | None, plan: Plan, *, reachable: bool) -> Question:
    """The core's question."""
    return Question(asked.placements, asked.context, entry.known(plan) if entry else None, reachable)


def write_response(
    decision_id: str, asked: Asked, decision: Decision, plan: Plan, templates: Templates, *, stale: bool, explain: bool
) -> decision_pb2.DecideResponse:
    """The contract's answer."""
    response = decision_pb2.DecideResponse(
        decision_id=decision_id,
        stale=stale,
        personalisation=_PERSONALISATION[decision.personalisation],
        catalog_revision=plan.revision,
        warnings=asked.warnings,
    )
    for filled in decision.placements:
        placement = response.placements.add(placement=filled.placement.id)
        for rank, chosen in enumerate(filled.chosen, start=1):
            selection = placement.selections.add()
            selection.CopyFrom(templates.selections[chosen.row])
            selection.rank = rank
            score = selection.score
            score.propensity = chosen.propensity
            score.context = chosen.context
            score.value = chosen.value
            score.lever = chosen.lever
            score.priority = chosen.priority
            score.propensity_source = chosen.source
        _write_silence(placement, filled, templates)
        _write_notes(placement, filled, decision, plan)
        if explain:
            for one in dropped(plan, decision, filled):
                row = plan.rows[one.row]
                placement.dropped.add(
                    action=row.action_id,
                    treatment=row.treatment_id,
                    stage=_STAGE[one.stage],
                    rule=one.rule,
                    reason=one.reason,
                )
    return response


def write_record(
    response: decision_pb2.DecideResponse,
    asked: Asked,
    decision: Decision,
    versions: Mapping[str, int],
    now: datetime,
) -> decision_pb2.DecisionRecord:
    """What is kept: all that went in, but for the view, which is appended encoded, and what came out."""
    record = decision_pb2.DecisionRecord(
        decision_id=response.decision_id,
        request=asked.request,
        personalisation=response.personalisation,
        catalog_revision=response.catalog_revision,
        model_versions=versions,
        stale=response.stale,
        notes=decision.failures,
    )
    micros = _micros(now)
    record.decided_at.seconds = micros // 1_000_000
    record.decided_at.nanos = micros % 1_000_000 * 1_000
    for filled in response.placements:
        for selection in filled.selections:
            record.selections.add(
                placement=filled.placement,
                action=selection.action,
                treatment=selection.treatment,
                priority=selection.score.priority,
            )
    return record


def _write_silence(placement: decision_pb2.PlacementDecision, filled: Filled, templates: Templates) -> None:
    """Content for a place that stays empty. Where the channel itself is not allowed, nothing goes out at all."""
    if not filled.chosen and not filled.denied_purpose and filled.placement.id in templates.fallbacks:
        placement.fallback.CopyFrom(templates.fallbacks[filled.placement.id])


def _write_notes(placement: decision_pb2.PlacementDecision, filled: Filled, decision: Decision, plan: Plan) -> None:
    if filled.denied_purpose:
        placement.reasons.append(f"silence: no consent for {filled.denied_purpose}")
        return
    note = _NOTES.get(decision.personalisation)
    if note:
        placement.reasons.append(note.format(plan.catalog.personalisation))
    placement.reasons.extend(decision.failures)
    if not filled.chosen:
        placement.reasons.append("no action met its conditions")


def _bad_placement(field: str, name: str, plan: Plan) -> InvalidField:
    if name in plan.placements:
        return InvalidField(field, f"'{name}' is asked for twice")
    known = ", ".join(sorted(plan.placements)[:20]) or "none"
    return InvalidField(field, f"expected a placement of the catalogue ({known}), got '{name[:64]}'")


def _struct(content: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(content))
    return struct


def _micros(moment: datetime) -> int:
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
