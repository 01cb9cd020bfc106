"""The tracking plan: which events are expected, what they hold, and what happens to those that are otherwise."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from wayline.catalog.fields import Model

MAX_EVENTS = 1_000
CALLS = ("identify", "group", "page", "screen")
"""As names of events they stand for every such call; of identify and group it is the traits that are looked at."""

Response = Literal["refuse", "flag", "allow"]
"""refuse: a dead letter. flag: stored, with what was wrong in `Event.violations`. allow: stored. All are counted."""


class PlannedEvent(Model):
    """What one event holds."""

    version: int = Field(1, ge=1, le=1_000_000, description="Yours, to tell one state of the schema from the next.")
    rules: dict[str, JsonValue] = Field(
        alias="schema", description="JSON Schema 2020-12 of the properties; of identify and group, of the traits."
    )
    violations: Response | None = Field(None, description="None: as the plan says.")
    unplanned_properties: Response | None = Field(None, description="None: as the plan says.")


class TrackingPlan(Model):
    """All events that are expected, by name."""

    events: dict[Annotated[str, Field(min_length=1, max_length=128)], PlannedEvent] = Field(
        default_factory=dict,
        max_length=MAX_EVENTS,
        description="By the name of the track event; 'identify', 'group', 'page' and 'screen' stand for those calls.",
    )
    violations: Response = Field("flag", description="What happens when properties are not as their schema says.")
    unplanned_properties: Response = Field("allow", description="And when there are others than the schema names.")
    unplanned_events: Response = Field("allow", description="And to track events that are not planned.")
