"""The rule of direction: who may import whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("ingestion", "profile", "prediction", "decision")
SHARED = ROOT / "shared" / "wayline"

CORE_MAY_IMPORT = {
    "numpy": "arithmetic over many actions or customers at once",
    "google.protobuf": "the types of the contracts' fields",
    "wayline.v1": "the fold and the validation read events as they come: a second form of every event would cost more "
    "than the fold itself",
    "wayline.identity": "pure: identity keys and partitions",
    "wayline.identifiers": "pure: which identifiers an event names",
    "wayline.catalog.identifiers": "pure: what is declared",
    "wayline.catalog.arbitration": "pure: what is declared",
    "wayline.catalog.consent": "pure: what is declared, and how a customer stands on it",
    "wayline.catalog.contact": "pure: what is declared",
    "wayline.catalog.experiments": "pure: what is declared",
    "wayline.catalog.facts": "pure: what rules read of an action",
    "wayline.catalog.fields": "pure: what is declared",
    "wayline.catalog.formula": "pure: arithmetic that is declared",
    "wayline.catalog.json_schemas": "JSON Schema: pure functions of an event's properties, by an engine in Rust",
    "wayline.catalog.labels": "pure: what kind of data a field is",
    "wayline.catalog.lifecycle": "pure: what is declared",
    "wayline.catalog.model": "pure: what is declared",
    "wayline.catalog.templates": "pure: Liquid, without a loader: text of facts",
    "wayline.catalog.schema": "pure: the types that are declared",
    "wayline.catalog.trait_rules": "CEL: pure functions of a profile's other traits",
    "wayline.catalog.tracking": "pure: what is declared",
    "wayline.catalog.traits": "pure: what is declared",
    "wayline.quality": "pure: how counts are named and added up",
    "wayline.catalog.rules": "CEL: pure functions of a profile and a request, by an engine in C++",
}
# They read the clock, draw lots, or talk to the world: that comes to a core as an argument.
NOT_FOR_A_CORE = {
    "asyncio", "http", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil", "signal", "socket",
    "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip


def package(service: str) -> Path:
    return ROOT / "services" / service / f"wayline_{service}"


def modules(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*.py") if "v1" not in path.relative_to(directory).parts)


def imports(module: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it: `from a import b` gives `a.b`, which may be a module too."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, package_name: str) -> bool:
    return name == package_name or name.startswith(f"{package_name}.")


def breaches(files: list[Path], forbidden: set[str]) -> list[str]:
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imports(file)
        if name.partition(".")[0] in forbidden
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_imports_another(service: str):
    assert modules(package(service))
    assert (
        breaches(modules(package(service)), {f"wayline_{other}" for other in SERVICES} - {f"wayline_{service}"}) == []
    )


def test_what_is_shared_knows_no_service():
    assert breaches(modules(SHARED), {f"wayline_{service}" for service in SERVICES}) == []


@pytest.mark.parametrize(
    "core", sorted((ROOT / "services").glob("*/wayline_*/core")), ids=lambda core: core.parent.name
)
def test_a_core_knows_the_standard_library_itself_and_what_is_pure(core: Path):
    own = f"{core.parent.name}.core"
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in modules(core)
        for name in imports(file)
        if not within(name, own)
        and not any(within(name, allowed) for allowed in CORE_MAY_IMPORT)
        and (name.partition(".")[0] not in sys.stdlib_module_names or name.partition(".")[0] in NOT_FOR_A_CORE)
    ]
    assert wrong == []
