"""A catalogue's files, put together: the text of all of them as one tree that knows where everything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from wayline.catalog.problems import CatalogInvalid, Problem
from wayline.catalog.source import Node, Path, SourceFile, locate

MAX_FILE_BYTES = 8 << 20
MAX_TOTAL_BYTES = 32 << 20
MAX_FILES = 500
_CONCATENATED = "issues"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where each part of a catalogue is written."""

    root: Node
    files: dict[str, SourceFile] = field(repr=False)

    def problem(
        self, path: Path, message: str, *, at_key: bool = False, within: tuple[int, int] | None = None
    ) -> Problem:
        """A problem at `path`: at its key, or at a line and column within its text, or where its value starts."""
        node, written = locate(self.root, path)
        line, column = (node.key or (node.line, node.column)) if at_key else (node.line, node.column)
        if within is not None:
            line, column = self._within(node, *within)
        return Problem(node.file, line, column, self.describe(written), message)

    def describe(self, path: Path) -> str:
        """`issues[sales].groups[shoes].actions[red-shoes].value`: items of lists by their id, where they have one.

        All of `path` has to be written; `locate` says what is.
        """
        node, text = self.root, ""
        for step in path:
            if isinstance(node.value, list) and isinstance(step, int):
                node = node.value[step]
                own = node.value.get("id") if isinstance(node.value, dict) else None
                text += f"[{own.value if own and isinstance(own.value, str) else step}]"
            else:
                node = node.value[str(step)] if isinstance(node.value, dict) else node
                plain_name = str(step).replace("_", "").isalnum()
                text += (f".{step}" if text else str(step)) if plain_name else f"[{step}]"
        return text

    def _within(self, node: Node, line: int, column: int) -> tuple[int, int]:
        """Where a line and column of a scalar stand in the file. Its start, when YAML has joined lines or escaped."""
        if isinstance(node.value, str):
            wanted = node.value.split("\n")[line - 1 : line]
            lines = self.files[node.file].lines
            for number in range(node.line + line - 1, min(node.end_line, len(lines)) + 1):
                start = node.column - 1 if number == node.line else 0
                position = lines[number - 1].find(wanted[0], start) if wanted else -1
                if position >= 0:
                    return number, position + column
        return node.line, node.column


def read(path: FilePath) -> Sources:
    """Read the files, and no more than that: `build` makes a catalogue of them.

    Raises:
        CatalogInvalid: a file cannot be read, or says the same thing as another.
    """
    try:
        names = _files(path)
        sizes = [name.stat().st_size for name in names]
    except OSError as error:
        raise _unreadable(FilePath(error.filename or path), error) from None
    too_large = [
        Problem(str(name), 0, 1, "", f"expected at most {MAX_FILE_BYTES >> 20} MiB, got {size / (1 << 20):.1f} MiB")
        for name, size in zip(names, sizes, strict=True)
        if size > MAX_FILE_BYTES
    ]
    if too_large:
        raise CatalogInvalid(too_large)
    if sum(sizes) > MAX_TOTAL_BYTES:
        raise CatalogInvalid([Problem(str(path), 0, 1, "", f"expected at most {MAX_TOTAL_BYTES >> 20} MiB in all")])
    return merge(str(path), [_read_file(name) for name in names])


def merge(name: str, files: Sequence[SourceFile]) -> Sources:
    """Put files together: maps are united, issues come one after the other; nothing may be said twice.

    Raises:
        CatalogInvalid: a file cannot be parsed, or says the same thing as another.
    """
    problems = [problem for file in files for problem in file.problems]
    together: dict[str, Node] = {}
    for file in files:
        if file.root is None:
            continue
        if not isinstance(file.root.value, dict):
            problems.append(
                Problem(file.name, file.root.line, 1, "", "expected sections such as traits, placements, issues")
            )
            continue
        for key, node in file.root.value.items():
            if key in together:
                together[key] = _unite(key, together[key], node, problems)
            else:
                together[key] = node
    if not together and not problems:
        problems.append(Problem(name, 0, 1, "", "there is nothing in it"))
    if problems:
        raise CatalogInvalid(problems)
    root = Node(together, files[0].name, 1, 1, 1)
    return Sources(root, {file.name: file for file in files})


def _unite(key: str, first: Node, second: Node, problems: list[Problem]) -> Node:
    united = Node(first.value, first.file, first.line, first.column, first.end_line, first.key)
    if isinstance(first.value, dict) and isinstance(second.value, dict):
        common = [name for name in second.value if name in first.value]
        problems.extend(_twice(f"{key}.{name}", first.value[name], second.value[name]) for name in common)
        united.value = first.value | second.value
    elif key == _CONCATENATED and isinstance(first.value, list) and isinstance(second.value, list):
        united.value = first.value + second.value
    else:
        problems.append(_twice(key, first, second))
    return united


def _twice(path: str, first: Node, second: Node) -> Problem:
    line, column = second.key or (second.line, second.column)
    at = first.key or (first.line, first.column)
    return Problem(second.file, line, column, path, f"is also given in {first.file}, line {at[0]}; give it once")


def _files(path: FilePath) -> list[FilePath]:
    if not path.is_dir():
        return [path]
    names = sorted(path.glob("*.yaml"))
    other = sorted(path.glob("*.yml"))
    if other:
        raise CatalogInvalid([Problem(str(name), 0, 1, "", "would not be read; rename it to .yaml") for name in other])
    if not names:
        raise CatalogInvalid([Problem(str(path), 0, 1, "", "there is no .yaml file in this directory")])
    if len(names) > MAX_FILES:
        raise CatalogInvalid([Problem(str(path), 0, 1, "", f"expected at most {MAX_FILES} files, got {len(names)}")])
    return names


def _read_file(name: FilePath) -> SourceFile:
    try:
        return SourceFile(str(name), name.read_bytes())
    except OSError as error:
        raise _unreadable(name, error) from None


def _unreadable(name: FilePath, error: OSError) -> CatalogInvalid:
    reason = (error.strerror or "unknown reason").lower()
    return CatalogInvalid([Problem(str(name), 0, 1, "", f"cannot be read: {reason}")])
