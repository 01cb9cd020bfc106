"""Exports the models of all arms as one ONNX graph, and registers it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, TensorProto, checker, helper
from onnx.compose import add_prefix_graph
from skl2onnx import to_onnx

from hillstrom import client
from hillstrom.train import ARMS, INPUTS, Response, Rows
from wayline.errors import WaylineError
from wayline.v1 import prediction_pb2, prediction_pb2_grpc
from wayline.v1.prediction_pb2 import ModelManifest, ModelOutput

NAME = "visit"
OUTPUT = "visit"
_INPUT = "rows"
# Of 2023, so that every onnxruntime that is supported reads it.
_OPSET, _IR_VERSION = 17, 8
_TOLERANCE = 1e-5
_CALL_SECONDS = 60.0


class ExportDiffers(WaylineError):
    """The exported model does not say what the trained one says."""


def export(response: Response, sample: Rows) -> bytes:
    """The ONNX file: float 'rows' [n, inputs] to float 'visit' [n, arms].

    Args:
        response: the fitted models.
        sample: rows on which onnxruntime and scikit-learn must agree.

    Raises:
        ExportDiffers: they do not.
    """
    onnx = _compose(
        [to_onnx(model, sample[:1], options={"zipmap": False}, target_opset=_OPSET) for model in response.models]
    )
    session = ort.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    difference = float(np.abs(session.run([OUTPUT], {_INPUT: sample})[0] - response.predict(sample)).max())
    if not difference <= _TOLERANCE:
        raise ExportDiffers(f"onnxruntime and scikit-learn differ by up to {difference:g}, more than {_TOLERANCE:g}")
    return onnx


async def register(address: str, response: Response, onnx: bytes) -> int:
    """Register the model and make it the champion. Returns its version.

    Raises:
        grpc.aio.AioRpcError: prediction refused it, or stayed away.
    """
    manifest = ModelManifest(
        name=NAME,
        inputs=INPUTS,
        outputs=[ModelOutput(tensor=OUTPUT, column=column, action=arm) for column, arm in enumerate(ARMS)],
        measures=response.measures,
        description=f"The chance of a visit after each e-mail: a logistic regression per arm, {response.kind}",
    )
    request = prediction_pb2.RegisterModelRequest(manifest=manifest, onnx=onnx)
    async with client.channel(address) as channel:
        stub = prediction_pb2_grpc.PredictionServiceStub(channel)
        registered = await client.patiently(lambda: stub.RegisterModel(request, timeout=_CALL_SECONDS))
        version: int = registered.version.version
        promotion = prediction_pb2.PromoteModelRequest(name=NAME, version=version)
        await client.patiently(lambda: stub.PromoteModel(promotion, timeout=_CALL_SECONDS))
    return version


def _compose(models: list[ModelProto]) -> bytes:
    """One graph of several: they share the input, and the second column of each one's chances goes to the output."""
    width = models[0].graph.input[0].type.tensor_type.shape.dim[1].dim_value
    nodes: list[Any] = []
    initializers: list[Any] = [helper.make_tensor("second", TensorProto.INT64, [1], [1])]
    chances: list[str] = []
    for number, model in enumerate(models):
        graph = add_prefix_graph(model.graph, f"arm{number}.")
        theirs, probabilities = graph.input[0].name, graph.output[1].name
        nodes.append(helper.make_node("Identity", [_INPUT], [theirs]))
        nodes.extend(graph.node)
        nodes.append(helper.make_node("Gather", [probabilities, "second"], [f"chance{number}"], axis=1))
        initializers.extend(graph.initializer)
        chances.append(f"chance{number}")
    nodes.append(helper.make_node("Concat", chances, [OUTPUT], axis=1))
    composed = helper.make_graph(
        nodes,
        NAME,
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, len(models)])],
        initializers,
    )
    domains = {one.domain: one for model in models for one in model.opset_import}
    result = helper.make_model(composed, opset_imports=list(domains.values()), ir_version=_IR_VERSION)
    checker.check_model(result)
    data: bytes = result.SerializeToString()
    return data
