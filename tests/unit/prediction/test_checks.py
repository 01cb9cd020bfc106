from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper
from tests.support.models import linear_model, manifest, manifest_of, onnx_model, tensor_info

from wayline.catalog.model import Catalog
from wayline.catalog.rules import RuleCompiler
from wayline.catalog.schema import build_schema
from wayline.errors import InvalidField, LimitExceeded
from wayline_prediction.checks import check_manifest, check_model

SCHEMA = build_schema(Catalog.model_validate({"traits": {"spend": {"kind": "attribute", "type": "number"}}}))
COMPILER = RuleCompiler(SCHEMA)
GOOD: dict[str, Any] = {"name": "m", "inputs": [{"trait": "spend"}], "outputs": [{"tensor": "probabilities"}]}


def test_a_whole_manifest_passes() -> None:
    check_manifest(manifest_of({**GOOD, "measures": {"auc": 0.7}, "description": "x" * 2_000}))
    check_manifest(manifest("a" + "b-1_" * 15, traits=["spend"], actions=["x", "y", ""]))


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ({"name": ""}, "manifest.name", "beginning with a letter"),
        ({"name": "1st"}, "manifest.name", "got '1st'"),
        ({"name": "Model"}, "manifest.name", "a-z"),
        ({"name": "m\n"}, "manifest.name", "a-z"),
        ({"name": "m" * 65}, "manifest.name", "1 to 64"),
        ({"inputs": []}, "manifest.inputs", "expected 1 to 2000, got 0"),
        ({"outputs": []}, "manifest.outputs", "expected 1 to 10000, got 0"),
        ({"inputs": [{"cel": "1" * 2_001}]}, "manifest.inputs[0].cel", "at most 2000 characters"),
        ({"description": "x" * 2_001}, "manifest.description", "at most 2000 characters"),
        ({"measures": {"auc": "NaN"}}, "manifest.measures.auc", "finite"),
        ({"measures": {"": 1}}, "manifest.measures", "names of 1 to 64"),
        ({"outputs": [{"column": 1}]}, "manifest.outputs[0].tensor", "name of one of the model's outputs"),
        ({"outputs": [{"tensor": "p", "column": -1}]}, "manifest.outputs[0].column", "0 or more"),
        ({"outputs": [{"tensor": "p", "action": "Red Shoes"}]}, "manifest.outputs[0].action", "'Red Shoes'"),
        ({"outputs": [{"tensor": "p"}, {"tensor": "p", "column": 1}]}, "manifest.outputs[1].action", "all other"),
        (
            {"outputs": [{"tensor": "p", "action": "a"}, {"tensor": "p", "column": 1, "action": "a"}]},
            "manifest.outputs[1].action",
            "action 'a': expected one output",
        ),
    ],
)
def test_a_bad_manifest_names_the_field_and_what_was_expected(
    change: dict[str, Any], field: str, expected: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        check_manifest(manifest_of({**GOOD, **change}))
    assert caught.value.field == field
    assert expected in caught.value.expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"inputs": [{"trait": "spend"}] * 2_001}, "manifest.inputs: expected 1 to 2000, got 2001"),
        (
            {"outputs": [{"tensor": "p", "action": f"a{i}"} for i in range(10_001)]},
            "manifest.outputs: expected 1 to 10000, got 10001",
        ),
        ({"measures": {f"m{i}": 1 for i in range(101)}}, "manifest.measures: expected 0 to 100, got 101"),
        ({"inputs": [{"cel": "1" * 2_000}] * 1_500}, "manifest: expected at most 2097152 bytes"),
    ],
)
def test_too_many_of_something_exceeds_a_limit(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(LimitExceeded, match=expected):
        check_manifest(manifest_of({**GOOD, **change}))


def test_a_model_that_fits_passes() -> None:
    check_model(manifest_of(GOOD), linear_model([1.0]), SCHEMA, COMPILER)


def test_an_unknown_trait_is_named_before_the_model_is_loaded() -> None:
    with pytest.raises(InvalidField, match=r"manifest.inputs\[0\].trait.*\(spend\), got 'income'"):
        check_model(manifest(traits=["income"]), b"none", SCHEMA, COMPILER)


def test_scores_that_are_no_chances_are_refused() -> None:
    scores = onnx_model(
        [helper.make_node("Add", ["inputs", "bias"], ["probabilities"])],
        inputs=[tensor_info("inputs", [None, 1])],
        outputs=[tensor_info("probabilities", [None, 1])],
        initializers={"bias": np.array([-2.5], np.float32)},
    )
    with pytest.raises(InvalidField, match=r"manifest.outputs\[0\].*between 0 and 1, the model gives -2.5"):
        check_model(manifest_of(GOOD), scores, SCHEMA, COMPILER)


def test_a_model_that_gives_no_number_is_refused() -> None:
    with pytest.raises(InvalidField, match=r"manifest.outputs\[0\].*gives nan"):
        check_model(manifest_of(GOOD), linear_model([1.0], float("nan")), SCHEMA, COMPILER)
