"""From the contract to the core: requests are checked and read here; `wire` writes what comes out."""

from __future__ import annotations

from typing import Any, NamedTuple

from wayline.catalog.context import read_context
from wayline.errors import InvalidField
from wayline.identity import check_identifier
from wayline.v1 import decision_pb2
from wayline_decision.core.decide import Question
from wayline_decision.core.plan import PlacementPlan, Plan
from wayline_decision.views import Entry

MAX_PLACEMENTS = 20
MAX_LIMIT = 50
MAX_TOKENS = 100


class Asked(NamedTuple):
    """A request that was checked."""

    request: decision_pb2.DecideRequest
    data: bytes
    """The request, encoded."""
    key: bytes
    placements: tuple[tuple[PlacementPlan, int], ...]
    context: Any
    warnings: list[str]


def read_request(request: decision_pb2.DecideRequest, data: bytes, plan: Plan, prefix: str = "") -> Asked:
    """Check a request and look its placements up.

    Args:
        request: from outside.
        data: the same, encoded.
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
    return Asked(request, data, key, tuple(placements.values()), context, warnings)


def question_of(asked: Asked, entry: Entry | None, plan: Plan, *, reachable: bool) -> Question:
    """The core's question."""
    return Question(asked.placements, asked.context, entry.known(plan) if entry else None, reachable)


def _bad_placement(field: str, name: str, plan: Plan) -> InvalidField:
    if name in plan.placements:
        return InvalidField(field, f"'{name}' is asked for twice")
    known = ", ".join(sorted(plan.placements)[:20]) or "none"
    return InvalidField(field, f"expected a placement of the catalogue ({known}), got '{name[:64]}'")
