"""What is wrong with a catalogue, said to whoever wrote it: the file, the line, the column, and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wayline.errors import RequestError

MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend.

    `line` and `column` count from 1; line 0 means the file as a whole. `path` leads to the place in the catalogue,
    for instance `issues[sales].groups[shoes].actions[red-shoes].value`; empty when the text itself cannot be read.
    """

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        """`file:line:column: path: message`, as editors and compilers write it."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class CatalogInvalid(RequestError):
    """The catalogue cannot be used. All its problems are known at once, up to `MAX_PROBLEMS`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the first `MAX_PROBLEMS`; `left_out` counts the others."""
        self.problems = tuple(problems[:MAX_PROBLEMS])
        self.left_out = len(problems) - len(self.problems)
        more = [f"and {self.left_out} more"] if self.left_out else []
        super().__init__("\n".join([*map(str, self.problems), *more]))
