"""What the chapter on audiences shows is valid, and says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from wayline.catalog.load import load_text

_DOCS = (Path(__file__).parents[3] / "docs" / "audiences.md").read_text()
_BLOCKS = re.findall(r"```yaml\n(.*?)```", _DOCS, re.DOTALL)


def test_each_catalogue_in_the_chapter_is_valid() -> None:
    audiences, *lifecycles = _BLOCKS
    loaded = [load_text(audiences + lifecycle) for lifecycle in lifecycles]
    assert [len(one.effective_traits()) for one in loaded] == [10, 10, 5]


def test_the_default_stages_are_all_told_in_the_order_in_which_they_are_asked() -> None:
    lifecycle = load_text(_BLOCKS[1]).lifecycle
    assert lifecycle is not None
    told = re.findall(r"^\| `(\w+)` \|", _DOCS, re.MULTILINE)
    assert told == [*(stage.id for stage in lifecycle.judged()), "unknown"]
