"""The catalogue in docs/identity.md is one that can be applied, and its table is true."""

from __future__ import annotations

import re
from pathlib import Path

from wayline.catalog.identifiers import rules_of
from wayline.catalog.load import load_text
from wayline.identifiers import DEFAULTS
from wayline.identity import KINDS

_TEXT = (Path(__file__).parents[3] / "docs" / "identity.md").read_text()


def test_the_catalogue_in_the_chapter_on_identity_is_valid():
    rules = rules_of(load_text("\n".join(re.findall(r"```yaml\n(.*?)```", _TEXT, re.DOTALL))))
    assert rules.of("hotel_number").paths == (("context", "hotel", "number"),)
    assert rules.of("loyalty_card").owners == 2


def test_the_limits_of_the_built_in_kinds_are_as_the_chapter_says():
    rows = dict(re.findall(r"^\| `(\w+)` \|.*?\| (\d+)[^|]*\|[^|]*\|$", _TEXT, re.MULTILINE))
    assert rows == {kind: str(DEFAULTS[kind].most) for kind in KINDS}
    priorities = re.findall(r"`(\w+)` (\d{3})", _TEXT)
    assert dict(priorities) == {kind: str(DEFAULTS[kind].priority) for kind in KINDS}
