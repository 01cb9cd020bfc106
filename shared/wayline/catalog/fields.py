"""The types of which the catalogue's models are made."""

from __future__ import annotations

import re
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MAX_RULE_CHARACTERS = 2_000

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SHORTEST_SECONDS, _LONGEST_SECONDS = 60, 400 * 86_400


def _duration(value: Any) -> Any:
    """'90s', '30m', '24h' or '7d' to seconds; seconds stay as they are."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d{1,6})\s*([smhd])", value)
        if not found:
            raise ValueError("expected a duration such as 90s, 30m, 24h or 7d")
        return int(found[1]) * _UNITS[found[2]]
    return value


def _within_limits(seconds: int) -> int:
    if not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS:
        raise ValueError("expected a duration between 1m and 400d")
    return seconds


def listed(value: Any) -> Any:
    """A single one stands for a list of one."""
    return [value] if isinstance(value, str | dict) else value


def ruled(value: Any) -> Any:
    """A rule may be given as its text."""
    return {"rule": value} if isinstance(value, str) else value


Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Text = Annotated[str, Field(max_length=500)]
Expression = Annotated[str, Field(min_length=1, max_length=MAX_RULE_CHARACTERS)]
DurationSeconds = Annotated[int, BeforeValidator(_duration), AfterValidator(_within_limits)]
Weight = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
EventNames = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=128)], ...],
    BeforeValidator(listed),
    Field(min_length=1, max_length=50),
]
Default = str | bool | int | float
Labels = Annotated[tuple[Name, ...], BeforeValidator(listed), Field(max_length=20)]
"""What kind of data it is, for instance health, location, children: a purpose says which of them it may use."""


class Model(BaseModel):
    """Frozen, and strict about field names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"there is no time zone '{value}'; expected a name such as Europe/Paris or UTC") from None
    return value


Zone = Annotated[str, Field(max_length=64), AfterValidator(_zone)]
Share = Annotated[float, Field(ge=0, le=1)]
