"""Models: an ONNX session with a manifest that says how it is fed and what its outputs mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from wayline.catalog.rules import RuleCompiler, RuleError, RuleSet
from wayline.catalog.schema import Schema
from wayline.errors import InvalidField
from wayline.v1 import prediction_pb2

MAX_ONNX_BYTES = 32 << 20
Matrix = NDArray[np.float32]
_NUMERIC = ("number", "integer", "boolean")
_FLOAT_TENSORS = ("tensor(float)", "tensor(double)")


class InputEncoder:
    """Turns a profile and a context into a model's input row, in the order of the manifest."""

    def __init__(self, manifest: prediction_pb2.ModelManifest, schema: Schema, compiler: RuleCompiler) -> None:
        """Look every input up.

        Raises:
            InvalidField: an input names no declared trait or context field, or its CEL does not compile.
        """
        self.width = len(manifest.inputs)
        self._traits: list[tuple[int, str]] = []
        self._context: list[tuple[int, str]] = []
        positions: list[int] = []
        expressions: list[str] = []
        for position, column in enumerate(manifest.inputs):
            field = f"manifest.inputs[{position}]"
            match column.WhichOneof("source"):
                case "trait":
                    _expect_numeric(f"{field}.trait", column.trait, schema.trait_types, "trait")
                    self._traits.append((position, column.trait))
                case "context":
                    _expect_numeric(f"{field}.context", column.context, schema.context_types, "context field")
                    self._context.append((position, column.context))
                case "cel":
                    try:
                        compiler.compile(column.cel, ("DOUBLE", "INT", "BOOL"))
                    except RuleError as error:
                        raise InvalidField(f"{field}.cel", str(error)) from None
                    positions.append(position)
                    expressions.append(_as_number(column.cel, compiler))
                case _:
                    raise InvalidField(field, "expected one of trait, context, cel")
        self._rules = RuleSet(compiler, expressions, ("DOUBLE", "INT"), 0.0) if expressions else None
        self._rule_positions = positions
        self.needs_context = bool(self._context) or any("context" in text or "now" in text for text in expressions)
        """Whether a row depends on the request. If not, it can be kept with the customer's view."""

    def encode(self, profile: Any, context: Any, activation: Any) -> Matrix:
        """One row, [columns], float32. An expression that errs gives 0."""
        row = np.empty(self.width, np.float32)
        for position, name in self._traits:
            row[position] = getattr(profile, name)
        for position, name in self._context:
            row[position] = getattr(context, name)
        if self._rules:
            row[self._rule_positions] = self._rules.evaluate(activation).values
        return row


class Scorer:
    """One ONNX session on one thread: parallelism comes from processes, and a second thread per session costs more."""

    def __init__(self, manifest: prediction_pb2.ModelManifest, onnx: bytes) -> None:
        """Load the model, compare it with the manifest, and run it once on zeros.

        Raises:
            InvalidField: it is no ONNX file, or its inputs or outputs do not match the manifest.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a different class for each kind of damage
            raise InvalidField("onnx", f"expected an ONNX model, could not load it: {_first_line(error)}") from None
        self._input = self._check_input(manifest)
        self._tensors = list(dict.fromkeys(output.tensor for output in manifest.outputs))
        self._columns = [(self._tensors.index(output.tensor), output.column) for output in manifest.outputs]
        self._check_outputs(manifest)

    def run(self, rows: Matrix) -> NDArray[np.float64]:
        """Score.

        Args:
            rows: [customers, inputs], float32.

        Returns:
            [customers, outputs of the manifest], float64.
        """
        tensors = self._session.run(self._tensors, {self._input: rows})
        if len(tensors) == 1 and tensors[0].ndim == 2 and self._is_whole(tensors[0].shape[1]):
            return np.asarray(tensors[0], np.float64)
        result = np.empty((len(rows), len(self._columns)))
        for index, (tensor, column) in enumerate(self._columns):
            values = tensors[tensor]
            result[:, index] = values if values.ndim == 1 else values[:, column]
        return result

    def _is_whole(self, width: int) -> bool:
        return width == len(self._columns) and all(column == at for at, (_, column) in enumerate(self._columns))

    def _check_input(self, manifest: prediction_pb2.ModelManifest) -> str:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise InvalidField("manifest.inputs", f"expected a model with one input tensor, this one has {len(inputs)}")
        only = inputs[0]
        if only.type != "tensor(float)" or len(only.shape) != 2:
            raise InvalidField(
                "manifest.inputs",
                f"expected '{only.name}' to be tensor(float) [rows, columns], it is {only.type} {only.shape}",
            )
        width = only.shape[1]
        if isinstance(width, int) and width != len(manifest.inputs):
            raise InvalidField(
                "manifest.inputs",
                f"{len(manifest.inputs)} are declared, the model's input '{only.name}' expects {width}",
            )
        if isinstance(only.shape[0], int):
            raise InvalidField("onnx", f"expected a free number of rows, '{only.name}' takes exactly {only.shape[0]}")
        return str(only.name)

    def _check_outputs(self, manifest: prediction_pb2.ModelManifest) -> None:
        known = {output.name: output for output in self._session.get_outputs()}
        for position, output in enumerate(manifest.outputs):
            if output.tensor not in known:
                raise InvalidField(
                    f"manifest.outputs[{position}].tensor", f"expected one of {', '.join(known)}, got '{output.tensor}'"
                )
            if known[output.tensor].type not in _FLOAT_TENSORS:
                raise InvalidField(
                    f"manifest.outputs[{position}].tensor",
                    f"expected a tensor of floats, '{output.tensor}' is {known[output.tensor].type}",
                )
        try:
            tensors = self._session.run(self._tensors, {self._input: np.zeros((2, len(manifest.inputs)), np.float32)})
        except Exception as error:  # as above
            raise InvalidField(
                "manifest.inputs", f"the model does not run on two rows of zeros: {_first_line(error)}"
            ) from None
        for position, (tensor, column) in enumerate(self._columns):
            shape = tensors[tensor].shape
            width = 1 if len(shape) == 1 else shape[1] if len(shape) == 2 else 0
            if shape[0] != 2 or not 0 <= column < width:
                raise InvalidField(
                    f"manifest.outputs[{position}].column",
                    f"expected 0 to {width - 1} of '{self._tensors[tensor]}' {shape}",
                )


def _as_number(expression: str, compiler: RuleCompiler) -> str:
    """CEL has no number for a boolean: 1 and 0."""
    is_boolean = compiler.compile(expression, ("DOUBLE", "INT", "BOOL")).return_type().name() == "BOOL"
    return f"(({expression}) ? 1.0 : 0.0)" if is_boolean else expression


def _expect_numeric(field: str, name: str, types: Any, what: str) -> None:
    if types.get(name) not in _NUMERIC:
        numeric: Sequence[str] = sorted(one for one, kind in types.items() if kind in _NUMERIC)
        known = ", ".join(numeric) or "none"
        raise InvalidField(field, f"expected a declared {what} of number or boolean type ({known}), got '{name}'")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
