"""From the contract to the core: requests are checked and read here; `wire` writes what comes out."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from google.protobuf import struct_pb2

from wayline.catalog.context import read_context
from wayline.catalog.schema import Schema
from wayline.errors import InvalidField
from wayline.identity import check_identifier
from wayline.v1 import decision_pb2
from wayline_decision.core.known import Situation
from wayline_decision.core.plan import PlacementPlan, Plan

MAX_REQUEST_BYTES = 256 << 10
MAX_PLACEMENTS = 20
MAX_LIMIT = 50
MAX_TOKENS = 100
MAX_KEPT_BYTES = 1_024
"""A larger context is nobody else's."""


class Asked:
    """A request that was checked."""

    __slots__ = ("data", "key", "placements", "request", "situation", "waits")

    def __init__(
        self,
        request: decision_pb2.DecideRequest,
        data: bytes,
        key: bytes,
        placements: list[tuple[PlacementPlan, int]],
        situation: Situation,
        *,
        waits: bool,
    ) -> None:
        """Put together.

        Args:
            request: as it came.
            data: the same, encoded.
            key: the customer's identity key.
            placements: with the number of slots to fill.
            situation: the request's context.
            waits: it names events that the profile is to hold.
        """
        self.request: Final = request
        self.data: Final = data
        self.key: Final = key
        self.placements: Final = placements
        self.situation: Final = situation
        self.waits: Final = waits


class Situations:
    """Reads contexts, and keeps the latest so many: they are shared by many requests."""

    def __init__(self, schema: Schema, size: int = 4_096) -> None:
        """Read by the declared fields of `schema`."""
        self._schema = schema
        self._size = size
        self._kept: OrderedDict[bytes, Situation] = OrderedDict()
        self._nothing = Situation(schema.context())

    def get(self, struct: struct_pb2.Struct, prefix: str = "") -> Situation:
        """The situation of a request's context; `prefix` says where the request stands in a batch.

        Raises:
            InvalidField: see `read_context`.
        """
        if not struct.fields:
            return self._nothing
        key = struct.SerializeToString()
        situation = self._kept.get(key)
        if situation is None:
            try:
                situation = Situation(*read_context(struct, self._schema))
            except InvalidField as error:
                raise InvalidField(f"{prefix}{error.field}", error.expected) from None
            if len(key) <= MAX_KEPT_BYTES:
                self._kept[key] = situation
                if len(self._kept) > self._size:
                    self._kept.popitem(last=False)
        return situation


def read_request(
    request: decision_pb2.DecideRequest, data: bytes, plan: Plan, situations: Situations, prefix: str = ""
) -> Asked:
    """Check a request and look its placements up.

    Args:
        request: from outside.
        data: the same, encoded.
        plan: names the placements.
        situations: reads the context.
        prefix: where the request stands in a batch, for instance 'requests[3].'.

    Raises:
        InvalidField: names the field and what was expected.
    """
    if len(data) > MAX_REQUEST_BYTES:
        which = prefix.removesuffix(".") or "request"
        raise InvalidField(which, f"expected at most {MAX_REQUEST_BYTES:,} bytes, got {len(data):,}")
    key = check_identifier(request.customer, f"{prefix}customer", plan.catalog.identifiers)
    # Reading a field of a message takes as long as the rest of a line here: once each.
    places = request.placements
    if not 1 <= len(places) <= MAX_PLACEMENTS:
        raise InvalidField(f"{prefix}placements", f"expected 1 to {MAX_PLACEMENTS}, got {len(places)}")
    placements: dict[str, tuple[PlacementPlan, int]] = {}
    for position, wanted in enumerate(places):
        name, limit = wanted.placement, wanted.limit
        placement = plan.placements.get(name)
        if placement is None or name in placements:
            raise _bad_placement(f"{prefix}placements[{position}].placement", name, plan)
        if not 0 <= limit <= MAX_LIMIT:
            raise InvalidField(f"{prefix}placements[{position}].limit", f"expected 0 to {MAX_LIMIT}, got {limit}")
        placements[name] = (placement, limit or placement.slots)
    tokens = len(request.at_least)
    if tokens > MAX_TOKENS:
        raise InvalidField(f"{prefix}at_least", f"expected at most {MAX_TOKENS} tokens, got {tokens}")
    situation = situations.get(request.context, prefix)
    return Asked(request, data, key, list(placements.values()), situation, waits=tokens > 0)


def _bad_placement(field: str, name: str, plan: Plan) -> InvalidField:
    if name in plan.placements:
        return InvalidField(field, f"'{name}' is asked for twice")
    known = ", ".join(sorted(plan.placements)[:20]) or "none"
    return InvalidField(field, f"expected a placement of the catalogue ({known}), got '{name[:64]}'")
