from __future__ import annotations

from typing import Any

import pytest

from wayline.catalog.json_schemas import MAX_BYTES, MAX_DEPTH, SchemaRefused, compiled


def test_references_to_definitions_of_the_same_schema_are_followed():
    money = {"type": "number", "minimum": 0}
    schema = {"properties": {"total": {"$ref": "#/$defs/money"}}, "$defs": {"money": money}}

    assert compiled(schema).is_valid({"total": 1})
    assert not compiled(schema).is_valid({"total": -1})


def test_properties_may_have_the_names_of_keywords():
    assert compiled({"properties": {"$ref": {"type": "string"}, "requird": {}}}).is_valid({"$ref": "x"})


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


def test_a_schema_has_a_greatest_depth():
    compiled(nested(MAX_DEPTH))
    with pytest.raises(SchemaRefused, match="at most 16 levels"):
        compiled(nested(MAX_DEPTH + 1))


def test_a_schema_has_a_greatest_size():
    with pytest.raises(SchemaRefused, match="at most 32 KiB"):
        compiled({"description": "x" * MAX_BYTES})


def test_references_that_unfold_to_more_and_more_are_refused_at_once():
    definitions: dict[str, Any] = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 10} for i in range(15)}
    definitions["d15"] = {}

    with pytest.raises(SchemaRefused, match="at most 5,000 schemas, references written out"):
        compiled({"$ref": "#/$defs/d0", "$defs": definitions})


@pytest.mark.parametrize("reference", ["#", "#/properties/a", "other.json", "https://schemas.example/a.json", 7])
def test_references_lead_nowhere_else(reference: Any):
    with pytest.raises(SchemaRefused) as refused:
        compiled({"properties": {"a": {"$ref": reference}}})

    assert refused.value.path == ("properties", "a", "$ref")


@pytest.mark.parametrize("keyword", ["$dynamicRef", "$id", "$anchor", "$vocabulary"])
def test_keywords_that_could_lead_elsewhere_are_not_known(keyword: str):
    with pytest.raises(SchemaRefused, match="unknown keyword") as refused:
        compiled({"properties": {"a": {keyword: "x"}}})

    assert refused.value.at_key
    assert refused.value.path == ("properties", "a", keyword)
