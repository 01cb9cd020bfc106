"""Checks the Kubernetes manifests: `python deploy/check_manifests.py`. Ends with 1 when one is wrong.

Renders them with `kubectl kustomize` where that is installed, overlays included; else reads the files that the base's
kustomization.yaml names.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

BASE = Path(__file__).parent / "k8s" / "base"
OVERLAYS = sorted((BASE.parent / "overlays").iterdir())
KUBERNETES = "1.34"


def documents(base: Path = BASE) -> list[dict[str, Any]]:
    """Every manifest.

    Raises:
        SystemExit: they cannot be rendered.
    """
    kubectl = shutil.which("kubectl")
    if not kubectl:
        return list(_read(base))
    rendered = subprocess.run([kubectl, "kustomize", str(base)], capture_output=True, text=True)  # noqa: S603
    if rendered.returncode:
        sys.exit(f"kubectl kustomize {base}: {rendered.stderr.strip()}")
    return [document for document in yaml.safe_load_all(rendered.stdout) if document]


def _read(base: Path) -> Iterator[dict[str, Any]]:
    for name in yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]:
        yield from (document for document in yaml.safe_load_all((base / name).read_text()) if document)


def problem(document: dict[str, Any]) -> str | None:
    """What is wrong with a manifest, by the strict schema of its kind; None when nothing is."""
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.SchemaNotFoundError as error:
        return str(error.message)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    return None


def main() -> int:
    """Print one line per manifest."""
    found = 0
    for directory in (BASE, *(OVERLAYS if shutil.which("kubectl") else ())):
        for document in documents(directory):
            name = f"{directory.name}: {document['kind']}/{document['metadata']['name']}"
            wrong = problem(document)
            found += wrong is not None
            print(f"{name}: {wrong or 'ok'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
