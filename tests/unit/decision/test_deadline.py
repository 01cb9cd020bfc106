"""How long may be waited for what goes into a decision."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayline_decision.deadline import MOST_FOR_TURN_SECONDS, Deadline

seconds = st.floats(0, 100)


@given(st.floats(-1, 100), seconds, seconds)
def test_whatever_is_waited_for_some_time_is_kept_for_deciding(given: float, typical: float, waited: float) -> None:
    deadline = Deadline(0.0, given, typical)
    for patience in (deadline.patience(waited), deadline.patience_for_events(waited)):
        assert patience <= 0 or waited + patience <= given - min(0.02, given / 2)
        assert patience <= 0 or waited + patience <= given - 3 * typical


@given(st.floats(0.002, 100))
def test_who_waits_for_events_can_still_ask_for_the_profile(given: float) -> None:
    deadline = Deadline(0.0, given, 0.0)
    assert deadline.patience(deadline.patience_for_events(0.0)) >= min(0.04, given / 5)


@pytest.mark.parametrize(("given", "patience"), [(1.0, 0.9), (0.1, 0.08), (0.02, 0.01), (0.002, 0.001)])
def test_a_profile_is_waited_for_as_long_as_the_deadline_allows(given: float, patience: float) -> None:
    assert Deadline(5.0, given, 0.0).patience(5.0) == pytest.approx(patience)


def test_who_has_no_deadline_waits_the_usual_time() -> None:
    deadline = Deadline(5.0, None, 0.01)
    assert deadline.patience(5.0) == deadline.patience_for_events(5.0) == inf
    assert not deadline.presses(1e9)


def test_a_turn_is_waited_for_until_there_is_no_time_left_to_decide() -> None:
    deadline = Deadline(5.0, 1.0, 0.1)
    assert deadline.patience_for_turn(5.5) == pytest.approx(0.4)
    assert deadline.patience_for_turn(5.95) == 0


@given(st.none() | st.floats(-10, 1e6), seconds, seconds)
def test_nobody_waits_for_his_turn_for_ever(given: float | None, typical: float, now: float) -> None:
    assert 0 <= Deadline(0.0, given, typical).patience_for_turn(now) <= MOST_FOR_TURN_SECONDS


def test_time_presses_when_less_is_left_than_decisions_take() -> None:
    deadline = Deadline(5.0, 1.0, 0.1)
    assert not deadline.presses(5.85)
    assert deadline.presses(5.95)


def test_an_answer_over_the_budget_is_a_breach_also_without_a_deadline() -> None:
    deadline = Deadline(5.0, None, 0.0)
    assert not deadline.breached(5.25, budget_seconds=0.25)
    assert deadline.breached(5.5, budget_seconds=0.25)


def test_time_that_was_waited_for_events_is_not_the_services() -> None:
    deadline = Deadline(5.0, 10.0, 0.0)
    deadline.waited_seconds = 2.0
    assert not deadline.breached(7.1, budget_seconds=0.25)


def test_a_missed_deadline_is_a_breach() -> None:
    assert Deadline(5.0, 0.05, 0.0).breached(5.06, budget_seconds=0.25)


def test_a_deadline_that_nobody_could_keep_is_no_breach() -> None:
    assert not Deadline(5.0, 0.005, 0.0).breached(5.06, budget_seconds=0.25)
    assert not Deadline(5.0, -1.0, 0.0).breached(5.06, budget_seconds=0.25)
