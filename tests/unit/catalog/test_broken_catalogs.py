"""Each broken catalogue says on its first line where its one problem is, and what is said about it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.catalogs import BROKEN

from wayline.catalog.load import load
from wayline.catalog.problems import CatalogInvalid

_EXPECTED = re.compile(r"# (\d+):(\d+) (.+)")
_ALL = sorted(BROKEN.glob("*.yaml"))


def test_there_are_broken_catalogues_to_look_at():
    assert len(_ALL) >= 120


@pytest.mark.parametrize("path", _ALL, ids=lambda path: path.stem)
def test_the_problem_is_found_where_it_is_and_named_in_words(path: Path):
    expected = _EXPECTED.match(path.read_text())
    assert expected

    with pytest.raises(CatalogInvalid) as caught:
        load(path)

    (problem,) = caught.value.problems
    assert problem.file == str(path)
    assert (problem.line, problem.column) == (int(expected[1]), int(expected[2]))
    assert expected[3] in problem.message
