"""The example catalogues that come with Wayline."""

from __future__ import annotations

from pathlib import Path

from wayline import examples
from wayline.errors import NotFound

NAMES = ("shoe-shop",)


def example_path(name: str) -> Path:
    """The directory of an example catalogue, ready for `wayline.catalog.load.load`.

    Raises:
        NotFound: there is no such example.
    """
    if name not in NAMES:
        raise NotFound(f"there is no example '{name}'; there are: {', '.join(NAMES)}")
    return Path(examples.__path__[0]) / name.replace("-", "_")
