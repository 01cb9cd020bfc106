"""YAML text to values that still know their file, line and column.

The values follow YAML 1.2's core schema, so `no` is text and not false. Tags, anchors and aliases are refused: a
catalogue is plain data, and cannot unfold into more than what is written. The text is read event by event, not through
PyYAML's composer, since that one crashes the process on text that is nested deeply enough.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from wayline.catalog.problems import Problem

MAX_DEPTH = 32
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_UNCLOSED = re.compile("unexpected end of stream|flow (sequence|mapping)")
_NOT_A_NUMBER = (".nan", ".NaN", ".NAN")

Scalar: TypeAlias = "str | int | float | bool | None"
Path: TypeAlias = "tuple[str | int, ...]"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Only its event parser is used; in C where PyYAML was built with it."""


@dataclass(slots=True, eq=False)
class Node:
    """A value and where it is written. Lines and columns count from 1.

    `value` is a scalar, a list of nodes, or a dict of nodes. `key` is where the node's own key stands, if it has one.
    """

    value: Scalar | list[Node] | dict[str, Node]
    file: str
    line: int
    column: int
    end_line: int
    key: tuple[int, int] | None = None


class _Stop(Exception):
    """The file cannot be read any further."""


class SourceFile:
    """One file: its text, the tree of its values, and the problems met on the way."""

    def __init__(self, name: str, data: bytes) -> None:
        """Parse `data`. `root` is None when the file says nothing or cannot be read."""
        self.name = name
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self._lines: Sequence[str] | None = None
        self._data = data
        try:
            self.root = self._parse()
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            self._problem(line, 1, "this is not UTF-8 text")
        except yaml.MarkedYAMLError as error:
            # What is never closed shows at the end of the file, and is mended where it was opened.
            unclosed = error.context_mark and _UNCLOSED.search(f"{error.context} {error.problem}")
            mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 1)
            self._problem(line, column, _in_words(error, self._character(line, column)))
        except yaml.YAMLError as error:
            self._problem(0, 1, f"cannot be read as YAML: {str(error).splitlines()[0]}")
        except _Stop:
            pass  # the reason is among the problems

    @property
    def lines(self) -> Sequence[str]:
        """The text, line by line."""
        if self._lines is None:
            # Not splitlines(): that also ends lines where YAML and editors do not.
            self._lines = self._data.decode(errors="replace").replace("\r\n", "\n").split("\n")
        return self._lines

    def _character(self, line: int, column: int) -> str:
        return self.lines[line - 1][column - 1 : column] if 0 < line <= len(self.lines) else ""

    def _problem(self, line: int, column: int, message: str) -> None:
        self.problems.append(Problem(self.name, line, column, "", message))

    def _parse(self) -> Node | None:
        self._data.decode()
        parser = _Loader(io.BytesIO(self._data))
        try:
            parser.get_event()  # the start of the stream
            if isinstance(parser.get_event(), yaml.StreamEndEvent):
                return None
            root = self._node(parser, parser.get_event(), 1)
            parser.get_event()  # the end of the document
            after = parser.get_event()
            if not isinstance(after, yaml.StreamEndEvent):
                self._stop(after, "a second document starts here ('---'); put it into a file of its own")
            return None if root.value is None else root
        finally:
            parser.dispose()

    def _node(self, parser: Any, event: Any, depth: int) -> Node:
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            self._stop(event, f"aliases ('*{event.anchor}') are not supported; write the value out")
        if event.anchor is not None:
            self._stop(event, f"anchors ('&{event.anchor}') are not supported; write the value out where it is needed")
        if event.tag is not None:
            self._stop(event, f"tags ('{event.tag}') are not supported")
        node = Node(None, self.name, mark.line + 1, mark.column + 1, event.end_mark.line + 1)
        if isinstance(event, yaml.ScalarEvent):
            node.value = _scalar(event.value) if event.implicit[0] and not event.style else event.value
            return node
        if depth >= MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(event := parser.get_event(), yaml.SequenceEndEvent):
                items.append(self._node(parser, event, depth + 1))
            node.value = items
        else:
            node.value = self._mapping(parser, depth)
        return node

    def _mapping(self, parser: Any, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        while not isinstance(event := parser.get_event(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._stop(event, "expected a name here, not a list or a map")
            at = (event.start_mark.line + 1, event.start_mark.column + 1)
            name = event.value
            node = self._node(parser, parser.get_event(), depth + 1)
            node.key = at
            if name in found:
                first = found[name].key or at
                self._problem(*at, f"'{name}' is given twice; the first is on line {first[0]}")
            else:
                found[name] = node
        return found

    def _stop(self, event: Any, message: str) -> None:
        self._problem(event.start_mark.line + 1, event.start_mark.column + 1, message)
        raise _Stop


def plain(node: Node) -> Any:
    """The value as ordinary Python data."""
    value = node.value
    if isinstance(value, dict):
        return {name: plain(child) for name, child in value.items()}
    if isinstance(value, list):
        return [plain(child) for child in value]
    return value


def locate(root: Node, path: Path) -> tuple[Node, Path]:
    """The node that `path` leads to, and the part of the path that is really written.

    What is not there is skipped: a field that is missing, the tag that pydantic adds for a union's member, and the
    0 of a list that may be written as its only item.
    """
    node, written = root, []
    for step in path:
        child = None
        if isinstance(node.value, dict):
            child = node.value.get(str(step))
        elif isinstance(node.value, list) and isinstance(step, int) and 0 <= step < len(node.value):
            child = node.value[step]
        if child is not None:
            node = child
            written.append(step)
    return node, tuple(written)


def _scalar(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    infinite = _INFINITE.fullmatch(text)
    if infinite:
        return -math.inf if infinite[1] == "-" else math.inf
    return math.nan if text in _NOT_A_NUMBER else text


def _in_words(error: yaml.MarkedYAMLError, character: str) -> str:
    problem = str(error.problem or error.context or "cannot be read as YAML")
    if "cannot start any token" in problem:
        return "a tab; indent with spaces" if character == "\t" else f"put text that starts with {character} in quotes"
    if "mapping values are not allowed" in problem:
        return "a colon where none can be; put text that contains ': ' in quotes, and check the indentation"
    if "could not find expected ':'" in problem:
        return "expected a colon and a value after the name; check the indentation"
    if "unexpected end of stream" in problem:
        return "a quote that was opened is never closed"
    if "flow" in str(error.context):
        return "a bracket that was opened is never closed, or a comma is missing within"
    return f"cannot be read as YAML ({problem}); check the indentation, and the brackets and quotes before it"
