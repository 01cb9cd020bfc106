"""Properties of events, as traits read them."""

from __future__ import annotations

from typing import Any

from google.protobuf import struct_pb2

from wayline.catalog.fields import Default
from wayline.v1 import events_pb2

MAX_CHARACTERS = 256
# Beyond it sums could overflow. Nothing that a shop measures comes near.
_LARGEST = 1e100


def text_of(event: events_pb2.Event, name: str) -> str | None:
    """A property as text; None when it is missing, empty, or neither text, number nor boolean."""
    value = event.properties.fields.get(name)
    if value is None:
        return None
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value[:MAX_CHARACTERS] or None
        case "number_value":
            return repr(value.number_value)
        case "bool_value":
            return str(value.bool_value).lower()
        case _:
            return None


def text_of_default(value: Default) -> str:
    """What a catalogue gives as the value of a property, as `text_of` would give it."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, int | float) else value


def number_of(event: events_pb2.Event, name: str) -> float | None:
    """A numeric property; None when it is missing, no number, or beyond 1e100 either way."""
    value = event.properties.fields.get(name)
    if value is None or not value.HasField("number_value"):
        return None
    number = value.number_value + 0.0  # so that there is one zero only: -0.0 would make other bytes
    return number if -_LARGEST <= number <= _LARGEST else None


def typed(value: struct_pb2.Value, type_name: str, default: Default | None) -> Any:
    """A JSON value as a declared type; `default` (None: the type's own zero) when it is of another type."""
    kind = value.WhichOneof("kind")
    if type_name == "string" and kind == "string_value":
        return value.string_value
    if type_name == "number" and kind == "number_value":
        return value.number_value
    if type_name == "integer" and kind == "number_value" and value.number_value.is_integer():
        return int(value.number_value) if abs(value.number_value) < 2**63 else default
    if type_name == "boolean" and kind == "bool_value":
        return value.bool_value
    return default
