"""The catalogue in docs/privacy.md is one that can be applied."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from wayline.catalog.labels import classification
from wayline.catalog.load import load_text
from wayline_ingestion.core.validate import validate

_DOCS = Path(__file__).parents[3] / "docs" / "privacy.md"


def test_the_event_in_the_chapter_on_privacy_is_one_that_may_be_sent():
    (block,) = re.findall(r"```python\n(.*?)```", _DOCS.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102
    event = names["event"]
    assert event.context.consent.global_privacy_control
    assert validate(event, "events[0]", now=1.8e9, encoded_bytes=event.ByteSize()) is None


def test_the_catalogue_in_the_chapter_on_privacy_is_valid_and_labelled_as_it_says():
    blocks = re.findall(r"```yaml\n(.*?)```", _DOCS.read_text(), re.DOTALL)

    catalog = load_text("\n".join(blocks))

    found = classification(catalog)
    assert {name for name, kind in found.items() if kind == "sensitive"} == {
        "profile.last_illness",
        "profile.unwell",
        "profile.age",
        "context.city",
        "properties.illness",
    }
    assert found["properties.email"] == "identifier"
