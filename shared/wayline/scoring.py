"""Models: an ONNX session with a manifest that says how it is fed and what its outputs mean."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wayline.catalog.rules import RuleCompiler, RuleError, RuleSet
from wayline.catalog.schema import Schema
from wayline.errors import InvalidField, LimitExceeded
from wayline.v1 import prediction_pb2

# Before the import: ONNX Runtime reports its use to its maker over the network unless it is told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

MAX_ONNX_BYTES = 32 << 20
PROBE_SECONDS = 10.0
"""A model that takes longer for two rows of zeros is refused: it would hold up every decision."""

Matrix = NDArray[np.float32]
_LARGEST = np.finfo(np.float32).max
# Weights outside the file would be read from our disk: look for them where nothing can be.
_NOWHERE = f"{os.devnull}/none"
_NUMERIC = ("number", "integer", "boolean")
_FLOAT_TENSORS = ("tensor(float)", "tensor(double)")


class InputEncoder:
    """Turns a profile and a context into a model's input row, in the order of the manifest."""

    def __init__(self, manifest: prediction_pb2.ModelManifest, schema: Schema, compiler: RuleCompiler) -> None:
        """Look every input up.

        Raises:
            InvalidField: an input names no declared trait or context field, or its CEL does not compile.
        """
        traits: dict[int, str] = {}
        context: dict[int, str] = {}
        rules: dict[int, str] = {}
        for position, column in enumerate(manifest.inputs):
            field = f"manifest.inputs[{position}]"
            match column.WhichOneof("source"):
                case "trait":
                    _expect_numeric(f"{field}.trait", column.trait, schema.trait_types, "trait")
                    traits[position] = column.trait
                case "context":
                    _expect_numeric(f"{field}.context", column.context, schema.context_types, "context field")
                    context[position] = column.context
                case "cel":
                    try:
                        rules[position] = _as_number(column.cel, compiler)
                    except RuleError as error:
                        raise InvalidField(f"{field}.cel", str(error)) from None
                case _:
                    raise InvalidField(field, "expected one of trait, context, cel")
        try:
            self._rules = RuleSet(compiler, list(rules.values()), ("DOUBLE", "INT"), 0.0) if rules else None
        except RuleError as error:  # each compiles by itself, all together do not
            raise InvalidField("manifest.inputs", f"the expressions do not compile together: {error}") from None
        self._read_traits = _reader(list(traits.values()))
        self._read_context = _reader(list(context.values())) if context else None
        # Native floats: three times as fast as filling an array one by one, and what is too large becomes infinite.
        self._pack = struct.Struct(f"{len(manifest.inputs)}f").pack
        read_in_order = [*traits, *context, *rules]
        in_place = read_in_order == sorted(read_in_order)
        self._order = None if in_place else np.argsort(np.array(read_in_order, np.intp))
        self.needs_context = bool(context) or any("context" in text or "now" in text for text in rules.values())
        """Whether a row depends on the request. If not, it can be kept with the customer's view."""
        self.needs_activation = bool(rules)
        """Whether `encode` reads its activation."""

    def encode(self, profile: Any, context: Any, activation: Any) -> Matrix:
        """One row, [columns], float32. An expression that errs gives 0; what float32 cannot hold, its largest value.

        Args:
            profile: the message of the declared traits.
            context: the message of the declared context fields.
            activation: both, prepared by `RuleCompiler.activation`; only read when the manifest has CEL.
        """
        values = self._read_traits(profile)
        if self._read_context:
            values += self._read_context(context)
        if self._rules:
            values += tuple(self._rules.evaluate(activation).values)
        row: Matrix = np.frombuffer(self._pack(*values), np.float32)
        if self._order is not None:
            row = row[self._order]
        return np.maximum(np.minimum(row, _LARGEST), -_LARGEST)


