"""The rules of free values: properties, traits and the rest of the context, however they are nested."""

from __future__ import annotations

from math import isfinite

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from wayline_ingestion.core.refusal import refuse, refuse_long

MAX_STRING_CHARACTERS = 8_192
MAX_DEPTH = 6


def check_struct(struct: Struct, path: str, max_keys: int, depth: int = 1, *, small: bool = False) -> None:
    """Check an object; a `small` one has no text that is too long, since all of its event is shorter.

    Raises:
        Refused: it has too many keys, is too deep, or holds a text that is too long or what is no JSON value.
    """
    fields = struct.fields
    if len(fields) > max_keys:
        refuse("too_many", path, f"expected at most {max_keys} keys, got {len(fields)}")
    for key in fields:  # not items(): protobuf's takes twice as long
        value = fields[key]
        if value.HasField("string_value"):  # most are, and this is quicker than to ask which one it is
            if not small and len(value.string_value) > MAX_STRING_CHARACTERS:
                refuse_long(f"{path}.{key}", MAX_STRING_CHARACTERS)
            continue
        kind = value.WhichOneof("kind")
        if kind == "number_value":
            if not isfinite(value.number_value):
                refuse("not_finite", f"{path}.{key}", "expected a finite number")
        elif kind != "bool_value":
            _check_other(value, kind, f"{path}.{key}", max_keys, depth)


def _check_list(values: ListValue, path: str, max_keys: int, depth: int) -> None:
    for index, value in enumerate(values.values):
        kind = value.WhichOneof("kind")
        if kind == "string_value":
            if len(value.string_value) > MAX_STRING_CHARACTERS:
                refuse_long(f"{path}[{index}]", MAX_STRING_CHARACTERS)
        elif kind == "number_value":
            if not isfinite(value.number_value):
                refuse("not_finite", f"{path}[{index}]", "expected a finite number")
        elif kind != "bool_value":
            _check_other(value, kind, f"{path}[{index}]", max_keys, depth)


def _check_other(value: Value, kind: str | None, path: str, max_keys: int, depth: int) -> None:
    """What is neither a string, a number nor a boolean."""
    if kind == "null_value":
        return
    if kind is None:
        refuse("not_a_value", path, "expected null, a boolean, a number, a string, a list or an object")
    if depth == MAX_DEPTH:
        refuse("too_deep", path, f"expected at most {MAX_DEPTH} levels of objects and lists")
    if kind == "struct_value":
        check_struct(value.struct_value, path, max_keys, depth + 1)
    else:
        _check_list(value.list_value, path, max_keys, depth + 1)
