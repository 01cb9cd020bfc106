"""The benchmark of the back-fill compares what it says that it compares."""

from __future__ import annotations

import pytest

from wayline_bench.backfill import BackfillSize, bench
from wayline_profile import backfill as walking

SIZE = BackfillSize(customers=200, events_each=3)


def figures() -> dict[str, object]:
    steps: set[str] = set()
    found = bench(SIZE, lambda step, _done, _total: steps.add(step)).as_dict()
    assert steps == {"fold", "fill in", "fold anew"}
    return found


def test_nothing_differs_and_some_customers_have_several_strands() -> None:
    found = figures()
    assert found["different"] == 0
    assert found["strands"]
    assert found["events_between"]


def test_a_back_fill_that_takes_up_no_evidence_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "add", lambda *_: False)
    assert figures()["different"]
