"""Pydantic's errors about a catalogue, in the words of whoever wrote it."""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import available_timezones

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from wayline.catalog.model import Catalog
from wayline.catalog.source import Node, Path, locate
from wayline.catalog.spelling import did_you_mean

_CLOCK = "a time of the day from 00:00 to 23:59, with two digits each, such as 09:30"
_PATTERNS = {
    r"^[a-z0-9][a-z0-9_.-]{0,63}$": "an id of at most 64 lower-case letters, digits, and . _ -",
    r"^[a-z][a-z0-9_]{0,63}$": "a name of at most 64 lower-case letters, digits and _, starting with a letter",
    r"^[a-z][a-z0-9_-]{0,63}$": "a model's name: lower-case letters, digits, _ and -, starting with a letter",
    r"^([01]\d|2[0-3]):[0-5]\d$": _CLOCK,
    r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$": "a language such as de, or de-AT",
    r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$|^EEA$": "a region such as FR, US-CA, EU or EEA",
}
_DATE = "a date, or a date and a time, such as 2026-11-27 or 2026-11-27T09:00"
_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "datetime_type": _DATE,
    "datetime_parsing": _DATE,
    "datetime_from_date_parsing": _DATE,
    "datetime_object_invalid": _DATE,
    "tuple_type": "a list",
    "dict_type": "a map (name: value)",
    "model_type": "a map of fields",
    "model_attributes_type": "a map of fields",
}
_LIMITS = {
    "greater_than_equal": ("at least {}", "ge"),
    "less_than_equal": ("at most {}", "le"),
    "greater_than": ("more than {}", "gt"),
    "string_too_long": ("at most {} characters", "max_length"),
}
_LONGEST_QUOTE = 60


def errors_in_words(root: Node, errors: Sequence[ErrorDetails]) -> Iterator[tuple[Path, bool, str]]:
    """One message per mistake, in the order of the errors.

    Yields:
        The path, whether the path's last step is a key that should not be there or is missing, and the message.
    """
    places: dict[tuple[Path, str], list[ErrorDetails]] = {}
    for error in _without_echoes(errors):
        _, written = locate(root, error["loc"])
        # The missing and the unknown are told apart by their names; the members of a union are taken together.
        leaf = str(error["loc"][-1]) if error["type"] in ("missing", "extra_forbidden") and error["loc"] else ""
        places.setdefault((written, leaf), []).append(error)
    mended = {
        (error["loc"][:-1], _close(error)) for error in errors if error["type"] == "extra_forbidden" and _close(error)
    }
    for (written, _), together in places.items():
        first = together[0]
        if first["type"] == "missing":
            if (first["loc"][:-1], first["loc"][-1]) not in mended:
                yield written, False, f"'{first['loc'][-1]}' is required"
        elif first["type"] == "extra_forbidden":
            yield written, True, _unknown_field(first)
        elif first["type"] == "union_tag_invalid":
            yield (*written, "kind"), False, _single(first)
        elif first["loc"] and first["loc"][-1] == "[key]":
            yield written, True, _single(first)
        else:
            yield written, False, _together(together)


