"""What the container image of a role needs: its own extra of pyproject.toml, and nothing of another's."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROLES = ("ingestion", "profile", "prediction", "decision")
_IMPORTED_AS = {
    "psycopg[binary]": "psycopg",
    "pydantic-settings": "pydantic_settings",
    "python-liquid": "liquid",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
# None in sys.modules makes an import fail, as it does where the package is not installed.
_IMPORT = """
import importlib, json, sys
app, *missing = sys.argv[1:]
sys.modules.update(dict.fromkeys(missing))
importlib.import_module(app)
print(json.dumps(list(sys.modules)))
"""


def extras() -> dict[str, set[str]]:
    """The modules that each extra brings, without what every installation has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        extra: {module(requirement) for requirement in requirements if not requirement.startswith("wayline[")}
        for extra, requirements in project["optional-dependencies"].items()
    }


def module(requirement: str) -> str:
    name = requirement.partition(">")[0].partition("[")[0]
    return _IMPORTED_AS.get(name, name.replace("-", "_"))


@pytest.mark.parametrize("role", ROLES)
def test_a_service_starts_with_only_what_its_image_has(role: str):
    by_extra = extras()
    missing = set.union(*by_extra.values()) - by_extra[role]
    started = subprocess.run(
        [sys.executable, "-P", "-c", _IMPORT, f"wayline_{role}.app", *sorted(missing)], capture_output=True, text=True
    )
    assert started.returncode == 0, started.stderr
    loaded = {name.partition(".")[0] for name in json.loads(started.stdout)}
    assert by_extra[role] <= loaded, "an extra that is not used only makes the image larger"
    assert not loaded & {f"wayline_{other}" for other in ROLES if other != role}
