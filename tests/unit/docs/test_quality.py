"""The tracking plan in the documentation is one."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.tracking import an_order

from wayline.catalog.load import load_text
from wayline_ingestion.core.plan import CompiledPlan

_DOCS = Path(__file__).parents[3] / "docs" / "quality.md"


def test_the_tracking_plan_in_the_documentation_is_valid_and_refuses_what_it_says():
    (block,) = re.findall(r"```yaml\n(.*?)```", _DOCS.read_text(), re.DOTALL)
    plan = CompiledPlan(load_text(block).tracking_plan)

    good = {"order_id": "o-1", "total": 79.9, "currency": "EUR", "products": [{"sku": "SHOE-17"}]}

    assert plan.judge(an_order(good)) is None
    found = plan.judge(an_order({**good, "total": "79.90"}))
    assert found is not None
    assert found.refusal is not None
    assert "version 3 of 'Order Completed'" in found.refusal[2]
