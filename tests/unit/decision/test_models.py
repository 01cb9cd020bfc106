"""Models of a plan: those that may not be used are not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.decisions import a_plan, an_action
from tests.support.models import linear_model, manifest

from wayline.scoring import Scorer
from wayline_decision.models import Loaded, fit

ACTION = an_action("red", propensity={"model": "accept", "base": 0.1})


def the_champion() -> dict[str, Loaded]:
    given = manifest("accept", traits=["views"])
    return {"accept": Loaded(given, 3, Scorer(given, linear_model([1.0])))}


@pytest.mark.parametrize(
    ("labels", "may_use", "used"), [([], [], True), (["health"], ["health"], True), (["health"], ["location"], False)]
)
def test_a_model_that_reads_what_its_purposes_may_not_use_is_left_out(
    labels: list[str], may_use: list[str], used: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    traits: dict[str, Any] = {"views": {"kind": "count", "event": "Product Viewed", "labels": labels}}
    plan = a_plan([ACTION], traits=traits, purposes={"personalisation": {"may_use": may_use}, "email": {}})

    models = fit(plan, the_champion())

    assert [one.name for one in models.in_use] == (["accept"] if used else [])
    assert ("model_may_not_be_used" in capsys.readouterr().out) is not used
