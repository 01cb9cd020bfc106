"""Small ONNX models and their manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.json_format import ParseDict
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from onnx.checker import check_model

from wayline.v1 import prediction_pb2

# Of 2023, so that every onnxruntime that is supported reads it.
_IR_VERSION = 8
_OPSET = 17


def linear_model(weights: Sequence[Sequence[float]] | Sequence[float], bias: Sequence[float] | float = 0.0) -> bytes:
    """A logistic regression: sigmoid(rows · weights + bias).

    Args:
        weights: [inputs, outputs], or [inputs] for one output.
        bias: [outputs], or one number for all.

    Returns:
        ONNX with the input 'inputs' [rows, inputs] and the output 'probabilities' [rows, outputs].
    """
    matrix = np.asarray(weights, np.float32)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    offsets = np.broadcast_to(np.asarray(bias, np.float32), (matrix.shape[1],)).copy()
    return onnx_model(
        [
            helper.make_node("Gemm", ["inputs", "weights", "bias"], ["scores"]),
            helper.make_node("Sigmoid", ["scores"], ["probabilities"]),
        ],
        inputs=[tensor_info("inputs", [None, matrix.shape[0]])],
        outputs=[tensor_info("probabilities", [None, matrix.shape[1]])],
        initializers={"weights": matrix, "bias": offsets},
    )


def onnx_model(
    nodes: Sequence[NodeProto],
    *,
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: Mapping[str, Any] | None = None,
) -> bytes:
    """Any graph."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        list(inputs),
        list(outputs),
        [numpy_helper.from_array(values, name) for name, values in (initializers or {}).items()],
    )
    model: ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
    )
    check_model(model)
    return model.SerializeToString()


def tensor_info(name: str, shape: Sequence[int | None], kind: int = TensorProto.FLOAT) -> ValueInfoProto:
    """A tensor's declaration; None is a free dimension."""
    return helper.make_tensor_value_info(name, kind, list(shape))


def manifest(
    name: str = "accept",
    *,
    traits: Sequence[str] = (),
    context: Sequence[str] = (),
    cel: Sequence[str] = (),
    actions: Sequence[str] = ("",),
    tensor: str = "probabilities",
    measures: Mapping[str, float] | None = None,
) -> prediction_pb2.ModelManifest:
    """A manifest whose inputs are traits, then context, then CEL; column i of `tensor` belongs to actions[i]."""
    return manifest_of(
        {
            "name": name,
            "inputs": [
                *({"trait": one} for one in traits),
                *({"context": one} for one in context),
                *({"cel": one} for one in cel),
            ],
            "outputs": [
                {"tensor": tensor, "column": column, "action": action} for column, action in enumerate(actions)
            ],
            "measures": dict(measures or {}),
        }
    )


def manifest_of(value: Mapping[str, Any]) -> prediction_pb2.ModelManifest:
    """A manifest as it is written in YAML."""
    return ParseDict(dict(value), prediction_pb2.ModelManifest())
