from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tests.support.models import linear_model, manifest, manifest_of, onnx_model, tensor_info

from wayline import scoring
from wayline.catalog.model import Catalog
from wayline.catalog.rules import RuleCompiler
from wayline.catalog.schema import build_schema
from wayline.errors import InvalidField, LimitExceeded
from wayline.scoring import InputEncoder, Scorer
from wayline.v1 import prediction_pb2

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
CATALOG = Catalog.model_validate(
    {
        "traits": {
            "spend": {"kind": "attribute", "type": "number", "default": 2.5},
            "visits": {"kind": "count", "event": "page"},
            "member": {"kind": "attribute", "type": "boolean"},
            "city": {"kind": "attribute", "type": "string"},
        },
        "context": {"hour": {"type": "integer", "default": 9}, "colour": {"type": "string"}},
    }
)
SCHEMA = build_schema(CATALOG)
COMPILER = RuleCompiler(SCHEMA)


def encode(given: prediction_pb2.ModelManifest, **traits: object) -> list[float]:
    profile, context = SCHEMA.traits(**traits), SCHEMA.context(hour=21, colour="red")
    activation = COMPILER.activation(profile, context, NOW)
    return InputEncoder(given, SCHEMA, COMPILER).encode(profile, context, activation).tolist()


def test_inputs_keep_the_order_of_the_manifest_whatever_their_sources() -> None:
    mixed = manifest_of(
        {
            "name": "m",
            "inputs": [
                {"cel": "profile.city == 'Oslo'"},
                {"context": "hour"},
                {"trait": "visits"},
                {"cel": "profile.spend * 2.0"},
                {"trait": "member"},
                {"trait": "spend"},
            ],
            "outputs": [{"tensor": "y"}],
        }
    )
    assert encode(mixed, city="Oslo", visits=7, member=True, spend=1.5) == [1, 21, 7, 3, 1, 1.5]


def test_a_trait_without_evidence_is_its_declared_default() -> None:
    assert encode(manifest(traits=["spend", "visits", "member"])) == [2.5, 0, 0]


def test_one_input_is_a_row_too() -> None:
    assert encode(manifest(traits=["visits"]), visits=3) == [3]
    assert encode(manifest(context=["hour"])) == [21]
    assert encode(manifest(cel=["profile.visits > 2"]), visits=3) == [1]


def test_an_expression_that_errs_gives_nought_and_harms_no_other_input() -> None:
    assert encode(manifest(cel=["10 / profile.visits", "profile.spend"]), visits=0, spend=4.0) == [0, 4]


def test_a_comment_in_an_expression_does_no_harm() -> None:
    assert encode(manifest(cel=["profile.member // a loyal one", "profile.visits // twice"]), member=True) == [1, 0]


@given(st.floats(allow_nan=False))
def test_what_float32_cannot_hold_becomes_its_largest_value(spend: float) -> None:
    (encoded,) = encode(manifest(traits=["spend"]), spend=spend)
    assert np.isfinite(encoded)
    assert encoded == pytest.approx(np.clip(spend, -3.4028235e38, 3.4028235e38), rel=1e-6, abs=1e-40)


def test_the_encoder_knows_whether_a_row_depends_on_the_request() -> None:
    def needs(given: prediction_pb2.ModelManifest) -> bool:
        return InputEncoder(given, SCHEMA, COMPILER).needs_context

    assert not needs(manifest(traits=["spend"], cel=["profile.visits > 1"]))
    assert needs(manifest(context=["hour"]))
    assert needs(manifest(cel=["context.colour == 'red'"]))
    assert needs(manifest(cel=["now > timestamp('2026-01-01T00:00:00Z')"]))


