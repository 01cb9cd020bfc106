"""When and how often a customer may be met: schedules, quiet hours, caps, suppression, budgets."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from wayline.catalog.fields import DurationSeconds, Id, Model, Text, Zone, listed

Outcome = Literal["decision", "impression", "click", "conversion", "dismissal"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="for instance 09:30")]
Where = Zone | Literal["customer"]
"""A time zone; 'customer': the one that the customer's latest event named, else the catalogue's."""
DECISION_EVENT = "Decision Made"
"""The track event by which the decision service tells the profile what it chose."""


def at_clock(text: str) -> time:
    """'09:30' as a time of the day."""
    return time(int(text[:2]), int(text[3:]))


class Hours(Model):
    """A part of the day, from (inclusive) to (exclusive). `to` before `from` goes over midnight."""

    start: Clock = Field(alias="from")
    end: Clock = Field(alias="to")

    @model_validator(mode="after")
    def _has_length(self) -> Hours:
        if self.start == self.end:
            raise ValueError("expected 'from' and 'to' to differ")
        return self


def _dated(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError(f"expected a date, or a date and a time, such as 2026-11-27 or 2026-11-27T09:00, got {value}")
    return value


Moment = Annotated[datetime, BeforeValidator(_dated)]


class Schedule(Model):
    """When something may be chosen. All that is given must hold."""

    starts: Moment | None = Field(None, description="Inclusive. Without an offset, by `timezone`.")
    ends: Moment | None = Field(None, description="Exclusive.")
    days: Annotated[tuple[Day, ...], BeforeValidator(listed)] = Field((), max_length=7, description="None: every day.")
    hours: Annotated[tuple[Hours, ...], BeforeValidator(listed)] = Field((), max_length=10, description="None: always.")
    timezone: Where | None = Field(None, description="None: the catalogue's.")

    @model_validator(mode="after")
    def _is_ordered(self) -> Schedule:
        if self.starts and self.ends and self.starts.replace(tzinfo=None) >= self.ends.replace(tzinfo=None):
            raise ValueError("expected 'starts' before 'ends'")
        return self


class QuietHours(Hours):
    """When nothing goes out on a channel."""

    timezone: Where | None = Field("customer", description="None: the catalogue's.")


class Budget(Model):
    """How often an action may be chosen, over all customers."""

    total: int | None = Field(None, ge=1, le=10**12)
    per_day: int | None = Field(None, ge=1, le=10**12)
    timezone: Zone | None = Field(None, description="Of the day. None: the catalogue's.")

    @model_validator(mode="after")
    def _limits_something(self) -> Budget:
        if self.total is None and self.per_day is None:
            raise ValueError("expected 'total', 'per_day' or both")
        return self


class Cap(Model):
    """At most `limit` outcomes of one customer, in a rolling window or a calendar period.

    It holds for the actions of the level at which it is declared (catalogue, issue, group, action), and counts the
    outcomes with the same `per`: of the same action, group, issue or channel, or all of the customer's.
    """

    outcome: Annotated[tuple[Outcome, ...], BeforeValidator(listed)] = Field(("impression",), min_length=1)
    limit: int = Field(ge=0, le=200)
    window: DurationSeconds | None = Field(None, description="Rolling.")
    period: Literal["day", "week", "month"] | None = Field(
        None, description="By the calendar, in the customer's time zone; weeks begin on Monday."
    )
    per: Literal["action", "group", "issue", "channel", "customer"] = "action"
    channels: Annotated[tuple[Id, ...], BeforeValidator(listed)] = Field(
        (), max_length=50, description="Counts and holds on these only. None: on all."
    )
    because: Text = ""

    @model_validator(mode="after")
    def _has_one_span(self) -> Cap:
        if (self.window is None) == (self.period is None):
            raise ValueError("expected either 'window' or 'period'")
        return self


class Suppression(Model):
    """After so many outcomes within a window, the action (or its group or issue) pauses for the customer."""

    outcome: Annotated[tuple[Outcome, ...], BeforeValidator(listed)] = Field(("dismissal",), min_length=1)
    after: int = Field(1, ge=1, le=200)
    window: DurationSeconds = Field(30 * 86_400)
    pause: DurationSeconds = Field(description="Counted from the outcome that was one too many.")
    per: Literal["action", "group", "issue"] = "action"
    because: Text = ""


class ContactPolicy(Model):
    """Caps and suppressions of one level; those of all levels above hold too."""

    caps: Annotated[tuple[Cap, ...], BeforeValidator(listed)] = Field((), max_length=20)
    suppressions: Annotated[tuple[Suppression, ...], BeforeValidator(listed)] = Field((), max_length=20)


class Outcomes(Model):
    """Which track events tell outcomes. They name `action` and `decision_id` in their properties."""

    impression: Annotated[tuple[str, ...], BeforeValidator(listed)] = ("Impression",)
    click: Annotated[tuple[str, ...], BeforeValidator(listed)] = ("Click",)
    conversion: Annotated[tuple[str, ...], BeforeValidator(listed)] = ("Conversion",)
    dismissal: Annotated[tuple[str, ...], BeforeValidator(listed)] = ("Dismissal",)

    @field_validator("impression", "click", "conversion", "dismissal")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(names) > 20 or any(not 1 <= len(name) <= 128 for name in names):
            raise ValueError("expected at most 20 names of events, of 1 to 128 characters")
        return names

    @model_validator(mode="after")
    def _differ(self) -> Outcomes:
        names = [*self.impression, *self.click, *self.conversion, *self.dismissal]
        if len(set(names)) != len(names):
            raise ValueError("expected each event to tell one outcome")
        if DECISION_EVENT in names:
            raise ValueError(f"expected another name than '{DECISION_EVENT}', which tells what was decided")
        return self
