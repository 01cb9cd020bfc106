"""The filters that content may use: Liquid's own, kept within limits, and two of ours.

Liquid's own `date` reads the clock and fills gaps with today's date; ours knows only the decision's `now`, so that a
decision can be replayed. Filters that can multiply a text by a text are measured before they work, all others after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any, cast

from liquid import Environment, RenderContext
from liquid.exceptions import FilterError
from liquid.filter import flatten, math_filter, num_arg, string_filter, with_context
from liquid.undefined import is_undefined

MAX_TEXT_CHARACTERS = 64 << 10
MAX_ITEMS = 1_000
_MAX_DECIMALS = 10

OF_LIQUID = (
    *("append", "capitalize", "downcase", "escape", "escape_once", "escapejs", "lstrip", "newline_to_br", "prepend"),
    *("remove", "remove_first", "remove_last", "replace_first", "replace_last", "rstrip", "slice", "split", "squish"),
    *("strip", "strip_newlines", "truncate", "truncatewords", "upcase", "url_decode", "url_encode"),
    *("abs", "at_least", "at_most", "ceil", "divided_by", "floor", "minus", "modulo", "plus", "round", "times"),
    *("first", "last", "reverse", "size", "sort", "sort_natural", "default"),
)
"""What is taken as it is. The others need lists of objects, which content does not have, or parse HTML in bad time."""

_Filter = Callable[..., Any]


class Weights(Mapping[str, float]):
    """An affinity: weights by value, strongest first. A value without evidence weighs 0."""

    __slots__ = ("_weights",)

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Wrap a map field of the profile, without a copy."""
        self._weights = weights

    def __getitem__(self, key: object) -> float:
        """The weight of a value. `size` and `first` stay Liquid's own, unless a value is called so."""
        if not isinstance(key, str) or (key in ("size", "first", "last") and key not in self._weights):
            raise KeyError(key)
        # Not [key]: a map field would add what it does not have.
        return self._weights.get(key, 0.0)

    def __iter__(self) -> Iterator[str]:
        """The values, strongest first; equals by name, since the order of a map field is chance."""
        return iter(sorted(self._weights, key=lambda key: (-self._weights[key], key)))

    def __len__(self) -> int:
        """How many values have a weight."""
        return len(self._weights)

    def __str__(self) -> str:
        """The values as a text, strongest first."""
        return ", ".join(self)

    def items(self) -> Any:
        """Pairs of value and weight, which Liquid reads as pair[0] and pair[1]."""
        return [[key, self._weights[key]] for key in self]


def date(value: object, pattern: object = "", *, context: RenderContext) -> str:
    """A moment written as `pattern` (strftime) says, in the time zone of the decision's `now`.

    Args:
        value: a moment, seconds since 1970, text in ISO 8601, or 'now'. Other text is returned as it is.
        pattern: of strftime; without one, ISO 8601.
        context: has `now`.
    """
    now = cast(datetime, context.globals["now"])
    moment = now if value in ("now", "today") else _moment(value)
    if moment is None:
        return "" if value is None or is_undefined(value) else str(value)
    if moment.tzinfo is not None and now.tzinfo is not None:
        moment = moment.astimezone(now.tzinfo)
    return moment.strftime(str(pattern)) if pattern else moment.isoformat()


def _moment(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def decimals(value: float, digits: object = 2) -> str:
    """A number with so many digits behind the point, as prices are written: 42.5 is '42.50'."""
    return f"{value:.{min(max(int(num_arg(digits, default=2)), 0), _MAX_DECIMALS)}f}"


def replace(value: str, old: object, new: object = "") -> str:
    """Every `old` replaced by `new`."""
    old, new = str(old), str(new)
    if len(value) + value.count(old) * len(new) > MAX_TEXT_CHARACTERS:
        raise _too_long()
    return value.replace(old, new)


def join(items: object, separator: object = " ") -> str:
    """The items of a list as one text."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        return str(items)
    parts = [str(item) for item in flatten(items)]
    if sum(map(len, parts)) + len(parts) * len(str(separator)) > MAX_TEXT_CHARACTERS:
        raise _too_long()
    return str(separator).join(parts)


def install(environment: Environment) -> None:
    """Make these filters, and no others, the environment's."""
    own: dict[str, _Filter] = {
        "date": with_context(date),
        "decimals": math_filter(decimals),
        "replace": string_filter(replace),
        "join": join,
    }
    known = {**{name: environment.filters[name] for name in OF_LIQUID}, **own}
    environment.filters = {name: _limited(function) for name, function in known.items()}


def _limited(function: _Filter) -> _Filter:
    @wraps(function)
    def limited(value: object, *args: Any, **kwargs: Any) -> Any:
        # To Liquid, a map is a list of pairs; its own filters know only dict as a map.
        result = function(value.items() if isinstance(value, Weights) else value, *args, **kwargs)
        if isinstance(result, str):
            if len(result) > MAX_TEXT_CHARACTERS:
                raise _too_long()
        elif isinstance(result, list) and len(result) > MAX_ITEMS:
            raise FilterError(f"a list of more than {MAX_ITEMS:,} items", token=None)
        return result

    return limited


def _too_long() -> FilterError:
    return FilterError(f"a text of more than {MAX_TEXT_CHARACTERS:,} characters", token=None)