@pytest.mark.parametrize(
    ("column", "field", "expected"),
    [
        ({"trait": "income"}, "manifest.inputs[1].trait", "member, spend, visits"),
        ({"trait": "city"}, "manifest.inputs[1].trait", "number or boolean type"),
        ({"context": "spend"}, "manifest.inputs[1].context", "hour"),
        ({"cel": "profile.visits >"}, "manifest.inputs[1].cel", "too early"),
        ({"cel": "profile.income > 1"}, "manifest.inputs[1].cel", "income"),
        ({"cel": "profile.city"}, "manifest.inputs[1].cel", "gives a number"),
        ({}, "manifest.inputs[1]", "one of trait, context, cel"),
    ],
)
def test_an_input_that_the_catalogue_does_not_know_is_named(column: dict[str, str], field: str, expected: str) -> None:
    bad = manifest_of({"name": "m", "inputs": [{"trait": "spend"}, column], "outputs": [{"tensor": "y"}]})
    with pytest.raises(InvalidField) as caught:
        InputEncoder(bad, SCHEMA, COMPILER)
    assert caught.value.field == field
    assert expected in caught.value.expected


def test_a_model_scores_a_batch_as_it_scores_each_row() -> None:
    scorer = Scorer(manifest(traits=["a", "b"], actions=["x", "y"]), linear_model([[1.0, -1.0], [2.0, 0.5]], [0, 1]))
    rows = np.array([[0.0, 0.0], [1.0, -1.0], [3.0, 2.0]], np.float32)
    expected = 1 / (1 + np.exp(-(rows.astype(float) @ np.array([[1.0, -1.0], [2.0, 0.5]]) + np.array([0, 1]))))
    scores = scorer.run(rows)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    np.testing.assert_array_equal(scores, np.vstack([scorer.run(rows[at : at + 1]) for at in range(3)]))


def test_outputs_may_be_picked_in_any_order_and_from_several_tensors() -> None:
    model = onnx_model(
        [
            helper.make_node("Sigmoid", ["inputs"], ["p"]),
            helper.make_node("ReduceMax", ["p"], ["best"], axes=[1], keepdims=0),
        ],
        inputs=[tensor_info("inputs", [None, 2])],
        outputs=[tensor_info("p", [None, 2]), tensor_info("best", [None])],
    )
    picked = manifest_of(
        {
            "name": "m",
            "inputs": [{"trait": "a"}, {"trait": "b"}],
            "outputs": [
                {"tensor": "best", "action": "any"},
                {"tensor": "p", "column": 1, "action": "b"},
                {"tensor": "p", "action": "a"},
            ],
        }
    )
    np.testing.assert_allclose(
        Scorer(picked, model).run(np.array([[0.0, 2.0]], np.float32)), [[0.880797, 0.880797, 0.5]], rtol=1e-5
    )


@pytest.mark.parametrize("damaged", [b"not a model", linear_model([1.0])[:-20], b"\x00" * 1000])
def test_a_file_that_is_no_model_is_refused(damaged: bytes) -> None:
    with pytest.raises(InvalidField, match="onnx: expected an ONNX model, could not load it"):
        Scorer(manifest(traits=["a"]), damaged)


def test_no_bytes_and_too_many_bytes_are_refused_before_they_are_loaded() -> None:
    with pytest.raises(InvalidField, match="onnx: expected the bytes"):
        Scorer(manifest(traits=["a"]), b"")
    with pytest.raises(LimitExceeded, match="33554432"):
        Scorer(manifest(traits=["a"]), bytes(scoring.MAX_ONNX_BYTES + 1))


def identity(shape: list[int | None], kind: int = TensorProto.FLOAT) -> bytes:
    return onnx_model(
        [helper.make_node("Identity", ["inputs"], ["probabilities"])],
        inputs=[tensor_info("inputs", shape, kind)],
        outputs=[tensor_info("probabilities", shape, kind)],
    )


