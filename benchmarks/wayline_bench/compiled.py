"""The benchmarks measure what the images run: the hot modules compiled ahead of time; see `deploy/compile.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import wayline.identity

_ROOT = Path(__file__).parents[2]
TOOL = _ROOT / "deploy" / "compile.py"
TARGET = _ROOT / "build" / "compiled"


def is_compiled() -> bool:
    """Whether this process runs compiled modules, and its children will."""
    return not (wayline.identity.__file__ or "").endswith(".py")


def core() -> str:
    """What is measured, for the report."""
    return "compiled" if is_compiled() else "plain Python"


def make() -> str:
    """Compile what has changed since the last time. Empty when all is well; else why it cannot be done."""
    if not TOOL.is_file():
        return "this is no checkout"
    done = subprocess.run([sys.executable, str(TOOL), str(TARGET)], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1] if done.stderr else "it was stopped"


def start_over(arguments: list[str]) -> None:
    """Begin this command anew on the compiled modules. Does not return."""
    paths = [str(TARGET), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    os.execve(sys.executable, [sys.executable, "-m", "wayline.cli", *arguments], environment)  # noqa: S606
