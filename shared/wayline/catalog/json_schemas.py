"""JSON Schemas (draft 2020-12) as a tracking plan may hold them: small, closed, and bounded in what they cost.

The validator is written in Rust (0.3 µs for an event with eight properties) and matches patterns in linear time. What
could still grow without bound are references, so they lead to `$defs` of the same schema only, never in a circle, and
what they unfold to is counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from wayline.catalog.spelling import did_you_mean

if TYPE_CHECKING:  # it reads YAML, which services need not
    from wayline.catalog.source import Path

MAX_BYTES = 32 << 10
MAX_DEPTH = 16
MAX_UNFOLDED = 5_000
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_MAX_PATTERN_BYTES = 1 << 20
_DEFINITIONS = "#/$defs/"
_MASK = "the value"
_MAX_SHOWN = 60
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_ONE = frozenset(
    {
        *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"),
        *("unevaluatedItems", "unevaluatedProperties"),
    }
)
_LISTED = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
_PLAIN = frozenset(
    {
        *(
            "$comment",
            "$ref",
            "$schema",
            "const",
            "contentEncoding",
            "contentMediaType",
            "default",
            "dependentRequired",
        ),
        *(
            "deprecated",
            "description",
            "enum",
            "examples",
            "exclusiveMaximum",
            "exclusiveMinimum",
            "format",
            "maxItems",
        ),
        *(
            "maxLength",
            "maxProperties",
            "maximum",
            "maxContains",
            "minContains",
            "minItems",
            "minLength",
            "minProperties",
        ),
        *("minimum", "multipleOf", "pattern", "readOnly", "required", "title", "type", "uniqueItems", "writeOnly"),
    }
)
_KNOWN = sorted(_ONE | _LISTED | _NAMED | _PLAIN)


Validator: TypeAlias = Draft202012Validator


class SchemaRefused(Exception):
    """A schema cannot be used. `path` leads to the place within it; `at_key` says that the name there is wrong."""

    def __init__(self, path: Path, message: str, *, at_key: bool = False) -> None:
        """Say in words what is wrong at `path`."""
        super().__init__(message)
        self.path = path
        self.at_key = at_key


def compiled(schema: Mapping[str, Any]) -> Validator:
    """A validator, whose messages call a value 'the value': what customers said is not repeated in them.

    Raises:
        SchemaRefused: it is no schema, or larger, deeper or more entangled than the limits.
    """
    _check_size(schema)
    if schema.get("$schema", DRAFT) != DRAFT:
        raise SchemaRefused(("$schema",), f"expected {DRAFT}, or nothing")
    _unfolded(schema, schema, (), ())
    try:
        return Draft202012Validator(
            dict(schema),
            mask=_MASK,
            offline=True,
            validate_formats=True,
            ignore_unknown_formats=False,
            pattern_options=RegexOptions(size_limit=_MAX_PATTERN_BYTES),
        )
    except (ValidationError, ValueError) as error:
        path = tuple(getattr(error, "instance_path", ()))
        raise SchemaRefused(path, _in_words(error)) from None


def _in_words(error: Exception) -> str:
    message = str(getattr(error, "message", error)).splitlines()[0]
    given, path = getattr(error, "instance", None), getattr(error, "instance_path", [""])
    if message.endswith('is not a "regex"'):
        return "expected a pattern that is matched in linear time: no look-around, no back-references, not too large"
    if message.startswith("Unknown format"):
        return "unknown format; expected one of JSON Schema's: date-time, date, time, email, uri, uuid, ipv4, …"
    if path[-1:] == ["type"]:
        return f"expected a type: {', '.join(_TYPES[:-1])} or {_TYPES[-1]}; got {_shown(given)}"
    return f"this is no JSON Schema: {message.replace(_MASK, _shown(given))}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _check_size(schema: Mapping[str, Any]) -> None:
    try:
        size = len(json.dumps(schema, ensure_ascii=False, allow_nan=False).encode())
    except ValueError:
        raise SchemaRefused((), "numbers in a schema have to be finite") from None
    if size > MAX_BYTES:
        raise SchemaRefused((), f"expected a schema of at most {MAX_BYTES >> 10} KiB as JSON, got {size >> 10} KiB")


def _unfolded(root: Mapping[str, Any], schema: Any, path: Path, within: tuple[str, ...]) -> int:
    """How many schemas this one is, references written out. `within`: the definitions that led here."""
    if not isinstance(schema, dict):
        return 1  # true or false; what is neither, the validator refuses
    if len(path) > 2 * MAX_DEPTH:
        raise SchemaRefused(path, f"expected at most {MAX_DEPTH} levels of schemas")
    count = 1
    for key, value in schema.items():
        if key not in _KNOWN and not key.startswith("x-"):
            raise SchemaRefused((*path, key), f"unknown keyword '{key}'{did_you_mean(key, _KNOWN)}", at_key=True)
        if key == "$ref":
            count += _referred(root, value, (*path, key), within)
    for step, inner in _inner(schema):
        count += _unfolded(root, inner, (*path, *step), within)
        if count > MAX_UNFOLDED:  # at once: what is written out can be any power of what is written
            raise SchemaRefused(path, f"expected at most {MAX_UNFOLDED:,} schemas, references written out")
    return count


def _referred(root: Mapping[str, Any], target: Any, path: Path, within: tuple[str, ...]) -> int:
    definitions = root.get("$defs")
    name = target.removeprefix(_DEFINITIONS) if isinstance(target, str) and target.startswith(_DEFINITIONS) else ""
    if not name or not isinstance(definitions, dict) or name not in definitions:
        raise SchemaRefused(path, "expected '#/$defs/NAME', a definition of this same schema")
    if name in within:
        raise SchemaRefused(path, f"'{name}' leads back to itself; write out as many levels as are meant")
    if len(within) == MAX_DEPTH:
        raise SchemaRefused(path, f"expected at most {MAX_DEPTH} references one within the other")
    return _unfolded(root, definitions[name], ("$defs", name), (*within, name))


def _inner(schema: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """The schemas right within a schema, and where. What stands in `$defs` alone is looked at as well."""
    for key, value in schema.items():
        if key in _ONE:
            yield (key,), value
        elif key in _LISTED and isinstance(value, list):
            yield from (((key, at), one) for at, one in enumerate(value))
        elif key in _NAMED and isinstance(value, dict):
            yield from (((key, name), one) for name, one in value.items())
