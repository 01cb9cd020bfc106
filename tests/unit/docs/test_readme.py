"""What the README shows is what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()


def test_the_first_decision_is_the_example_that_can_be_run() -> None:
    shown = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert shown
    assert shown[1] == (ROOT / "examples" / "first_decision.py").read_text()


def test_every_file_that_the_documents_point_to_is_there() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} points to {target}"


def test_make_help_lists_the_targets_that_the_readme_names() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = re.search(r"lists the targets: `([^`]+)`", README)
    assert named
    assert set(named[1].split()) <= set(re.findall(r"make (\S+)", listed))


def test_the_command_line_says_what_it_can_do() -> None:
    run = [sys.executable, "-c", "from wayline.cli import main; main()", "--help"]
    shown = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    for command in ("up", "demo", "status", "catalog", "models", "rejected", "bench"):
        assert re.search(rf"\b{command}\b", shown)
