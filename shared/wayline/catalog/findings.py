"""What the checks of a catalogue find, before it is known on which line it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wayline.catalog.spelling import did_you_mean

if TYPE_CHECKING:  # services say in words what there is not, and have no reader of YAML
    from wayline.catalog.source import Path


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at `path` of the catalogue.

    `within` is the line and column, from 1, in the text at `path`; `at_key` says that the name is wrong, not its value;
    `first` leads to the other place that is meant, when something is there twice.
    """

    path: Path
    message: str
    within: tuple[int, int] | None = None
    at_key: bool = False
    first: Path | None = None


@dataclass(slots=True)
class Seen:
    """Ids and where each was first used."""

    what: str
    places: dict[str, Path] = field(default_factory=dict)

    def add(self, name: str, path: Path, key: str = "id") -> Iterator[Finding]:
        """Find a name that was there before. `key` is where it stands below `path`; empty: at `path` itself."""
        place = (*path, key) if key else path
        first = self.places.setdefault(name, place)
        if first is not place:
            yield Finding(place, f"{self.what} '{name}' is there twice", first=first)


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """That there is no such thing, and what was probably meant, or could be."""
    names = sorted(known)
    return f"there is no {what} '{name}'" + (
        did_you_mean(name, names) or f" (there are: {', '.join(names[:20]) or 'none'})"
    )