def _without_echoes(errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """A list is not too short because one of its items is wrong, and was not counted."""
    wrong = {error["loc"][:length] for error in errors for length in range(len(error["loc"]))}
    return (error for error in errors if error["type"] != "too_short" or error["loc"] not in wrong)


def fields_at(path: Path) -> list[str]:
    """The fields that are known at `path`, a location as pydantic gives it, in the catalogue's model."""
    here: Any = Catalog
    for step in path:
        here = _without_wrapping(here)
        origin = get_origin(here)
        if origin is dict:
            here = get_args(here)[1]
        elif origin is tuple:
            here = get_args(here)[0]
        elif origin in (Union, types.UnionType):
            here = next((member for member in get_args(here) if step in _kinds(member)), None)
        elif step in (known := _annotations(here)):
            here = known[str(step)]
        else:
            return []
    return list(_annotations(_without_wrapping(here)))


def _annotations(model: Any) -> dict[str, Any]:
    """The fields of a model by the names under which they are written; none of what is no model."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    return {one.alias or name: one.annotation for name, one in model.model_fields.items()}


def _without_wrapping(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _without_wrapping(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return _without_wrapping(members[0])
    return annotation


def _kinds(member: Any) -> tuple[Any, ...]:
    """The tags by which a member of a union is told."""
    model = _without_wrapping(member)
    if not (isinstance(model, type) and issubclass(model, BaseModel) and "kind" in model.model_fields):
        return ()
    annotation = model.model_fields["kind"].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _close(error: ErrorDetails) -> str:
    """The known field that was probably meant."""
    hint = did_you_mean(str(error["loc"][-1]), fields_at(error["loc"][:-1]))
    return hint.split("'")[1] if hint else ""


def _unknown_field(error: ErrorDetails) -> str:
    name, known = str(error["loc"][-1]), fields_at(error["loc"][:-1])
    hint = did_you_mean(name, known) or (f" (known: {', '.join(known)})" if known else "")
    return f"unknown field '{name[:_LONGEST_QUOTE]}'{hint}"


def _together(errors: Sequence[ErrorDetails]) -> str:
    """The errors of all members of a union at one place. A member of quite another type has nothing to say."""
    telling = [error for error in errors if error["type"] not in _EXPECTED] or list(errors)
    if len(telling) > 1 and all(error["type"] in _EXPECTED for error in telling):
        expected = list(dict.fromkeys(_EXPECTED[error["type"]] for error in telling))
        if "a number" in expected and "a whole number" in expected:
            expected.remove("a whole number")
        return f"expected {' or '.join(expected)}, got {quoted(telling[0]['input'])}"
    return _single(telling[0])


def _single(error: ErrorDetails) -> str:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "string_type" and error["loc"] and error["loc"][-1] in ("from", "to"):
        return f"expected {_CLOCK}, got {quoted(given)}"
    if kind == "value_error" and "timezone" in error["loc"] and (meant := did_you_mean(str(given), sorted(_zones()))):
        return f"there is no time zone '{given}'{meant}"
    if kind == "string_type" and isinstance(given, int | float):
        return f"expected text, got {quoted(given)}; put it in quotes"
    if kind == "model_type" and context.get("class_name") == "Rule":
        return f"expected a rule: CEL as text, or a map of 'rule' and 'because'; got {quoted(given)}"
    if kind in _EXPECTED:
        known = ", ".join(fields_at(error["loc"])) if _EXPECTED[kind] == "a map of fields" else ""
        fields = f" ({known})" if known else ""
        return f"expected {_EXPECTED[kind]}{fields}, got {quoted(given)}{_percent(kind, given, context)}"
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        least = words.format(_number(context[limit]))
        return f"expected {least}, got {quoted(given)}{_percent(kind, given, context)}"
    return _special(kind, given, context) or str(error["msg"])


@functools.cache
def _zones() -> frozenset[str]:
    """Looked up once: they are read from the disk."""
    return frozenset(available_timezones())


def _percent(kind: str, given: Any, context: Mapping[str, Any]) -> str:
    """How a share is written, where a percentage was: 5, or '5%'."""
    if kind == "float_parsing" and (found := re.fullmatch(r"\s*(\d{1,3}(?:\.\d+)?)\s*%\s*", str(given))):
        return f"; {found[1]} % is {float(found[1]) / 100:g}"
    if kind == "less_than_equal" and context["le"] == 1 and 1 < given <= 100:
        return f"; a share is between 0 and 1: {given:g} % is {given / 100:g}"
    return ""


def _special(kind: str, given: Any, context: Mapping[str, Any]) -> str:
    match kind:
        case "string_pattern_mismatch":
            return f"expected {_PATTERNS.get(context['pattern'], context['pattern'])}, got {quoted(given)}"
        case "string_too_short":
            return "expected some text, got nothing"
        case "too_short":
            return f"expected at least {context['min_length']} of these, got {context['actual_length']}"
        case "too_long":
            return f"expected at most {context['max_length']} of these, got {context.get('actual_length') or 'more'}"
        case "literal_error":
            expected = str(context["expected"])
            return f"expected {expected}, got {quoted(given)}{did_you_mean(str(given), expected.split(chr(39))[1::2])}"
        case "union_tag_invalid":
            expected = str(context["expected_tags"])
            return f"unknown kind '{context['tag']}'" + (
                did_you_mean(str(context["tag"]), expected.split("'")[1::2]) or f"; expected one of {expected}"
            )
        case "union_tag_not_found":
            return "'kind' is required: what the trait is made of"
        case "value_error":
            return str(context["error"])
    return ""


def quoted(value: Any) -> str:
    """A value in words, and not too long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list | tuple):
        return "a list"
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else str(value)
