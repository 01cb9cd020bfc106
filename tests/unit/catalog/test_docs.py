from __future__ import annotations

import re
from pathlib import Path

from wayline.catalog.load import load_text

_DOCS = Path(__file__).parents[3] / "docs" / "catalog.md"


def test_the_catalogue_in_the_documentation_is_valid():
    blocks = re.findall(r"```yaml\n(.*?)```", _DOCS.read_text(), re.DOTALL)

    catalog = load_text("\n".join(blocks))

    assert [action.id for _, _, action in catalog.actions()] == ["red-shoes", "new-season", "last-boots", "friday-deal"]
    assert [issue.id for issue in catalog.issues] == ["sales", "brand", "service", "outlet"]
