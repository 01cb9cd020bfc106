"""`wayline models`: the model registry from the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import grpc
import typer
import yaml
from google.protobuf.json_format import ParseDict, ParseError
from rich.markup import escape
from rich.table import Table

from wayline.catalog.spelling import did_you_mean
from wayline.cli.support import PREDICTION_ADDRESS, Json, Prediction, fail, out, plain, print_json
from wayline.v1 import prediction_pb2, prediction_pb2_grpc

_TIMEOUT_SECONDS = 120.0
_SHOWN_VERSIONS = 10
_NO_FIELD = re.compile(r'"wayline\.v1\.(?P<kind>\w+)" has no field named "(?P<field>[^"]*)" at "(?P<where>[^"]*)"')
# The list of all models, with all their manifests, may be larger than gRPC's limit for unknown senders.
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0))

app = typer.Typer(
    name="models",
    help="Register, promote and roll back models.\n\n"
    "Examples:\n\n- `wayline models list`\n\n- `wayline models rollback accept`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Name = Annotated[str, typer.Argument(help="The model's name.", show_default=False)]


@app.command("list", epilog="Example: **wayline models list**")
def list_models(
    everything: Annotated[bool, typer.Option("--all", help="Every version, not only the newest ten.")] = False,
    prediction: Prediction = PREDICTION_ADDRESS,
    as_json: Json = False,
) -> None:
    """List all models with their versions, newest first."""
    with _service(prediction) as service:
        models = service.ListModels(prediction_pb2.ListModelsRequest(), timeout=_TIMEOUT_SECONDS).models
    if as_json:
        print_json([plain(model, defaults=True) for model in models])
    elif not models:
        out.print("No models yet. Register one with: wayline models register MODEL.onnx MANIFEST.yaml", soft_wrap=True)
    else:
        out.print(_table(models, None if everything else _SHOWN_VERSIONS))


@app.command(epilog="Example: **wayline models register accept.onnx accept.yaml --promote**")
def register(
    onnx: Annotated[
        Path, typer.Argument(help="The ONNX file.", exists=True, dir_okay=False, readable=True, show_default=False)
    ],
    manifest: Annotated[
        Path,
        typer.Argument(
            help="What its inputs and outputs mean: YAML or JSON.",
            exists=True,
            dir_okay=False,
            readable=True,
            show_default=False,
        ),
    ],
    promote: Annotated[bool, typer.Option("--promote", help="Let decisions use it at once.")] = False,
    prediction: Prediction = PREDICTION_ADDRESS,
    as_json: Json = False,
) -> None:
    """Register a new version of a model. It serves nothing until it is promoted."""
    request = prediction_pb2.RegisterModelRequest(
        manifest=read_manifest(manifest), onnx=onnx.read_bytes(), promote=promote
    )
    with _service(prediction) as service:
        version = service.RegisterModel(request, timeout=_TIMEOUT_SECONDS).version
    if as_json:
        print_json(plain(version, defaults=True))
        return
    name = version.manifest.name
    out.print(f"Registered {name} version {version.version}.", highlight=False)
    if not promote:
        out.print(f"Let decisions use it with: wayline models promote {name}", highlight=False)


@app.command(epilog="Example: **wayline models promote accept --version 3**")
def promote(
    name: Name,
    version: Annotated[int, typer.Option(min=0, help="0: the newest.")] = 0,
    prediction: Prediction = PREDICTION_ADDRESS,
    as_json: Json = False,
) -> None:
    """Make a version the champion: decisions use it from then on."""
    with _service(prediction) as service:
        request = prediction_pb2.PromoteModelRequest(name=name, version=version)
        with _known():
            model = service.PromoteModel(request, timeout=_TIMEOUT_SECONDS).model
    _show_champion(model, as_json)


@app.command(epilog="Example: **wayline models rollback accept**")
def rollback(name: Name, prediction: Prediction = PREDICTION_ADDRESS, as_json: Json = False) -> None:
    """Make the former champion the champion again."""
    with _service(prediction) as service, _known():
        model = service.RollbackModel(prediction_pb2.RollbackModelRequest(name=name), timeout=_TIMEOUT_SECONDS).model
    _show_champion(model, as_json)


def read_manifest(path: Path) -> prediction_pb2.ModelManifest:
    """A manifest from a YAML or JSON file; ends the command when it is none."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fail(f"{path}: {error}")
    if not isinstance(value, dict):
        fail(f"{path}: expected the fields of a manifest: name, inputs, outputs")
    try:
        return ParseDict(value, prediction_pb2.ModelManifest())
    except ParseError as error:
        fail(f"{path}: {_in_words(str(error))}")


def _in_words(said: str) -> str:
    """Protobuf's error about a manifest, with the fields that there are as people write them."""
    found = _NO_FIELD.search(said)
    if not found:
        return said
    kind, field = found["kind"], found["field"]
    names = sorted(prediction_pb2.DESCRIPTOR.message_types_by_name[kind].fields_by_name)
    where = "" if kind == "ModelManifest" else f" in {found['where'].partition('.')[2] or kind}"
    meant = did_you_mean(field, names) or f" (there are: {', '.join(names)})"
    return f"there is no field '{field}'{where}{meant}"


@contextmanager
def _service(address: str) -> Iterator[prediction_pb2_grpc.PredictionServiceStub]:
    with grpc.insecure_channel(address, options=_OPTIONS) as channel:
        yield prediction_pb2_grpc.PredictionServiceStub(channel)


@contextmanager
def _known() -> Iterator[None]:
    """Where there is no such model or version, say how to find out which there are."""
    try:
        yield
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        fail(f"{error.details()}. See which there are: wayline models list")


def _show_champion(model: prediction_pb2.Model, as_json: bool) -> None:
    if as_json:
        print_json(plain(model, defaults=True))
    else:
        out.print(f"The champion of {model.name} is version {model.champion}.", highlight=False)


def _table(models: Sequence[prediction_pb2.Model], shown: int | None) -> Table:
    table = Table("model", "version", "role", "inputs", "outputs", "KiB", "registered", "measures")
    for model in models:
        former = set(model.former_champions)
        newest = model.versions[::-1][:shown]
        for version in [
            *newest,
            *(one for one in model.versions if one.version == model.champion and one not in newest),
        ]:
            role = "former champion" if version.version in former else ""
            table.add_row(
                model.name,
                str(version.version),
                "[bold green]champion[/]" if version.version == model.champion else role,
                str(len(version.manifest.inputs)),
                str(len(version.manifest.outputs)),
                f"{version.size_bytes / 1024:.1f}",
                version.registered_at.ToDatetime().strftime("%Y-%m-%d %H:%M:%SZ"),
                escape(", ".join(f"{name} {value:.4g}" for name, value in sorted(version.manifest.measures.items()))),
            )
    return table
