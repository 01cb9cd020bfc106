"""The first or last value of a property, and how long ago the last event was."""

from __future__ import annotations

from dataclasses import dataclass

from wayline.catalog.fields import Default
from wayline_profile.core.evidence import Folder, State, Valued
from wayline_profile.core.properties import Occurrence, typed


@dataclass(frozen=True, slots=True)
class MomentFolder(Folder):
    """The first or last value, by the event's own time; the message id breaks ties."""

    property_name: str
    first: bool
    type: str
    default: Default | None

    def fold(self, state: State, occurrence: Occurrence) -> None:
        """Keep the earlier, or the later."""
        if self.property_name not in occurrence.properties:
            return
        timestamp_ms, message_id = occurrence.timestamp_ms, occurrence.message_id
        if self._precedes(state, timestamp_ms, message_id):
            moment = state.moment
            moment.value.CopyFrom(occurrence.properties[self.property_name])
            moment.timestamp_ms = timestamp_ms
            moment.message_id = message_id

    def merge(self, state: State, other: State) -> None:
        """Keep the earlier, or the later."""
        if other.HasField("moment") and self._precedes(state, other.moment.timestamp_ms, other.moment.message_id):
            state.moment.CopyFrom(other.moment)

    def value(self, state: State, now_ms: int) -> Valued:  # noqa: ARG002
        """The value, if it is of the declared type."""
        return typed(state.moment.value, self.type, self.default), 0

    def _precedes(self, state: State, timestamp_ms: int, message_id: str) -> bool:
        if not state.HasField("moment"):
            return True
        moment = state.moment
        held = (moment.timestamp_ms, moment.message_id)
        return (timestamp_ms, message_id) < held if self.first else (timestamp_ms, message_id) > held


@dataclass(frozen=True, slots=True)
class RecencyFolder(Folder):
    """Whole units since the last event. An event that is yet to come, by its own time, was just now."""

    unit_ms: int

    def fold(self, state: State, occurrence: Occurrence) -> None:
        """Keep the later time."""
        timestamp_ms = occurrence.timestamp_ms
        if not state.HasField("latest_ms") or timestamp_ms > state.latest_ms:
            state.latest_ms = timestamp_ms

    def merge(self, state: State, other: State) -> None:
        """Keep the later time."""
        if other.HasField("latest_ms") and (not state.HasField("latest_ms") or other.latest_ms > state.latest_ms):
            state.latest_ms = other.latest_ms

    def value(self, state: State, now_ms: int) -> Valued:
        """The whole units that have gone by; one more at the end of the next."""
        if not state.HasField("latest_ms"):
            return None, 0
        units = max(0, now_ms - state.latest_ms) // self.unit_ms
        return units, state.latest_ms + (units + 1) * self.unit_ms