@pytest.mark.parametrize(
    ("model", "field", "expected"),
    [
        (linear_model([1.0, 2.0, 3.0]), "manifest.inputs", "2 are declared, the model's input 'inputs' expects 3"),
        (identity([None, None, 2]), "manifest.inputs", "tensor(float) [rows, columns]"),
        (identity([None, 2], TensorProto.DOUBLE), "manifest.inputs", "it is tensor(double)"),
        (identity([1, 2]), "onnx", "takes exactly 1"),
        (
            onnx_model(
                [helper.make_node("Add", ["a", "b"], ["probabilities"])],
                inputs=[tensor_info("a", [None, 2]), tensor_info("b", [None, 2])],
                outputs=[tensor_info("probabilities", [None, 2])],
            ),
            "manifest.inputs",
            "one input tensor, this one has 2",
        ),
        (
            onnx_model(
                [helper.make_node("ReduceSum", ["inputs"], ["probabilities"], keepdims=0)],
                inputs=[tensor_info("inputs", [None, 2])],
                outputs=[tensor_info("probabilities", [])],
            ),
            "manifest.outputs[0].tensor",
            "expected [rows] or [rows, columns], 'probabilities' is []",
        ),
        (
            onnx_model(
                [helper.make_node("ArgMax", ["inputs"], ["probabilities"], axis=1, keepdims=0)],
                inputs=[tensor_info("inputs", [None, 2])],
                outputs=[tensor_info("probabilities", [None], TensorProto.INT64)],
            ),
            "manifest.outputs[0].tensor",
            "'probabilities' is tensor(int64)",
        ),
        (
            onnx_model(
                [helper.make_node("Reshape", ["inputs", "shape"], ["probabilities"])],
                inputs=[tensor_info("inputs", [None, 2])],
                outputs=[tensor_info("probabilities", [None, 2])],
                initializers={"shape": np.array([1, 2], np.int64)},
            ),
            "manifest.inputs",
            "does not run on 2 rows",
        ),
    ],
)
def test_a_model_that_does_not_match_its_manifest_is_refused(model: bytes, field: str, expected: str) -> None:
    with pytest.raises(InvalidField) as caught:
        Scorer(manifest(traits=["a", "b"]), model)
    assert caught.value.field == field
    assert expected in caught.value.expected


def test_an_unknown_tensor_and_a_column_out_of_range_are_named() -> None:
    model = linear_model([1.0])
    with pytest.raises(InvalidField, match=r"manifest.outputs\[0\].tensor: expected one of probabilities, got 'label'"):
        Scorer(manifest(traits=["a"], tensor="label"), model)
    with pytest.raises(InvalidField, match=r"manifest.outputs\[1\].column: 'probabilities' has 1 columns.*got 1"):
        Scorer(manifest(traits=["a"], actions=["x", "y"]), model)


def test_weights_outside_the_file_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights.bin").write_bytes(np.ones(2, np.float32).tobytes())
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [2, 1], [0.0, 0.0])
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", "8")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["inputs", "weights"], ["probabilities"])],
        "test",
        [tensor_info("inputs", [None, 2])],
        [tensor_info("probabilities", [None, 1])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    with pytest.raises(InvalidField, match=r"onnx: expected an ONNX model.*[Ee]xternal"):
        Scorer(manifest(traits=["a", "b"]), model)


def test_a_model_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "PROBE_SECONDS", 0.1)
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Sigmoid", ["value"], ["next_value"])],
        "body",
        [
            tensor_info("round", [], TensorProto.INT64),
            tensor_info("go", [], TensorProto.BOOL),
            tensor_info("value", [None, 1]),
        ],
        [tensor_info("go_on", [], TensorProto.BOOL), tensor_info("next_value", [None, 1])],
    )
    endless = onnx_model(
        [helper.make_node("Loop", ["", "yes", "inputs"], ["probabilities"], body=body)],
        inputs=[tensor_info("inputs", [None, 1])],
        outputs=[tensor_info("probabilities", [None, 1])],
        initializers={"yes": np.array(True)},
    )
    with pytest.raises(InvalidField, match="does not run on 1 rows of zeros"):
        Scorer(manifest(traits=["a"]), endless)
