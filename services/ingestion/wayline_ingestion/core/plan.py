"""The tracking plan at work: what of an event is not as planned, and what happens to it then.

Schemas are compiled once for each revision of the catalogue. An event that is planned costs a translation of its
properties into Python's values (they are what the validator reads) and the validation, which takes a tenth of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from google.protobuf.struct_pb2 import Struct, Value

from wayline.catalog.json_schemas import Validator, compiled
from wayline.catalog.tracking import CALLS, PlannedEvent, Response, TrackingPlan
from wayline.v1 import events_pb2
from wayline.v1.events_pb2 import Event

MAX_VIOLATIONS = 20
MAX_VIOLATION_CHARACTERS = 256
_MAX_SHOWN_NAME = 128
_TRACK = events_pb2.EVENT_TYPE_TRACK
_TRAITS = (events_pb2.EVENT_TYPE_IDENTIFY, events_pb2.EVENT_TYPE_GROUP)


class Deviation(NamedTuple):
    """How an event is not as planned."""

    violations: tuple[str, ...] = ()
    """What is to be flagged, each with its path, for instance 'properties.price: …'."""
    unplanned_properties: tuple[str, ...] = ()
    unplanned: bool = False
    """The plan does not name the event."""
    refusal: tuple[str, str, str] | None = None
    """The reason, the path within the event and what was expected; None: it passes."""


@dataclass(frozen=True, slots=True)
class _Planned:
    """One event of the plan, compiled."""

    name: str
    version: int
    validator: Validator
    known: frozenset[str]
    patterns: Validator | None
    """Which names `patternProperties` allow; None: there are none."""
    violations: Response
    unplanned: Response

    @classmethod
    def of(cls, name: str, event: PlannedEvent, plan: TrackingPlan) -> _Planned:
        rules, validator = event.rules, compiled(event.rules)
        properties, patterns = rules.get("properties", {}), rules.get("patternProperties", {})
        assert isinstance(properties, dict)
        assert isinstance(patterns, dict)
        return cls(
            name,
            event.version,
            validator,
            frozenset(properties),
            compiled({"anyOf": [{"pattern": pattern} for pattern in patterns]}) if patterns else None,
            event.violations or plan.violations,
            event.unplanned_properties or plan.unplanned_properties,
        )

    def unplanned_among(self, names: Mapping[str, Any]) -> tuple[str, ...]:
        """The names that the schema does not know, sorted."""
        unknown = sorted(name for name in names if name not in self.known)
        if self.patterns is not None:
            return tuple(name for name in unknown if not self.patterns.is_valid(name))
        return tuple(unknown)


class CompiledPlan:
    """Judges events by one catalogue's tracking plan."""

    def __init__(self, plan: TrackingPlan | None) -> None:
        """Compile it; None lets everything pass.

        Raises:
            SchemaRefused: a schema is none.
        """
        plan = plan or TrackingPlan()
        calls = {name: events_pb2.EventType.Value(f"EVENT_TYPE_{name.upper()}") for name in CALLS}
        planned = {name: _Planned.of(name, event, plan) for name, event in plan.events.items()}
        self._tracks = {name: one for name, one in planned.items() if name not in calls}
        self._calls = {calls[name]: one for name, one in planned.items() if name in calls}
        self._unplanned_events = plan.unplanned_events
        self._idle = not planned and plan.unplanned_events == "allow"

    def judge(self, event: Event) -> Deviation | None:
        """How a valid event is not as planned; None: it is."""
        if self._idle:
            return None
        if event.type != _TRACK:
            planned = self._calls.get(event.type)
            return None if planned is None else _judged(event, planned)
        planned = self._tracks.get(event.name)
        if planned is not None:
            return _judged(event, planned)
        return self._unplanned_event()

    def _unplanned_event(self) -> Deviation:
        expected = "expected an event that the tracking plan names; add it to the plan, or mend the sender"
        if self._unplanned_events == "refuse":
            return Deviation(unplanned=True, refusal=("unplanned_event", "name", expected))
        flags = (f"name: {expected}",) if self._unplanned_events == "flag" else ()
        return Deviation(flags, unplanned=True)


def _judged(event: Event, planned: _Planned) -> Deviation | None:
    where = "traits" if event.type in _TRAITS else "properties"
    values = _object(getattr(event, where))
    unplanned = planned.unplanned_among(values)
    wrong = () if planned.validator.is_valid(values) else tuple(_violations(planned.validator, values, where))
    if not unplanned and not wrong:
        return None
    plan = f"version {planned.version} of '{planned.name}' in the tracking plan"
    if wrong and planned.violations == "refuse":
        path, message = wrong[0]
        return Deviation((), unplanned, refusal=("violation", path, f"expected what {plan} says, but {message}"))
    if unplanned and planned.unplanned == "refuse":
        path = f"{where}.{unplanned[0]}"
        return Deviation(
            (), unplanned, refusal=("unplanned_property", path, f"expected only {where} that {plan} names")
        )
    flags = list(wrong) if planned.violations == "flag" else []
    if planned.unplanned == "flag":
        flags += [(f"{where}.{name[:_MAX_SHOWN_NAME]}", "is not planned") for name in unplanned]
    texts = tuple(f"{path}: {message}"[:MAX_VIOLATION_CHARACTERS] for path, message in flags[:MAX_VIOLATIONS])
    return Deviation(texts, unplanned)


def _violations(validator: Validator, values: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    for error in islice(validator.iter_errors(values), MAX_VIOLATIONS):
        steps = (f"[{step}]" if isinstance(step, int) else f".{step[:_MAX_SHOWN_NAME]}" for step in error.instance_path)
        yield where + "".join(steps), error.message[:MAX_VIOLATION_CHARACTERS]


def _object(struct: Struct) -> dict[str, Any]:
    fields = struct.fields
    return {name: _value(fields[name]) for name in fields}


def _value(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        return value.number_value  # always a float; to JSON Schema, 3.0 is an integer
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return _object(value.struct_value)
    if kind == "list_value":
        return [_value(one) for one in value.list_value.values]
    return None
