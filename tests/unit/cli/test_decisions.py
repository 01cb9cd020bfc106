"""What `why-not` says about an action that had no treatment there."""

from __future__ import annotations

import pytest

from wayline.cli.decisions import _unknown
from wayline.v1 import decision_pb2


def explained(*actions: str) -> decision_pb2.ExplainResponse:
    response = decision_pb2.ExplainResponse()
    response.record.catalog_revision = 3
    response.decision.placements.add(placement="web.hero", dropped=[decision_pb2.Drop(action=one) for one in actions])
    return response


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        (["red-shoes", "blue-boots"], "Did you mean red-shoes?"),
        (["offer"], "These have one: offer."),
        ([f"offer-{n:02}" for n in range(12)], "offer-08, offer-09, and 2 more."),
        ([], "No action has one."),
    ],
)
def test_an_action_without_a_treatment_there_is_answered_with_those_that_have_one(
    actions: list[str], said: str
) -> None:
    told = _unknown(explained(*actions), "red-shos")
    assert told.startswith("'red-shos' has no treatment for web.hero in revision 3 of the catalogue")
    assert told.endswith(said)