class Scorer:
    """One ONNX session on one thread: parallelism comes from processes, and a second thread per session costs more."""

    def __init__(self, manifest: prediction_pb2.ModelManifest, onnx: bytes) -> None:
        """Load the model, compare it with the manifest, and run it once on zeros.

        It takes a while and holds the thread: call it from a worker thread.

        Raises:
            InvalidField: it is no ONNX file, or its inputs or outputs do not match the manifest.
            LimitExceeded: it is larger than 32 MiB.
        """
        if not onnx:
            raise InvalidField("onnx", "expected the bytes of an ONNX model, got none")
        if len(onnx) > MAX_ONNX_BYTES:
            raise LimitExceeded(f"onnx: expected at most {MAX_ONNX_BYTES} bytes, got {len(onnx)}")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NOWHERE)
        try:
            self._session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a different class for each kind of damage
            raise InvalidField("onnx", f"expected an ONNX model, could not load it: {_first_line(error)}") from None
        self._input = self._check_input(manifest)
        self._tensors = list(dict.fromkeys(output.tensor for output in manifest.outputs))
        self._columns = [(self._tensors.index(output.tensor), output.column) for output in manifest.outputs]
        self._in_order = self._columns == [(0, at) for at in range(len(self._columns))]
        self._check_outputs(manifest)

    def run(self, rows: Matrix) -> NDArray[np.float64]:
        """Score.

        Args:
            rows: [customers, inputs], float32.

        Returns:
            [customers, outputs of the manifest], float64.
        """
        tensors = self._session.run(self._tensors, {self._input: rows})
        if self._in_order and tensors[0].ndim == 2 and tensors[0].shape[1] == len(self._columns):
            return np.asarray(tensors[0], np.float64)
        result = np.empty((len(rows), len(self._columns)))
        for index, (tensor, column) in enumerate(self._columns):
            values = tensors[tensor]
            result[:, index] = values if values.ndim == 1 else values[:, column]
        return result

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
                kind = known[output.tensor].type
                hint = " (export it without ZipMap)" if "map(" in kind else ""
                raise InvalidField(
                    f"manifest.outputs[{position}].tensor",
                    f"expected a tensor of floats, '{output.tensor}' is {kind}{hint}",
                )
        # One row and two: a graph can have a number of rows built into it although it does not declare one.
        for rows in (1, 2):
            self._check_run(rows, len(manifest.inputs))

    def _check_run(self, rows: int, width: int) -> None:
        zeros = np.zeros((rows, width), np.float32)
        try:
            with _time_limit(PROBE_SECONDS) as options:
                tensors = self._session.run(self._tensors, {self._input: zeros}, options)
        except Exception as error:  # as above
            raise InvalidField(
                "manifest.inputs", f"the model does not run on {rows} rows of zeros: {_first_line(error)}"
            ) from None
        for position, (tensor, column) in enumerate(self._columns):
            shape = tensors[tensor].shape
            if len(shape) not in (1, 2) or shape[0] != rows:
                raise InvalidField(
                    f"manifest.outputs[{position}].tensor",
                    f"expected [rows] or [rows, columns], '{self._tensors[tensor]}' is {list(shape)} for {rows} rows",
                )
            columns = shape[1] if len(shape) == 2 else 1
            if not 0 <= column < columns:
                raise InvalidField(
                    f"manifest.outputs[{position}].column",
                    f"'{self._tensors[tensor]}' has {columns} columns, counted from 0; got {column}",
                )


@contextmanager
def _time_limit(seconds: float) -> Iterator[ort.RunOptions]:
    """Run options that end a run after so long: an ONNX graph can loop for ever."""
    options = ort.RunOptions()

    def end() -> None:
        options.terminate = True

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield options
    finally:
        timer.cancel()


def _reader(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Reads the fields called `names` from a message; the standard library's getter gives one value unwrapped."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda message: tuple(getattr(message, name) for name in names)


def _as_number(expression: str, compiler: RuleCompiler) -> str:
    """CEL has no number for a boolean: 1 and 0."""
    try:
        compiled = compiler.compile(expression, ("DOUBLE", "INT", "BOOL"))
    except RuleError:
        # Anew for its words alone: an input is a number first of all.
        compiled = compiler.compile(expression, ("DOUBLE", "INT"))
    is_boolean = compiled.return_type().name() == "BOOL"
    # The new line ends a comment that may be the last thing in it.
    return f"(({expression}\n) ? 1.0 : 0.0)" if is_boolean else expression


def _expect_numeric(field: str, name: str, types: Any, what: str) -> None:
    if types.get(name) not in _NUMERIC:
        numeric: Sequence[str] = sorted(one for one, kind in types.items() if kind in _NUMERIC)
        known = ", ".join(numeric) or "none"
        raise InvalidField(field, f"expected a declared {what} of number or boolean type ({known}), got '{name}'")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
