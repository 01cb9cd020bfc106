"""The hot modules can be compiled, and are compiled anew only when something has changed.

That what is compiled does the same is seen by `make test-compiled`, which runs the tests of those modules on it.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "deploy" / "compile.py"
_SPEC = spec_from_file_location("compile_tool", TOOL)
assert _SPEC is not None
assert _SPEC.loader is not None
tool = module_from_spec(_SPEC)
_SPEC.loader.exec_module(tool)


def modules(pattern: str) -> list[Path]:
    package = next(ROOT / one for one in tool.PACKAGES if one.endswith(f"/{pattern.partition('/')[0]}"))
    return sorted(package.parent.glob(pattern))


def hindrances(path: Path) -> Iterator[str]:
    """What mypyc does not compile, or compiles to something else."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name) and node.id == "cached_property":
            yield f"{path.name}:{node.lineno} a cached property is worked out at each access"
        if isinstance(node, ast.AsyncFunctionDef):
            yield from (
                f"{path.name}:{inner.lineno} asynchronous generators do not compile"
                for inner in ast.walk(node)
                if isinstance(inner, (ast.Yield, ast.YieldFrom))
            )


@pytest.mark.parametrize("pattern", tool.COMPILED)
def test_every_module_that_is_to_be_compiled_is_there_and_can_be(pattern: str):
    assert modules(pattern), f"{pattern} names no module"
    assert not [found for path in modules(pattern) for found in hindrances(path)]


def package(directory: Path, source: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "one.py").write_text(source)
    return directory


def test_any_change_of_a_source_is_seen(tmp_path: Path):
    before = tool.digest_of([package(tmp_path / "wayline", "ONE = 1\n")])
    assert tool.digest_of([package(tmp_path / "wayline", "ONE = 1\n")]) == before
    assert tool.digest_of([package(tmp_path / "wayline", "ONE = 2\n")]) != before


def test_what_is_up_to_date_is_left_alone(tmp_path: Path):
    source = package(tmp_path / "wayline", "ONE = 1\n")
    target = package(tmp_path / "made", "")
    (target / tool.STAMP).write_text(tool.digest_of([source]))
    assert tool.compile_into(target, [source]) is False
    assert (target / "one.py").read_text() == ""


def test_without_a_compiler_it_says_what_to_do_and_leaves_nothing(tmp_path: Path):
    source = package(tmp_path / "wayline", "ONE = 1\n")
    done = subprocess.run(
        [sys.executable, str(TOOL), str(tmp_path / "made"), "--package", str(source)],
        env={**os.environ, "CC": "no-such-compiler"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "no C compiler (no-such-compiler) was found; install one, or run without compiling" in done.stderr
    assert not (tmp_path / "made").exists()
