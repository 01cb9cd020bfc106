"""What CEL's compiler says of an expression that does not compile, taken apart."""

from __future__ import annotations

import re
from typing import NamedTuple

_ERROR = re.compile(r"<input>:(\d+):(\d+): (.*)")
_OVERLOAD = re.compile(r"no matching overload for '([^']+)' applied to '\((.*)\)'")


class Complaint(NamedTuple):
    """Where, and what. Line and column count from 1; the compiler may know no place: 0, or less."""

    line: int
    column: int
    text: str


class Overload(NamedTuple):
    """A function or an operator, and types that it does not work with."""

    function: str
    given: list[str]


def complaint_of(error: str) -> Complaint | None:
    """The first of an error; None: it is none of the compiler's usual kind."""
    found = _ERROR.search(error)
    return Complaint(int(found[1]), int(found[2]), found[3].removesuffix(" [INVALID_ARGUMENT]")) if found else None


def overload_of(text: str) -> Overload | None:
    """What does not fit together, if that is what a complaint is about."""
    found = _OVERLOAD.search(text)
    return Overload(found[1], _arguments(found[2])) if found else None


def _arguments(text: str) -> list[str]:
    """'bool, map(string, double)' to its parts: commas within brackets do not separate."""
    return [part.strip() for part in re.split(r",(?![^(<]*[)>])", text)]
