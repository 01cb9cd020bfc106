"""What `wayline models` says of manifests and names that there are not."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
import typer

from wayline.cli import models
from wayline.cli.models import read_manifest


def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], manifest: str) -> str:
    file = tmp_path / "accept.yaml"
    file.write_text(manifest)
    with pytest.raises(typer.Exit):
        read_manifest(file)
    return " ".join(capsys.readouterr().err.split())


def test_a_field_that_there_is_not_is_named_with_what_was_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = refused(tmp_path, capsys, "name: accept\ninput: []\n")
    assert "there is no field 'input'" in said
    assert "inputs" in said
    assert "Available Fields" not in said
    assert "wayline.v1" not in said


def test_a_field_of_an_input_is_named_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = refused(tmp_path, capsys, "name: accept\ninputs: [{zzz: 1}]\n")
    assert "there is no field 'zzz' in inputs[0] (there are: cel, context, trait)" in said


class Unknown(grpc.RpcError):
    """What a service answers about a model that it does not know."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.NOT_FOUND

    def details(self) -> str:
        return "model 'acept' is not known"


def test_an_unknown_model_points_to_the_list_of_models(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(typer.Exit), models._known():
        raise Unknown
    assert "model 'acept' is not known. See which there are: wayline models list" in " ".join(
        capsys.readouterr().err.split()
    )
