"""Properties of events, as traits read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2

from wayline.catalog.fields import Default
from wayline.v1 import events_pb2

MAX_CHARACTERS = 256
# Beyond it sums could overflow. Nothing that a shop measures comes near.
_LARGEST = 1e100


class Occurrence:
    """One event, as traits read it: many traits want the same event, and its parts are taken out of it once."""

    __slots__ = ("message_id", "name", "properties", "timestamp_ms")

    def __init__(self, event: events_pb2.Event, timestamp_ms: int) -> None:
        """Take it apart. `timestamp_ms`: see `fold.timestamp_ms`."""
        self.name: str = event.name
        self.message_id: str = event.message_id
        self.timestamp_ms = timestamp_ms
        self.properties: Mapping[str, struct_pb2.Value] = event.properties.fields

    def text(self, name: str) -> str | None:
        """A property as text; None when it is missing, empty, or neither text, number nor boolean."""
        if name not in self.properties:
            return None
        value = self.properties[name]
        if text := value.string_value:  # nearly always
            return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS]
        if value.HasField("number_value"):
            return repr(value.number_value)
        return str(value.bool_value).lower() if value.HasField("bool_value") else None

    def number(self, name: str) -> float | None:
        """A numeric property; None when it is missing, no number, or beyond 1e100 either way."""
        if name not in self.properties or not self.properties[name].HasField("number_value"):
            return None
        number = self.properties[name].number_value + 0.0  # so that there is one zero only: -0.0 would make other bytes
        return number if -_LARGEST <= number <= _LARGEST else None


def text_of_default(value: Default) -> str:
    """What a catalogue gives as the value of a property, as `Occurrence.text` would give it."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, int | float) else value


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
