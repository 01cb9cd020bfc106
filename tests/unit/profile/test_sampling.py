"""What a sample says of all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wayline_profile.core.sampling import Estimate, estimate


def test_a_share_of_the_sample_is_that_of_all_give_or_take() -> None:
    # Wilson's interval for 25 of 100: 17.5 % to 34.3 %.
    assert estimate(25, 100, 1_000) == Estimate(250, 175, 344)


def test_of_everybody_the_number_is_known() -> None:
    assert estimate(7, 20, 20) == Estimate(7, 7, 7)


def test_none_in_a_sample_does_not_mean_none_at_all() -> None:
    found = estimate(0, 100, 10_000)
    assert (found.number, found.low) == (0, 0)
    assert 300 < found.high < 400


def test_nobody_judged_says_nothing() -> None:
    assert estimate(0, 0, 10) == Estimate(0, 0, 10)


@settings(deadline=None)
@given(st.data())
def test_the_interval_holds_the_estimate_and_what_was_counted(data: st.DataObject) -> None:
    everybody = data.draw(st.integers(1, 10_000_000))
    judged = data.draw(st.integers(0, min(everybody, 10_000)))
    matched = data.draw(st.integers(0, judged))
    found = estimate(matched, judged, everybody)
    assert 0 <= found.low <= found.number <= found.high <= everybody
    assert matched <= found.low
    assert everybody - found.high >= judged - matched
