"""What must be true of a model before it is registered."""

from __future__ import annotations

import re
from math import isfinite

import numpy as np

from wayline.catalog.model import Catalog
from wayline.catalog.rules import RuleCompiler
from wayline.catalog.schema import Schema
from wayline.catalog.uses import refused_inputs
from wayline.errors import InvalidField, LimitExceeded
from wayline.scoring import InputEncoder, Scorer
from wayline.v1 import prediction_pb2

MAX_INPUTS = 2_000
MAX_OUTPUTS = 10_000
MAX_MEASURES = 100
MAX_DESCRIPTION_CHARACTERS = 2_000
MAX_CEL_CHARACTERS = 2_000
MAX_MEASURE_CHARACTERS = 64
MAX_MANIFEST_BYTES = 2 << 20
"""The limits of the fields allow more; but what is larger is no manifest that a person wrote or a trainer needs."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_ACTION = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_ROUNDING = 1e-6


def check_name(name: str, field: str) -> None:
    """A model's name.

    Raises:
        InvalidField: it is missing or not well-formed.
    """
    if not _NAME.fullmatch(name):
        raise InvalidField(
            field, f"expected 1 to 64 of a-z, 0-9, '_' and '-', beginning with a letter, got '{name[:64]}'"
        )


def check_manifest(manifest: prediction_pb2.ModelManifest) -> None:
    """Everything that can be said of a manifest without its model and without a catalogue.

    Raises:
        InvalidField: a field does not hold what the contract says.
        LimitExceeded: there are too many of something.
    """
    check_name(manifest.name, "manifest.name")
    if manifest.ByteSize() > MAX_MANIFEST_BYTES:
        raise LimitExceeded(f"manifest: expected at most {MAX_MANIFEST_BYTES} bytes, got {manifest.ByteSize()}")
    _check_count("manifest.inputs", len(manifest.inputs), 1, MAX_INPUTS)
    _check_count("manifest.outputs", len(manifest.outputs), 1, MAX_OUTPUTS)
    _check_count("manifest.measures", len(manifest.measures), 0, MAX_MEASURES)
    _check_length("manifest.description", manifest.description, MAX_DESCRIPTION_CHARACTERS)
    for position, column in enumerate(manifest.inputs):
        _check_length(f"manifest.inputs[{position}].cel", column.cel, MAX_CEL_CHARACTERS)
    for name, value in manifest.measures.items():
        if not name or len(name) > MAX_MEASURE_CHARACTERS:
            raise InvalidField("manifest.measures", f"expected names of 1 to {MAX_MEASURE_CHARACTERS} characters")
        if not isfinite(value):
            raise InvalidField(f"manifest.measures.{name}", f"expected a finite number, got {value}")
    _check_outputs(manifest)


def check_model(manifest: prediction_pb2.ModelManifest, onnx: bytes, schema: Schema, compiler: RuleCompiler) -> None:
    """The manifest's inputs are declared, the model loads, fits the manifest, and gives chances.

    It may take seconds: call it from a worker thread.

    Raises:
        InvalidField: one of these is not so.
        LimitExceeded: the file is too large.
    """
    InputEncoder(manifest, schema, compiler)
    outputs = Scorer(manifest, onnx).run(np.zeros((1, len(manifest.inputs)), np.float32))[0]
    for position, value in enumerate(outputs.tolist()):
        if not -_ROUNDING <= value <= 1 + _ROUNDING:  # also refuses what is no number
            raise InvalidField(
                f"manifest.outputs[{position}]",
                f"expected a chance between 0 and 1, the model gives {value:.6g} for a row of zeros"
                " (export probabilities, not scores)",
            )


def check_labels(manifest: prediction_pb2.ModelManifest, catalog: Catalog) -> None:
    """The purposes of the actions that ask for the model may use what it reads.

    Raises:
        InvalidField: one of them may not.
    """
    if refused := refused_inputs(catalog, manifest.name, manifest):
        raise InvalidField("manifest.inputs", refused[0])


def _check_outputs(manifest: prediction_pb2.ModelManifest) -> None:
    seen: set[str] = set()
    for position, output in enumerate(manifest.outputs):
        field = f"manifest.outputs[{position}]"
        if not output.tensor:
            raise InvalidField(f"{field}.tensor", "expected the name of one of the model's outputs")
        if output.column < 0:
            raise InvalidField(f"{field}.column", f"expected 0 or more, got {output.column}")
        if output.action and not _ACTION.fullmatch(output.action):
            raise InvalidField(f"{field}.action", f"expected an action's id, got '{output.action[:64]}'")
        if output.action in seen:
            what = f"action '{output.action}'" if output.action else "all other actions"
            raise InvalidField(f"{field}.action", f"{what}: expected one output, this is the second")
        seen.add(output.action)


def _check_count(field: str, count: int, least: int, most: int) -> None:
    if count < least:
        raise InvalidField(field, f"expected {least} to {most}, got {count}")
    if count > most:
        raise LimitExceeded(f"{field}: expected {least} to {most}, got {count}")


def _check_length(field: str, text: str, most: int) -> None:
    if len(text) > most:
        raise InvalidField(field, f"expected at most {most} characters, got {len(text)}")
