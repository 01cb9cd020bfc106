from __future__ import annotations

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from wayline.catalog.context import read_context
from wayline.catalog.model import Catalog
from wayline.catalog.schema import build_schema
from wayline.errors import InvalidField

SCHEMA = build_schema(
    Catalog.model_validate(
        {
            "context": {
                "page": {"type": "string", "default": "home"},
                "basket": {"type": "number", "default": 1.5},
                "hour": {"type": "integer"},
                "signed_in": {"type": "boolean"},
            }
        }
    )
)


def struct(**values: object) -> Struct:
    result = Struct()
    result.update(values)
    return result


def test_declared_fields_are_read_with_their_types() -> None:
    message, warnings = read_context(struct(page="shoes", basket=12.5, hour=21, signed_in=True), SCHEMA)
    assert (message.page, message.basket, message.hour, message.signed_in) == ("shoes", 12.5, 21, True)
    assert warnings == []


def test_what_is_absent_or_null_is_its_default() -> None:
    for given_ in (Struct(), struct(page=None, basket=None)):
        message, warnings = read_context(given_, SCHEMA)
        assert (message.page, message.basket, message.hour) == ("home", 1.5, 0)
        assert warnings == []


def test_what_is_not_declared_is_left_out_with_a_warning() -> None:
    message, warnings = read_context(struct(colour="red", page="shoes"), SCHEMA)
    assert message.page == "shoes"
    assert warnings == ["context.colour is not declared"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("page", 3, "expected a string, got a number"),
        ("page", True, "expected a string, got true or false"),
        ("basket", "3", "expected a finite number, got a string"),
        ("basket", float("nan"), "expected a finite number, got nan"),
        ("basket", float("inf"), "expected a finite number, got inf"),
        ("hour", 1.5, "expected a whole number, got 1.5"),
        ("hour", float("nan"), "expected a whole number, got nan"),
        ("hour", float("-inf"), "expected a whole number, got -inf"),
        ("hour", 1e300, "expected a whole number, got 1e+300"),
        ("signed_in", 1, "expected true or false, got a number"),
        ("signed_in", {"a": 1}, "expected true or false, got an object"),
        ("page", ["a"], "expected a string, got a list"),
    ],
)
def test_a_declared_field_of_another_type_is_refused(name: str, value: object, expected: str) -> None:
    with pytest.raises(InvalidField) as caught:
        read_context(struct(**{name: value}), SCHEMA)
    assert (caught.value.field, caught.value.expected) == (f"context.{name}", expected)


def test_a_value_of_no_kind_is_refused() -> None:
    empty = Struct()
    empty.fields["page"].Clear()
    with pytest.raises(InvalidField, match="got nothing"):
        read_context(empty, SCHEMA)


def test_the_field_is_named_as_the_request_calls_it() -> None:
    with pytest.raises(InvalidField, match=r"requests\[3\].context.page"):
        read_context(struct(page=1), SCHEMA, "requests[3].context")


def test_more_than_a_hundred_keys_are_refused() -> None:
    read_context(struct(**{f"k{i}": 1 for i in range(100)}), SCHEMA)
    with pytest.raises(InvalidField, match="at most 100 keys, got 101"):
        read_context(struct(**{f"k{i}": 1 for i in range(101)}), SCHEMA)


@given(st.integers(-(2**53), 2**53))
def test_whole_numbers_arrive_exactly(hour: int) -> None:
    assert read_context(struct(hour=hour), SCHEMA)[0].hour == hour
