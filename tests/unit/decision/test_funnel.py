from __future__ import annotations

from wayline_decision.core.funnel import funnel
from wayline_decision.core.plan import Stage


def test_the_funnel_loses_at_each_stage_who_was_dropped_there() -> None:
    found = list(funnel(5, [Stage.ELIGIBILITY, Stage.ARBITRATION, Stage.ELIGIBILITY]))
    assert [(one.entered, one.dropped) for one in found if one.dropped] == [(5, 2), (3, 1)]
    assert [one.stage for one in found] == list(Stage)
    assert [one.stage for one in funnel(2, [Stage.CONSENT, Stage.CONSENT])] == [Stage.CONSENT]
